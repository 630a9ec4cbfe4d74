variable "name" {
  description = "What the load balancer, its target group and its security group are called."
  type        = string
  default     = "hokusai-gateway"
  validation {
    condition     = can(regex("^[a-zA-Z0-9]([a-zA-Z0-9-]{0,26}[a-zA-Z0-9])?$", var.name))
    error_message = "name: AWS wants letters, digits and hyphens, here 28 at most; write one such as \"hokusai-gateway\"."
  }
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_ids" {
  description = "The public subnets of the load balancer, in at least two availability zones."
  type        = list(string)
  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids: a load balancer needs subnets in at least two availability zones; write two or more."
  }
}

variable "certificate_arn" {
  description = "The ACM certificate that clients are shown."
  type        = string
  validation {
    condition     = can(regex("^arn:aws[a-z-]*:acm:", var.certificate_arn))
    error_message = "certificate_arn: not the ARN of a certificate in ACM; write one that begins with arn:aws:acm:."
  }
}

variable "ssl_policy" {
  description = "The listener's TLS policy; one that has TLS 1.3."
  type        = string
  default     = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  validation {
    condition     = can(regex("^ELBSecurityPolicy-TLS13-1-[23]-", var.ssl_policy))
    error_message = "ssl_policy: TLS 1.3 with nothing older than TLS 1.2 is wanted; write ELBSecurityPolicy-TLS13-1-2-2021-06 or ELBSecurityPolicy-TLS13-1-3-2021-06."
  }
}

variable "client_cidrs" {
  description = "Networks of clients that may connect."
  type        = list(string)
  default     = ["0.0.0.0/0"]
  validation {
    condition     = length(var.client_cidrs) > 0 && alltrue([for cidr in var.client_cidrs : can(cidrnetmask(cidr))])
    error_message = "client_cidrs: each must be an IPv4 network; write it as 203.0.113.0/24."
  }
}

variable "gateway_port" {
  description = "The port of the gateway's server.bind."
  type        = number
  default     = 8001
}

variable "gateway_security_group_id" {
  description = "The gateway's security group, the only one that this balancer may connect to besides other_targets."
  type        = string
}

variable "idle_timeout" {
  description = "Seconds that a silent connection is kept; shorter than the gateway's server.keep_alive (75s)."
  type        = number
  default     = 60
  validation {
    condition     = var.idle_timeout >= 1 && var.idle_timeout < 75
    error_message = "idle_timeout: the gateway closes idle connections after 75 s (server.keep_alive), and requests sent at that moment fail with a 502; write fewer than 75."
  }
}

variable "deregistration_delay" {
  description = "Seconds that transfers in flight get when a task goes: server.settle_time and server.drain_grace together."
  type        = number
  default     = 35
  validation {
    condition     = var.deregistration_delay >= 35 && var.deregistration_delay <= 3600
    error_message = "deregistration_delay: shorter than the gateway's own drain (settle_time 5s and drain_grace 30s) it cuts uploads; write 35 or more, up to 3600."
  }
}

variable "deletion_protection" {
  description = "Whether the load balancer is kept from being deleted."
  type        = bool
  default     = true
}

variable "access_logs" {
  description = "The bucket for access logs, which must let the load balancer write; null: none. Paths are in them, keys are not."
  type        = object({ bucket = string, prefix = optional(string) })
  default     = null
}

variable "other_rules" {
  description = "Rules of other services on this load balancer: priorities behind the gateway's, one to three path patterns each."
  type = list(object({
    name             = string
    priority         = number
    path_patterns    = list(string)
    target_group_arn = string
  }))
  default = []
  validation {
    condition     = length(distinct(var.other_rules[*].name)) == length(var.other_rules)
    error_message = "other_rules: two have one name; write a name of its own for each."
  }
  validation {
    condition     = length(distinct(var.other_rules[*].priority)) == length(var.other_rules)
    error_message = "other_rules: two have one priority; write a priority of its own for each."
  }
  validation {
    condition     = alltrue([for rule in var.other_rules : rule.priority >= 1 && rule.priority <= 50000])
    error_message = "other_rules: a priority is 1 to 50000; the lowest is asked first."
  }
  validation {
    condition     = alltrue([for rule in var.other_rules : length(rule.path_patterns) >= 1 && length(rule.path_patterns) <= 3])
    error_message = "other_rules: a condition takes one to three patterns; write a second rule for what is more."
  }
  validation {
    condition = alltrue([
      for rule in var.other_rules : length(regexall("[*?]", join("", rule.path_patterns))) <= 5
    ])
    error_message = "other_rules: a rule takes five wildcards (* and ?) at most; write a second rule for what is more."
  }
  validation {
    condition = alltrue(flatten([
      for rule in var.other_rules : [for pattern in rule.path_patterns : can(regex("^[/*][A-Za-z0-9_.$/~\"'@:+&*?-]{0,127}$", pattern))]
    ]))
    error_message = "other_rules: a path pattern begins with / (or *), has 128 characters at most, of A-Z a-z 0-9 _-.$/~\"'@:+& and the wildcards * and ?."
  }
}

variable "other_targets" {
  description = "Security groups and ports of the targets of other_rules, which this balancer may connect to."
  type        = list(object({ security_group_id = string, port = number }))
  default     = []
}
