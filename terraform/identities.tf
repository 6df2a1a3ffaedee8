# Service accounts, and exactly the rights that each part uses. No keys are made: machines carry their account.

resource "google_service_account" "this" {
  for_each = local.accounts

  account_id   = "${var.name}-${each.key}" # at most 30 characters
  display_name = each.value
  depends_on   = [google_project_service.used]
}

locals {
  member = { for key, account in google_service_account.this : key => "serviceAccount:${account.email}" }

  # What the machines' accounts need of the project itself.
  project_roles = merge(
    { for pair in setproduct(distinct([for machine in local.machines : machine.account]), ["roles/logging.logWriter", "roles/monitoring.metricWriter"]) :
    "${pair[0]} ${pair[1]}" => { role = pair[1], member = local.member[pair[0]] } },
    {
      "dagster runs queries"  = { role = "roles/bigquery.jobUser", member = local.member.dagster }
      "dagster reads results" = { role = "roles/bigquery.readSessionUser", member = local.member.dagster }
      "reports run queries"   = { role = "roles/bigquery.jobUser", member = local.member.reports }
    },
    { for reader in var.readers : "${reader} runs queries" => { role = "roles/bigquery.jobUser", member = reader } },
    local.managed.kafka ? {
      for account in distinct([local.sink_account, "dagster"]) :
      "${account} uses Kafka" => { role = "roles/managedkafka.client", member = local.member[account] }
    } : {},
  )
}

resource "google_project_iam_member" "this" {
  for_each = local.project_roles

  project = var.project_id
  role    = each.value.role
  member  = each.value.member
}

# What a run's queries were billed is read from the list of jobs; roles/bigquery.user would also let it make datasets.
resource "google_project_iam_custom_role" "lists_jobs" {
  role_id     = "${replace(var.name, "-", "_")}_lists_jobs"
  title       = "Lists its own BigQuery jobs"
  permissions = ["bigquery.jobs.list"]
}

resource "google_project_iam_member" "dagster_lists_jobs" {
  project = var.project_id
  role    = google_project_iam_custom_role.lists_jobs.id
  member  = local.member.dagster
}

# The lake: the sink writes event objects and nothing else. Dagster reads all, writes the reference files, the empty
# object that BigQuery needs in each topic's prefix, and leases on datasets; events, from which expired fields leave, only where that is asked for.

resource "google_storage_bucket_iam_member" "sink_writes" {
  bucket = google_storage_bucket.this["lake"].name
  role   = "roles/storage.objectUser" # delete too: a replay overwrites
  member = local.member[local.sink_account]

  condition {
    title      = "event objects"
    expression = "resource.name.startsWith(\"projects/_/buckets/${local.bucket}/objects/raw/\")"
  }
}

resource "google_storage_bucket_iam_member" "dagster_reads" {
  bucket = google_storage_bucket.this["lake"].name
  role   = "roles/storage.objectViewer"
  member = local.member.dagster
}

resource "google_storage_bucket_iam_member" "dagster_writes" {
  bucket = google_storage_bucket.this["lake"].name
  role   = "roles/storage.objectUser"
  member = local.member.dagster

  condition {
    title      = "reference files, placeholders and leases"
    expression = "resource.name.startsWith(\"projects/_/buckets/${local.bucket}/objects/raw/flat_files/\") || resource.name.startsWith(\"projects/_/buckets/${local.bucket}/objects/leases/\") || resource.name.endsWith(\"/date=1970-01-01 00:00:00+00/empty.gz\")"
  }
}

resource "google_storage_bucket_iam_member" "dagster_rewrites" {
  count = var.rewrite_events ? 1 : 0

  bucket = google_storage_bucket.this["lake"].name
  role   = "roles/storage.objectUser" # delete too: an object is written over
  member = local.member.dagster

  condition {
    title      = "event objects and what is done with them"
    expression = join(" || ", [for folder in ["raw", "expired"] : "resource.name.startsWith(\"projects/_/buckets/${local.bucket}/objects/${folder}/\")"])
  }
}

resource "google_storage_bucket_iam_member" "dagster_logs" {
  # The compute log manager asks whether the bucket is there before it writes.
  for_each = toset(["roles/storage.objectUser", "roles/storage.legacyBucketReader"])

  bucket = google_storage_bucket.this["logs"].name
  role   = each.key
  member = local.member.dagster
}

# The warehouse.

resource "google_bigquery_dataset_iam_member" "dagster" {
  for_each = toset(["external", "readers"])

  dataset_id = google_bigquery_dataset.this[each.key].dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = local.member.dagster
}

# The dataset of the models has access entries only: an IAM member beside them would take the views' right away.
resource "google_bigquery_dataset_access" "dagster" {
  dataset_id    = google_bigquery_dataset.this["models"].dataset_id
  role          = "WRITER" # as the service calls roles/bigquery.dataEditor here
  user_by_email = google_service_account.this["dagster"].email
}

# Whoever may read the views sees what they select, and nothing else of the models: no staging, no quarantine.
resource "google_bigquery_dataset_access" "views" {
  dataset_id = google_bigquery_dataset.this["models"].dataset_id

  dataset {
    target_types = ["VIEWS"]

    dataset {
      project_id = var.project_id
      dataset_id = google_bigquery_dataset.this["readers"].dataset_id
    }
  }
}

resource "google_bigquery_dataset_iam_member" "readers" {
  for_each = merge({ reports = local.member.reports }, { for reader in var.readers : reader => reader })

  dataset_id = google_bigquery_dataset.this["readers"].dataset_id
  role       = "roles/bigquery.dataViewer"
  member     = each.value
}

# Images are pulled by the machines.

resource "google_artifact_registry_repository_iam_member" "pull" {
  for_each = toset([for machine in local.machines : machine.account])

  location   = google_artifact_registry_repository.this.location
  repository = google_artifact_registry_repository.this.name
  role       = "roles/artifactregistry.reader"
  member     = local.member[each.key]
}

# People: through the tunnel, by their own account, onto these machines only.

resource "google_iap_tunnel_instance_iam_member" "operators" {
  for_each = { for pair in setproduct(keys(local.machines), var.operators) : join(" ", pair) => pair }

  zone     = local.zone
  instance = google_compute_instance.this[each.value[0]].name
  role     = "roles/iap.tunnelResourceAccessor"
  member   = each.value[1]
}

resource "google_compute_instance_iam_member" "operators" {
  for_each = { for pair in setproduct(keys(local.machines), var.operators) : join(" ", pair) => pair }

  zone          = local.zone
  instance_name = google_compute_instance.this[each.value[0]].name
  role          = "roles/compute.osAdminLogin"
  member        = each.value[1]
}

resource "google_service_account_iam_member" "operators" {
  # Logging in to a machine means acting as its account.
  for_each = {
    for pair in setproduct(distinct([for machine in local.machines : machine.account]), var.operators) :
    join(" ", pair) => pair
  }

  service_account_id = google_service_account.this[each.value[0]].name
  role               = "roles/iam.serviceAccountUser"
  member             = each.value[1]
}
