variable "service" {
  description = "telemetry.service of the gateway: the dimension Service."
  type        = string
  default     = "hokusai-gateway"
}

variable "env" {
  description = "telemetry.env of the gateway: the dimension Env."
  type        = string
  default     = "production"
}

variable "periods" {
  description = "Minutes in a row that it must last before an alarm goes off."
  type        = number
  default     = 1

  validation {
    condition     = var.periods >= 1 && floor(var.periods) == var.periods
    error_message = "A whole number of minutes, 1 or more."
  }
}

variable "alarm_actions" {
  description = "ARNs that are told when an alarm goes off and when it is over, such as an SNS topic."
  type        = list(string)
  default     = []
}
