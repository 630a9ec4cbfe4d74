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

variable "alarm_actions" {
  description = "ARNs that are told when an alarm goes off and when it is over, such as an SNS topic."
  type        = list(string)
  default     = []
}
