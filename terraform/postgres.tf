# Dagster's PostgreSQL. Runs, events and which hours are done are the one state that nothing else can rebuild, so the
# default is Cloud SQL: daily backups, recovery to any minute of a week, and a machine can be thrown away.

resource "google_compute_global_address" "services" {
  count = local.managed.postgres ? 1 : 0

  name          = "${var.name}-services"
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  prefix_length = 20
  network       = google_compute_network.this.id
}

resource "google_service_networking_connection" "services" {
  count = local.managed.postgres ? 1 : 0

  network                 = google_compute_network.this.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.services[0].name]
  deletion_policy         = "ABANDON" # it can't be deleted for days after its database; the network takes it along
}

resource "google_sql_database_instance" "this" {
  # checkov:skip=CKV_GCP_6:ssl_mode ENCRYPTED_ONLY refuses plain connections; a client certificate would be one more secret to rotate
  # checkov:skip=CKV2_GCP_13:the time of each of Dagster's statements would be most of the log; slow ones show in Query Insights
  # checkov:skip=CKV_GCP_79:18 came out too lately for dagster-postgres to be tried on it; 17 is supported until 2029
  count = local.managed.postgres ? 1 : 0

  name                = "${var.name}-dagster"
  region              = var.region
  database_version    = "POSTGRES_17"
  deletion_protection = var.protect_data

  settings {
    edition                     = "ENTERPRISE"
    tier                        = var.postgres_tier
    availability_type           = "ZONAL"
    disk_type                   = "PD_SSD"
    disk_size                   = 10
    disk_autoresize             = true
    deletion_protection_enabled = var.protect_data

    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.this.id
      ssl_mode        = "ENCRYPTED_ONLY"
    }

    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
      start_time                     = "03:00"
      transaction_log_retention_days = 7

      backup_retention_settings {
        retained_backups = 7
      }
    }

    maintenance_window {
      day          = 7
      hour         = 4
      update_track = "stable"
    }

    # Each of Dagster's processes and runs holds connections; the small tiers allow too few.
    database_flags {
      name  = "max_connections"
      value = "200"
    }

    # What an auditor asks for. No statement of the application is written to a log: they carry events.
    database_flags {
      name  = "log_checkpoints"
      value = "on"
    }
    database_flags {
      name  = "log_connections"
      value = "on"
    }
    database_flags {
      name  = "log_disconnections"
      value = "on"
    }
    database_flags {
      name  = "log_hostname"
      value = "on"
    }
    database_flags {
      name  = "log_lock_waits"
      value = "on"
    }
    database_flags {
      name  = "log_min_error_statement"
      value = "error"
    }
    database_flags {
      name  = "log_min_messages"
      value = "error"
    }
    database_flags {
      name  = "log_statement"
      value = "ddl"
    }
    database_flags {
      name  = "cloudsql.enable_pgaudit"
      value = "on"
    }
  }

  depends_on = [google_service_networking_connection.services]
}

resource "google_sql_database" "dagster" {
  count = local.managed.postgres ? 1 : 0

  name            = "dagster"
  instance        = google_sql_database_instance.this[0].name
  deletion_policy = "ABANDON" # goes with the instance; its own deletion fails while a session is open
}

resource "google_sql_user" "dagster" {
  count = local.managed.postgres ? 1 : 0

  name                = "dagster"
  instance            = google_sql_database_instance.this[0].name
  password_wo         = var.postgres_password
  password_wo_version = var.postgres_password_version
  deletion_policy     = "ABANDON"
}
