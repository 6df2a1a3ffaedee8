# The managed alternative to brokers in containers. Topics are made by the project's own command on either.

resource "google_managed_kafka_cluster" "this" {
  count = local.managed.kafka ? 1 : 0

  cluster_id = var.name
  location   = var.region

  capacity_config {
    vcpu_count   = var.managed_kafka_vcpus
    memory_bytes = var.managed_kafka_vcpus * 4 * 1024 * 1024 * 1024
  }

  gcp_config {
    access_config {
      network_configs {
        subnet = google_compute_subnetwork.this.id
      }
    }
  }

  rebalance_config {
    mode = "AUTO_REBALANCE_ON_SCALE_UP"
  }

  depends_on = [google_project_service.used]
}
