# Versions, remote state, and the provider's own settings.

terraform {
  required_version = ">= 1.11, < 2.0" # 1.11 brought write-only arguments, which keep the password out of the state

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
  }

  # Bucket and prefix come from backend.hcl: terraform init -backend-config=backend.hcl
  backend "gcs" {}
}

provider "google" {
  project               = var.project_id
  region                = var.region
  zone                  = local.zone
  user_project_override = true # the budget's interface wants a project to bill its calls to
  billing_project       = var.project_id
  default_labels        = { application = var.name }
}
