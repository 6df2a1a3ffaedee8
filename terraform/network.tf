# A network of its own: no public address, out through NAT, in only through Google's identity-aware tunnel.

resource "google_compute_network" "this" {
  name                    = var.name
  auto_create_subnetworks = false
  depends_on              = [google_project_service.used]
}

resource "google_compute_subnetwork" "this" {
  # checkov:skip=CKV_GCP_76:the subnetwork has no IPv6 addresses, so there is no private IPv6 access to set
  name                     = var.name
  network                  = google_compute_network.this.id
  region                   = var.region
  ip_cidr_range            = "10.20.0.0/24"
  private_ip_google_access = true # storage, BigQuery and the registry are reached inside Google's network

  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.1
    metadata             = "EXCLUDE_ALL_METADATA"
  }
}

resource "google_compute_router" "this" {
  name    = var.name
  network = google_compute_network.this.id
  region  = var.region
}

resource "google_compute_router_nat" "this" {
  name                               = var.name
  router                             = google_compute_router.this.name
  region                             = var.region
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"

  log_config {
    enable = true
    filter = "ERRORS_ONLY"
  }
}

resource "google_compute_firewall" "tunnel" {
  name          = "${var.name}-tunnel"
  description   = "ssh from the identity-aware proxy; web pages come through the same tunnel"
  network       = google_compute_network.this.id
  direction     = "INGRESS"
  source_ranges = ["35.235.240.0/20"] # the proxy's own range
  target_tags   = [var.name]

  allow {
    protocol = "tcp"
    ports    = ["22"]
  }
}

resource "google_compute_firewall" "brokers" {
  count = var.separate_ingestion && local.on_vm.kafka ? 1 : 0

  name        = "${var.name}-brokers"
  description = "Dagster's machine reads topics, offsets and the connector's state"
  network     = google_compute_network.this.id
  direction   = "INGRESS"
  source_tags = ["${var.name}-dagster"]
  target_tags = ["${var.name}-ingestion"]

  allow {
    protocol = "tcp"
    ports    = ["19092-19094", "8083"]
  }
}
