# BigQuery's datasets. Tables are made by the asset graph, not here.

locals {
  datasets = {
    models   = { id = var.bigquery_dataset, description = "Staging, dimensions, facts and marts, built by dbt" }
    external = { id = "${var.bigquery_dataset}_external", description = "External tables over the lake" }
    readers  = { id = "${var.bigquery_dataset}_readers", description = "What readers see: views of dimensions, facts and marts" }
  }
}

resource "google_bigquery_dataset" "this" {
  # checkov:skip=CKV_GCP_81:Google's own keys encrypt the simulated data; a customer-managed key is a choice of the owner of real data
  for_each = local.datasets

  dataset_id                      = each.value.id
  description                     = each.value.description
  location                        = var.region # where the bucket is: external tables read no other place
  delete_contents_on_destroy      = !var.protect_data
  max_time_travel_hours           = 48 # hours replaced by re-runs are kept, and paid for, two days
  storage_billing_model           = "PHYSICAL"
  default_partition_expiration_ms = null

  depends_on = [google_project_service.used]
}
