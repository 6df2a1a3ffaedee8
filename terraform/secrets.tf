# Secrets live in Secret Manager; the state holds none of their content.

locals {
  # Secret, and the accounts that read it.
  secrets = merge(
    { "postgres-password" = ["dagster"] },
    local.managed.kafka ? { "kafka-password" = distinct([local.sink_account, "dagster"]) } : {},
  )
  secret_readers = merge([
    for secret, accounts in local.secrets : {
      for account in accounts : "${secret} ${account}" => { secret = secret, account = account }
    }
  ]...)
}

resource "google_secret_manager_secret" "this" {
  for_each = local.secrets

  secret_id = "${var.name}-${each.key}"

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }

  depends_on = [google_project_service.used]
}

resource "google_secret_manager_secret_version" "postgres" {
  secret                 = google_secret_manager_secret.this["postgres-password"].id
  secret_data_wo         = var.postgres_password
  secret_data_wo_version = var.postgres_password_version
}

resource "google_secret_manager_secret_iam_member" "reader" {
  for_each = local.secret_readers

  secret_id = google_secret_manager_secret.this[each.value.secret].id
  role      = "roles/secretmanager.secretAccessor"
  member    = local.member[each.value.account]
}
