# The Google interfaces that the rest calls.

resource "google_project_service" "used" {
  for_each = toset(concat(
    [
      "artifactregistry.googleapis.com",
      "bigquery.googleapis.com",
      "bigquerystorage.googleapis.com",
      "compute.googleapis.com",
      "iam.googleapis.com",
      "iap.googleapis.com",
      "logging.googleapis.com",
      "monitoring.googleapis.com",
      "oslogin.googleapis.com",
      "secretmanager.googleapis.com",
      "storage.googleapis.com",
    ],
    local.managed.postgres ? ["servicenetworking.googleapis.com", "sqladmin.googleapis.com"] : [],
    local.managed.kafka ? ["managedkafka.googleapis.com"] : [],
    var.notifications ? ["pubsub.googleapis.com"] : [],
    var.billing_account == "" ? [] : ["billingbudgets.googleapis.com"],
  ))

  service            = each.key
  disable_on_destroy = false # something else in the project may use it
}

data "google_project" "this" {
  project_id = var.project_id
}
