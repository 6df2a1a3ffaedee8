# What follows from the variables, named once.

locals {
  zone    = coalesce(var.zone, "${var.region}-a")
  bucket  = "${var.project_id}-${var.name}"
  on_vm   = { kafka = var.kafka == "vm", postgres = var.postgres == "vm" }
  managed = { kafka = var.kafka == "managed", postgres = var.postgres == "cloudsql" }

  # Profiles of deploy/compose.yaml that a machine starts, and the service account that it runs as. Containers of
  # one machine share its account, so only a second machine keeps the sink's rights and Dagster's apart.
  ingestion_profiles = concat(["ingestion"], local.on_vm.kafka ? ["brokers"] : [])
  dagster_profiles   = concat(["dagster"], local.on_vm.postgres ? ["postgres"] : [], var.read_only_server ? ["viewers"] : [])

  machines = var.separate_ingestion ? {
    ingestion = { account = "sink", profiles = local.ingestion_profiles }
    dagster   = { account = "dagster", profiles = local.dagster_profiles }
    } : {
    dagster = { account = "dagster", profiles = concat(local.ingestion_profiles, local.dagster_profiles) }
  }

  accounts = {
    sink    = "Kafka Connect: writes event objects into the lake"
    dagster = "Dagster: reads the lake, writes reference files, external tables and models"
    reports = "Looker Studio: reads the views"
  }
  # The account that the sink's rights go to.
  sink_account = var.separate_ingestion ? "sink" : "dagster"
}
