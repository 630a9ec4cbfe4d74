variable "name" {
  description = "What the service is called; the dimension Service of its metrics (telemetry.service)."
  type        = string
  default     = "hokusai-gateway"
  validation {
    condition     = can(regex("^[a-zA-Z0-9][a-zA-Z0-9-]{0,53}$", var.name))
    error_message = "name: letters, digits and hyphens, 54 at most (a role is called after it); write one such as \"hokusai-gateway\"."
  }
}

variable "env" {
  description = "The dimension Env of its metrics (telemetry.env)."
  type        = string
  default     = "production"
}

variable "account_id" {
  description = "The AWS account."
  type        = string
  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id: an AWS account has twelve digits; write them as a string."
  }
}

variable "region" {
  description = "The region, for the log driver."
  type        = string
}

variable "cluster_arn" {
  description = "The ECS cluster."
  type        = string
}

variable "image" {
  description = "The gateway's image, by tag or digest; a digest is what was tested."
  type        = string
  validation {
    condition     = can(regex("(@sha256:[0-9a-f]{64}|:[A-Za-z0-9_.-]+)$", var.image)) && !endswith(var.image, ":latest")
    error_message = "image: which version runs would be chance; write a tag other than latest, or a digest: registry/hokusai-gateway@sha256:…."
  }
}

variable "image_repository_arn" {
  description = "The ECR repository of the image; null if it is not in ECR."
  type        = string
  default     = null
  validation {
    condition     = var.image_repository_arn == null || can(regex("^arn:aws[a-z-]*:ecr:[^*]+:repository/[^*]+$", var.image_repository_arn))
    error_message = "image_repository_arn: not the ARN of one ECR repository; write arn:aws:ecr:REGION:ACCOUNT:repository/NAME."
  }
}

variable "cpu_architecture" {
  description = "X86_64 or ARM64, as the image is."
  type        = string
  default     = "X86_64"
  validation {
    condition     = contains(["X86_64", "ARM64"], var.cpu_architecture)
    error_message = "cpu_architecture: write X86_64 or ARM64."
  }
}

variable "cpu" {
  description = "CPU units of a task; 1024 are one core."
  type        = number
  default     = 512
  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.cpu)
    error_message = "cpu: Fargate has 256, 512, 1024, 2048, 4096, 8192 and 16384; write one of them."
  }
}

variable "memory" {
  description = "Memory of a task in MiB, one that Fargate has for its cpu. Bodies are streamed: it does not grow with artifacts."
  type        = number
  default     = 1024
}

variable "min_tasks" {
  description = "The fewest tasks; two, so that a zone may fail. Limits are shared out among so many while Redis is away."
  type        = number
  default     = 2
  validation {
    condition     = var.min_tasks >= 2
    error_message = "min_tasks: with fewer than two a zone that fails is an outage; write 2 or more."
  }
}

variable "max_tasks" {
  description = "The most tasks."
  type        = number
  default     = 8
  validation {
    condition     = var.max_tasks >= var.min_tasks
    error_message = "max_tasks: fewer than min_tasks; write ${var.min_tasks} or more."
  }
}

variable "cpu_target_percent" {
  description = "The CPU that autoscaling aims at, in percent."
  type        = number
  default     = 60
  validation {
    condition     = var.cpu_target_percent >= 10 && var.cpu_target_percent <= 90
    error_message = "cpu_target_percent: write 10 to 90; at more there is no room until the next task is up."
  }
}

variable "requests_per_task_per_minute" {
  description = "The requests of a task in a minute that autoscaling aims at."
  type        = number
  default     = 6000
}

variable "port" {
  description = "The port that the gateway listens on."
  type        = number
  default     = 8001
  validation {
    condition     = var.port >= 1024 && var.port <= 65535
    error_message = "port: the gateway is not root and cannot take a port below 1024; write 1024 to 65535."
  }
}

variable "settle_time" {
  description = "server.settle_time in seconds."
  type        = number
  default     = 5
}

variable "drain_grace" {
  description = "server.drain_grace in seconds: what an upload in flight gets at a deployment. With settle_time it must stay under 120."
  type        = number
  default     = 30
  validation {
    condition     = var.settle_time + var.drain_grace < 120
    error_message = "drain_grace: Fargate kills a task 120 s after SIGTERM, in the middle of the drain; write less than ${120 - var.settle_time}."
  }
}

variable "settings" {
  description = "More settings, by the names of the environment: { HOKUSAI__TELEMETRY__FILTER = \"debug\" }. No secrets: they would be readable in the task definition."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for name in keys(var.settings) : startswith(name, "HOKUSAI__")])
    error_message = "settings: a name does not begin with HOKUSAI__; write HOKUSAI__SECTION__KEY."
  }
  validation {
    condition     = alltrue([for name in keys(var.settings) : !can(regex("__(TOKEN|PASSWORD|PEPPER)$|^HOKUSAI__REDIS__URL$", name))])
    error_message = "settings: a secret would be readable in the task definition; use pepper_secret_arn and redis, or its _FILE form."
  }
}
