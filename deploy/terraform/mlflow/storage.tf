# The variables of what MLflow keeps.

variable "bucket" {
  description = "The bucket that is made for artifacts."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket: 3 to 63 small letters, digits and hyphens; no dots, with which TLS to S3 does not work."
  }
}

variable "deleted_artifacts_days" {
  description = "Days that deleted and overwritten artifacts can be brought back."
  type        = number
  default     = 30
  validation {
    condition     = var.deleted_artifacts_days >= 1
    error_message = "deleted_artifacts_days: write 1 or more."
  }
}

variable "postgres_version" {
  description = "PostgreSQL's major version."
  type        = string
  default     = "16"
  validation {
    condition     = can(regex("^1[5-9]$", var.postgres_version))
    error_message = "postgres_version: a major version from 15 on, such as \"16\"; minor ones RDS installs itself."
  }
}

variable "database_instance_class" {
  description = "The database's machine."
  type        = string
  default     = "db.t4g.medium"
}

variable "database_storage_gib" {
  description = "The database's storage at first; it grows by itself, up to ten times."
  type        = number
  default     = 50
  validation {
    condition     = var.database_storage_gib >= 20
    error_message = "database_storage_gib: RDS has 20 at least."
  }
}

variable "database_multi_az" {
  description = "Whether a second database stands by in another zone."
  type        = bool
  default     = true
}

variable "backup_retention_days" {
  description = "Days that the database can be brought back to any minute of."
  type        = number
  default     = 14
  validation {
    condition     = var.backup_retention_days >= 1 && var.backup_retention_days <= 35
    error_message = "backup_retention_days: 0 would mean no backups, and RDS keeps 35 days at most; write 1 to 35."
  }
}

variable "password_rotation_days" {
  description = "Days between two changes of the database's password. After each, MLflow needs a new deployment."
  type        = number
  default     = 365
  validation {
    condition     = var.password_rotation_days >= 1 && var.password_rotation_days <= 1000
    error_message = "password_rotation_days: Secrets Manager knows 1 to 1000."
  }
}

variable "deletion_protection" {
  description = "Whether the database is kept from being deleted."
  type        = bool
  default     = true
}
