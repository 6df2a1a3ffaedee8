# What the rest of the project reads.

locals {
  kafka_local = "kafka-1:9092,kafka-2:9092,kafka-3:9092"
  # Names inside the zone; the second machine reaches the brokers by the ports that its own containers don't use.
  ingestion_host = "${var.name}-ingestion.${local.zone}.c.${var.project_id}.internal"
  kafka_remote   = join(",", [for port in [19092, 19093, 19094] : "${local.ingestion_host}:${port}"])
  kafka_managed  = "bootstrap.${var.name}.${var.region}.managedkafka.${var.project_id}.cloud.goog:9092"

  # Settings of streaming_assets/subjects.py.
  settings = merge(
    {
      STREAMING_ASSETS_TARGET                  = "gcp"
      STREAMING_ASSETS_FIRST_HOUR              = var.first_hour
      STREAMING_ASSETS_LAKE_URL                = "gs://${google_storage_bucket.this["lake"].name}"
      STREAMING_ASSETS_GCP_PROJECT             = var.project_id
      STREAMING_ASSETS_BIGQUERY_DATASET        = google_bigquery_dataset.this["models"].dataset_id
      STREAMING_ASSETS_BIGQUERY_LOCATION       = google_bigquery_dataset.this["models"].location
      STREAMING_ASSETS_SENSOR_INTERVAL_SECONDS = tostring(var.sensor_interval_seconds)
      STREAMING_ASSETS_LAKE_RETENTION_DAYS     = tostring(coalesce(var.raw_keep_days, 0))
    },
    var.notifications ? {
      STREAMING_ASSETS_PUBSUB_SUBSCRIPTION = google_pubsub_subscription.lake[0].id
    } : {},
    local.managed.kafka ? {
      STREAMING_ASSETS_KAFKA_SECURITY_PROTOCOL  = "SASL_SSL"
      STREAMING_ASSETS_KAFKA_SASL_MECHANISM     = "PLAIN"
      STREAMING_ASSETS_KAFKA_SASL_USERNAME      = google_service_account.this[local.sink_account].email
      STREAMING_ASSETS_KAFKA_SASL_PASSWORD_FILE = "/run/secrets/kafka_password"
    } : {},
  )

  # Variables of deploy/compose.yaml and deploy/dagster.yaml.
  deployment = merge(
    {
      IMAGE_REPOSITORY       = "${var.region}-docker.pkg.dev/${var.project_id}/${google_artifact_registry_repository.this.repository_id}"
      DAGSTER_LOG_BUCKET     = google_storage_bucket.this["logs"].name
      DAGSTER_POSTGRES_HOST  = one(google_sql_database_instance.this[*].private_ip_address)
      POSTGRES_PASSWORD_FILE = "/run/streaming-assets/postgres_password"
    },
    local.managed.postgres ? { DAGSTER_POSTGRES_SSLMODE = "require" } : { DAGSTER_POSTGRES_HOST = "postgres" },
    local.managed.kafka ? { KAFKA_PASSWORD_FILE = "/run/streaming-assets/kafka_password" } : {},
  )

  env = {
    for key, machine in local.machines : key => merge(local.settings, local.deployment, {
      COMPOSE_PROFILES      = join(",", machine.profiles)
      KAFKA_ADVERTISED_HOST = var.separate_ingestion ? local.ingestion_host : "localhost"
      HOST_BIND_ADDRESS     = key == "ingestion" ? "0.0.0.0" : "127.0.0.1" # the firewall lets Dagster's machine in
      STREAMING_ASSETS_KAFKA_CONNECT_URL = (
        contains(machine.profiles, "ingestion") ? "http://connect:8083" : "http://${local.ingestion_host}:8083"
      )
      STREAMING_ASSETS_KAFKA_BOOTSTRAP_SERVERS = (
        local.managed.kafka ? local.kafka_managed :
        contains(machine.profiles, "brokers") ? local.kafka_local : local.kafka_remote
      )
    })
  }
}

output "env" {
  description = "The .env file of each machine: terraform output -json env | jq -r .dagster"
  value = {
    for machine, values in local.env : machine => join("", [for name, value in values : "${name}=${value}\n"])
  }
}

output "machines" {
  description = "Name and zone of each machine, for gcloud compute ssh --tunnel-through-iap"
  value       = { for key, machine in google_compute_instance.this : key => { name = machine.name, zone = machine.zone } }
}

output "image_repository" {
  description = "Where images are pushed"
  value       = local.deployment.IMAGE_REPOSITORY
}

output "lake_url" {
  description = "The lake"
  value       = local.settings.STREAMING_ASSETS_LAKE_URL
}

output "service_accounts" {
  description = "Service account of each part"
  value       = { for key, account in google_service_account.this : key => account.email }
}
