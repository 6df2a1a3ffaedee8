# The virtual machines: one, or two with separate_ingestion. No public address; state is on a disk of its own.

resource "google_compute_disk" "data" {
  # checkov:skip=CKV_GCP_37:Google's own keys encrypt the disk; a customer-supplied key would have to be kept and typed in at each start
  for_each = local.machines

  name = "${var.name}-${each.key}-data"
  type = "pd-balanced"
  size = var.data_disk_gb
  zone = local.zone

  depends_on = [google_project_service.used]
}

resource "google_compute_resource_policy" "snapshots" {
  name   = "${var.name}-daily"
  region = var.region

  snapshot_schedule_policy {
    schedule {
      daily_schedule {
        days_in_cycle = 1
        start_time    = "03:00"
      }
    }
    retention_policy {
      max_retention_days    = 7
      on_source_disk_delete = "APPLY_RETENTION_POLICY"
    }
  }

  depends_on = [google_project_service.used]
}

resource "google_compute_disk_resource_policy_attachment" "snapshots" {
  for_each = local.machines

  name = google_compute_resource_policy.snapshots.name
  disk = google_compute_disk.data[each.key].name
  zone = local.zone
}

resource "google_compute_instance" "this" {
  # checkov:skip=CKV_GCP_38:Google's own keys encrypt the disks; a customer-supplied key would have to be kept and typed in at each start
  for_each = local.machines

  name                      = "${var.name}-${each.key}"
  machine_type              = var.machine_type
  zone                      = local.zone
  tags                      = [var.name, "${var.name}-${each.key}"]
  allow_stopping_for_update = true
  deletion_protection       = false # the data is on the other disk

  boot_disk {
    initialize_params {
      image = "ubuntu-os-cloud/ubuntu-2404-lts-amd64"
      size  = 20
      type  = "pd-balanced"
    }
  }

  attached_disk {
    source      = google_compute_disk.data[each.key].id
    device_name = "data"
  }

  network_interface {
    subnetwork = google_compute_subnetwork.this.id
  }

  service_account {
    email  = google_service_account.this[each.value.account].email
    scopes = ["cloud-platform"] # the account's roles are the limit
  }

  shielded_instance_config {
    enable_secure_boot          = true
    enable_vtpm                 = true
    enable_integrity_monitoring = true
  }

  scheduling {
    automatic_restart   = true
    on_host_maintenance = "MIGRATE"
  }

  metadata = {
    enable-oslogin         = "TRUE"
    block-project-ssh-keys = "TRUE"
    serial-port-enable     = "FALSE"
    startup-script = templatefile("${path.module}/startup.sh.tftpl", {
      registry = "${var.region}-docker.pkg.dev"
      secrets = {
        for name, accounts in local.secrets : replace(name, "-", "_") => "${var.name}-${name}"
        if contains(accounts, each.value.account)
      }
    })
  }

  lifecycle {
    ignore_changes = [boot_disk[0].initialize_params[0].image] # a newer image is taken by replacing the machine
  }

  depends_on = [
    google_artifact_registry_repository_iam_member.pull,
    google_compute_router_nat.this,
    google_secret_manager_secret_iam_member.reader,
    google_secret_manager_secret_version.postgres,
  ]
}
