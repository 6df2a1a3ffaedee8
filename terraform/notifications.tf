# Notifications of the lake's new objects, which spare the object sensor most of its listings.

# Cloud Storage publishes as an account of its own, which Google makes when it is asked for.
data "google_storage_project_service_account" "this" {
  depends_on = [google_project_service.used]
}

resource "google_pubsub_topic" "lake" {
  # checkov:skip=CKV_GCP_83:Messages name objects and hold no event; Google's own keys encrypt them
  count = var.notifications ? 1 : 0

  name       = "${var.name}-lake-objects"
  depends_on = [google_project_service.used]
}

resource "google_pubsub_topic_iam_member" "storage_publishes" {
  count = var.notifications ? 1 : 0

  topic  = google_pubsub_topic.lake[0].id
  role   = "roles/pubsub.publisher"
  member = data.google_storage_project_service_account.this.member
}

resource "google_storage_notification" "lake" {
  count = var.notifications ? 1 : 0

  bucket             = google_storage_bucket.this["lake"].name
  topic              = google_pubsub_topic.lake[0].id
  payload_format     = "NONE"
  event_types        = ["OBJECT_FINALIZE", "OBJECT_DELETE"]
  object_name_prefix = "raw/"
  depends_on         = [google_pubsub_topic_iam_member.storage_publishes]
}

resource "google_pubsub_subscription" "lake" {
  count = var.notifications ? 1 : 0

  name                       = "${var.name}-lake-objects"
  topic                      = google_pubsub_topic.lake[0].id
  message_retention_duration = "86400s" # of a sensor that stands still: it lists the lake anyway when it goes on

  expiration_policy {
    ttl = "" # never
  }
}

resource "google_pubsub_subscription_iam_member" "dagster_pulls" {
  count = var.notifications ? 1 : 0

  subscription = google_pubsub_subscription.lake[0].id
  role         = "roles/pubsub.subscriber"
  member       = local.member.dagster
}
