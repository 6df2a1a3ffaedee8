# The lake, and a bucket for the logs of Dagster's runs.

locals {
  buckets = {
    # Event objects alone, whose names end with digits: BigQuery needs the empty.gz of a topic for ever, and the
    # reference files do not come anew.
    lake = { name = local.bucket, delete_after_days = var.raw_keep_days, suffixes = [for digit in range(10) : "${digit}.gz"] }
    logs = { name = "${local.bucket}-run-logs", delete_after_days = 30, suffixes = [] }
  }
}

resource "google_storage_bucket" "this" {
  # checkov:skip=CKV_GCP_62:Cloud Audit Logs record who reads and writes; access logs in a second bucket would add cost, not knowledge
  for_each = local.buckets

  name                        = each.value.name
  location                    = upper(var.region)
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.protect_data

  versioning {
    enabled = true # a sink that replays overwrites objects of the same name
  }

  soft_delete_policy {
    retention_duration_seconds = 0 # old versions are kept for a week already; twice would be paid twice
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 7
      with_state                 = "ARCHIVED"
    }
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 1
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.delete_after_days == null ? [] : [each.value.delete_after_days]

    content {
      action {
        type = "Delete"
      }
      condition {
        age            = lifecycle_rule.value
        with_state     = "LIVE"
        matches_suffix = each.value.suffixes
      }
    }
  }

  depends_on = [google_project_service.used]
}
