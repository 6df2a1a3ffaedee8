# A mail before money runs away.

resource "google_monitoring_notification_channel" "mail" {
  count = var.alert_email == "" ? 0 : 1

  display_name = "${var.name} operators"
  type         = "email"
  labels       = { email_address = var.alert_email }
  depends_on   = [google_project_service.used]
}

resource "google_billing_budget" "monthly" {
  count = var.billing_account == "" ? 0 : 1

  billing_account = var.billing_account
  display_name    = "${var.name} monthly"

  budget_filter {
    projects = ["projects/${data.google_project.this.number}"]
  }

  amount {
    specified_amount {
      currency_code = "USD"
      units         = tostring(floor(var.budget_usd))
    }
  }

  dynamic "threshold_rules" {
    for_each = [
      { share = 0.5, basis = "CURRENT_SPEND" },
      { share = 0.9, basis = "CURRENT_SPEND" },
      { share = 1.0, basis = "CURRENT_SPEND" },
      { share = 1.0, basis = "FORECASTED_SPEND" },
    ]

    content {
      threshold_percent = threshold_rules.value.share
      spend_basis       = threshold_rules.value.basis
    }
  }

  all_updates_rule {
    monitoring_notification_channels = google_monitoring_notification_channel.mail[*].id
    disable_default_iam_recipients   = false
  }

  depends_on = [google_project_service.used]
}
