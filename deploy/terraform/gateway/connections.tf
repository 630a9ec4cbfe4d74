# What the gateway is connected with.

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of the tasks, in at least two availability zones, with a way to HTTPS."
  type        = list(string)
  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids: with one subnet a zone that fails is an outage; write two or more."
  }
}

variable "alb_security_group_id" {
  description = "The load balancer's security group, the only one that is let in."
  type        = string
}

variable "target_group_arn" {
  description = "The load balancer's target group."
  type        = string
}

variable "request_count_label" {
  description = "The load balancer and target group as autoscaling names them: the output of ../routing."
  type        = string
}

variable "trusted_proxies" {
  description = "Networks of the load balancer's subnets, whose X-Forwarded-For is believed (server.trusted_proxies)."
  type        = list(string)
  validation {
    condition     = length(var.trusted_proxies) > 0 && alltrue([for cidr in var.trusted_proxies : can(cidrnetmask(cidr))])
    error_message = "trusted_proxies: each must be an IPv4 network; write those of the load balancer's subnets, as 10.0.0.0/24."
  }
  validation {
    condition     = alltrue([for cidr in var.trusted_proxies : try(tonumber(split("/", cidr)[1]), 0) >= 16])
    error_message = "trusted_proxies: a network wider than a /16 lets others than the load balancer name any client address; write its subnets."
  }
}

variable "mlflow_url" {
  description = "Where MLflow answers in the VPC (mlflow.url), such as http://mlflow.hokusai.internal:5000."
  type        = string
  validation {
    condition     = can(regex("^https?://[A-Za-z0-9.-]+:5000$", var.mlflow_url))
    error_message = "mlflow_url: the way to MLflow is open on port 5000; write http://NAME:5000 with its Cloud Map name, never the public load balancer's."
  }
}

variable "mlflow_security_group_id" {
  description = "MLflow's security group."
  type        = string
}

variable "auth_service_url" {
  description = "Where the auth service answers (auth.service.url)."
  type        = string
  validation {
    condition     = can(regex("^https://[A-Za-z0-9.-]+(/.*)?$", var.auth_service_url))
    error_message = "auth_service_url: keys go there, and the way out is open for port 443; write https://auth.example.com."
  }
}

variable "auth_service_id" {
  description = "The service that keys must be valid for (auth.service.service_id), as the auth service calls it."
  type        = string
  default     = "platform"
}

variable "pepper_secret_arn" {
  description = "The secret whose value is auth.pepper: 32 random characters or more, the same for all tasks."
  type        = string
  validation {
    condition     = can(regex("^arn:aws[a-z-]*:secretsmanager:[^*]+:secret:[^*]+$", var.pepper_secret_arn))
    error_message = "pepper_secret_arn: not the ARN of one secret of Secrets Manager; write arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME."
  }
}

variable "redis" {
  description = "Redis: its security group, and the secret whose value is redis.url. null: none; tasks then share nothing."
  type        = object({ security_group_id = string, url_secret_arn = string })
  default     = null
}

variable "https_cidrs" {
  description = "Networks that may be reached by HTTPS: the auth service, ECR, Secrets Manager and CloudWatch, or their endpoints in the VPC."
  type        = list(string)
  default     = ["0.0.0.0/0"]
  validation {
    condition     = length(var.https_cidrs) > 0 && alltrue([for cidr in var.https_cidrs : can(cidrnetmask(cidr))])
    error_message = "https_cidrs: each must be an IPv4 network; write it as 10.0.0.0/16."
  }
}

variable "log_retention_days" {
  description = "Days that logs are kept; request lines have user ids and client addresses."
  type        = number
  default     = 90
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days: CloudWatch knows 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 and some longer; write one of them."
  }
}

variable "kms_key_arn" {
  description = "The key for the log group and the secrets; its policy must let logs.REGION.amazonaws.com use it. null: AWS's own keys."
  type        = string
  default     = null
}
