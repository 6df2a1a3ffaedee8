# Every choice there is, with what is allowed. terraform.tfvars.example shows the usual ones.

variable "project_id" {
  description = "Google Cloud project that everything is made in"
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be a project's id (6 to 30 small letters, digits, hyphens), not its name or number."
  }
}

variable "name" {
  description = "Prefix of every resource's name"
  type        = string
  default     = "streaming-assets"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 20 small letters, digits and hyphens, and start with a letter."
  }
}

variable "region" {
  description = "Region of everything: one place, so no byte pays for crossing between two"
  type        = string
  default     = "us-central1"

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must look like us-central1 (a multi-region such as US is none: machines need a region)."
  }
}

variable "zone" {
  description = "Zone of the machines; null means the region's zone a"
  type        = string
  default     = null

  validation {
    condition     = var.zone == null || startswith(coalesce(var.zone, "-"), "${var.region}-")
    error_message = "zone must be one of the region's, such as us-central1-a for us-central1."
  }
}

variable "first_hour" {
  description = "First hourly partition, whole hour, UTC: the hour before events first flow is a good choice"
  type        = string

  validation {
    condition     = can(regex("^20[0-9-]{8}T[0-9]{2}:00Z$", var.first_hour)) && can(formatdate("YYYY", replace(var.first_hour, "Z", ":00Z")))
    error_message = "first_hour must be a whole hour in UTC, such as 2025-01-01T00:00Z."
  }
}

variable "bigquery_dataset" {
  description = "Dataset of the models; the external tables stand in one of the same name with _external, readers' views in one with _readers"
  type        = string
  default     = "streaming_assets"

  validation {
    condition     = can(regex("^[a-zA-Z_][a-zA-Z0-9_]{0,1000}$", var.bigquery_dataset))
    error_message = "bigquery_dataset may have letters, digits and underscores only."
  }
}

variable "sensor_interval_seconds" {
  description = "Least time between two looks at the lake, s: how fresh tables are, and most of BigQuery's bill (docs/cost.md)"
  type        = number
  default     = 300

  validation {
    condition     = var.sensor_interval_seconds >= 5 && floor(var.sensor_interval_seconds) == var.sensor_interval_seconds
    error_message = "sensor_interval_seconds must be a whole number of 5 or more."
  }
}

variable "notifications" {
  description = "Whether new objects are published to Pub/Sub, so that the object sensor lists the lake only when there are any"
  type        = bool
  default     = false
}

variable "machine_type" {
  description = "Machine of the virtual machine (of each, with separate_ingestion)"
  type        = string
  default     = "e2-standard-4"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]+-[a-z]+-[0-9]+$", var.machine_type))
    error_message = "machine_type must look like e2-standard-4; the compose file's limits ask for 16 GB."
  }
}

variable "data_disk_gb" {
  description = "Disk for containers, Kafka's logs and Dagster's local files, GB"
  type        = number
  default     = 100

  validation {
    condition     = var.data_disk_gb >= 50 && var.data_disk_gb <= 10000 && floor(var.data_disk_gb) == var.data_disk_gb
    error_message = "data_disk_gb must be a whole number from 50 to 10000."
  }
}

variable "separate_ingestion" {
  description = "Give brokers, Connect and simulator a machine and a service account of their own"
  type        = bool
  default     = false
}

variable "kafka" {
  description = "Where the brokers are: vm (three in containers) or managed (Managed Service for Apache Kafka)"
  type        = string
  default     = "vm"

  validation {
    condition     = contains(["vm", "managed"], var.kafka)
    error_message = "kafka must be vm or managed."
  }
}

variable "managed_kafka_vcpus" {
  description = "vCPUs of the managed cluster, which gets 4 GiB for each"
  type        = number
  default     = 3

  validation {
    condition     = var.managed_kafka_vcpus >= 3
    error_message = "managed_kafka_vcpus must be 3 or more: the service makes three brokers."
  }
}

variable "postgres" {
  description = "Where Dagster's PostgreSQL is: cloudsql (backed up, outlives the machine) or vm (a container)"
  type        = string
  default     = "cloudsql"

  validation {
    condition     = contains(["cloudsql", "vm"], var.postgres)
    error_message = "postgres must be cloudsql or vm."
  }
}

variable "postgres_tier" {
  description = "Machine of Cloud SQL"
  type        = string
  default     = "db-g1-small"

  validation {
    condition     = startswith(var.postgres_tier, "db-")
    error_message = "postgres_tier must be a Cloud SQL tier, such as db-g1-small or db-custom-2-7680."
  }
}

variable "postgres_password" {
  description = "Password of Dagster's database user; sent to Secret Manager and Cloud SQL, never kept in the state"
  type        = string
  default     = null # needed when the password is first set or changed, at no other apply
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = var.postgres_password == null || can(regex("^[A-Za-z0-9_-]{20,}$", var.postgres_password))
    error_message = "postgres_password must have 20 or more letters, digits, _ or -: openssl rand -hex 24 makes one."
  }
}

variable "postgres_password_version" {
  description = "Raise it by one, and give postgres_password, to change the password"
  type        = number
  default     = 1
}

variable "operators" {
  description = "Who may log in to the machines and see the web pages through the tunnel, as user:... or group:..."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.operators : can(regex("^(user|group|serviceAccount):[^@]+@[^@]+$", member))])
    error_message = "operators must look like user:ann@example.com, group:... or serviceAccount:..."
  }
}

variable "readers" {
  description = "Who may query the views of facts, dimensions and marts (analysts, Looker Studio), as user:... or group:..."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.readers : can(regex("^(user|group|serviceAccount):[^@]+@[^@]+$", member))])
    error_message = "readers must look like user:ann@example.com, group:... or serviceAccount:..."
  }
}

variable "read_only_server" {
  description = "Whether a second web server of Dagster runs, at port 3001, whose pages can start and delete nothing"
  type        = bool
  default     = false
}

variable "raw_keep_days" {
  description = "Days until an event object is deleted; null keeps all (facts can then always be rebuilt)"
  type        = number
  default     = null

  validation {
    condition     = var.raw_keep_days == null || coalesce(var.raw_keep_days, 0) >= 7
    error_message = "raw_keep_days must be at least 7, so that no hour goes before it is reconciled."
  }
}

variable "rewrite_events" {
  description = "Whether Dagster may write event objects anew: contracts with retention_days need it (docs/privacy.md)"
  type        = bool
  default     = false
}

variable "billing_account" {
  description = "Billing account of the budget, XXXXXX-XXXXXX-XXXXXX; empty means no budget is made"
  type        = string
  default     = ""

  validation {
    condition     = var.billing_account == "" || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "billing_account must look like 012345-6789AB-CDEF01."
  }
}

variable "budget_usd" {
  description = "Monthly budget, USD; mails go out at half, nine tenths and all of it, and when all is foreseen"
  type        = number
  default     = 600

  validation {
    condition     = var.budget_usd > 0
    error_message = "budget_usd must be above 0."
  }
}

variable "alert_email" {
  description = "Address that the budget writes to, besides the billing account's administrators; may be empty"
  type        = string
  default     = ""

  validation {
    condition     = var.alert_email == "" || can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", var.alert_email))
    error_message = "alert_email must be an address."
  }
}

variable "protect_data" {
  description = "Refuse to destroy bucket, datasets and database while they hold data; teardown.sh turns it off"
  type        = bool
  default     = true
}
