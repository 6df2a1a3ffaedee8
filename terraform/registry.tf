# Images. A tag, once pushed, never changes: rolling back to it brings back the same bytes.

resource "google_artifact_registry_repository" "this" {
  # checkov:skip=CKV_GCP_84:Google's own keys encrypt the images, which hold no secret
  repository_id = var.name
  description   = "Images of the pipeline"
  location      = var.region
  format        = "DOCKER"

  docker_config {
    immutable_tags = true
  }

  cleanup_policies {
    id     = "keep-newest"
    action = "KEEP"
    most_recent_versions {
      keep_count = 10
    }
  }

  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "2592000s" # 30 days
    }
  }

  depends_on = [google_project_service.used]
}
