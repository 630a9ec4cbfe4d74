variable "service" {
  description = "telemetry.service of the gateway."
  type        = string
  default     = "hokusai-gateway"
}

variable "env" {
  description = "telemetry.env of the gateway. Metrics of the log have no dimension for it: one account for each environment."
  type        = string
  default     = "production"
}

variable "log_group_name" {
  description = "The gateway's log group."
  type        = string
}

variable "emails" {
  description = "Addresses that are told of alarms, once they have confirmed it."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for email in var.emails : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", email))])
    error_message = "emails: one is no address; write it as oncall@example.com."
  }
}

variable "server_errors_in_5_minutes" {
  description = "Responses with a 5xx in five minutes that nobody is told of. A backstop: the alarms of ../alarms know ratios."
  type        = number
  default     = 50
  validation {
    condition     = var.server_errors_in_5_minutes >= 0
    error_message = "server_errors_in_5_minutes: write 0 or more."
  }
}

variable "kms_key_arn" {
  description = "The key for the topic; its policy must let cloudwatch.amazonaws.com use it. null: not encrypted."
  type        = string
  default     = null
}
