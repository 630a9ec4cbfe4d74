variable "name" {
  description = "What the service, its database and its roles are called."
  type        = string
  default     = "hokusai-mlflow"
  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) <= 54
    error_message = "name: small letters, digits and single hyphens, 54 at most (a database is called after it); write one such as \"hokusai-mlflow\"."
  }
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
  description = "The region, for the log driver and S3."
  type        = string
}

variable "cluster_arn" {
  description = "The ECS cluster."
  type        = string
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of the tasks and the database, in at least two availability zones, with a way to HTTPS."
  type        = list(string)
  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids: RDS wants subnets in at least two availability zones; write two or more."
  }
}

variable "gateway_security_group_id" {
  description = "The gateway's security group, the only one that is let in."
  type        = string
}

variable "https_cidrs" {
  description = "Networks that may be reached by HTTPS: S3, ECR, Secrets Manager and CloudWatch, or their endpoints in the VPC."
  type        = list(string)
  default     = ["0.0.0.0/0"]
  validation {
    condition     = length(var.https_cidrs) > 0 && alltrue([for cidr in var.https_cidrs : can(cidrnetmask(cidr))])
    error_message = "https_cidrs: each must be an IPv4 network; write it as 10.0.0.0/16."
  }
}

variable "namespace" {
  description = "The private DNS zone that Cloud Map makes in the VPC."
  type        = string
  default     = "hokusai.internal"
  validation {
    condition     = can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.namespace))
    error_message = "namespace: not a DNS name with a dot; write one such as \"hokusai.internal\"."
  }
}

variable "discovery_name" {
  description = "MLflow's name in that zone."
  type        = string
  default     = "mlflow"
}

variable "kek_passphrase_secret_arn" {
  description = "The secret with MLFLOW_CRYPTO_KEK_PASSPHRASE, made beforehand: aws secretsmanager create-secret --name hokusai-mlflow-kek --secret-string \"$(openssl rand -hex 32)\". Keep a copy: without it the model providers' keys in MLflow's database are lost."
  type        = string
  validation {
    condition     = can(regex("^arn:aws[a-z-]*:secretsmanager:[^*]+:secret:[^*]+$", var.kek_passphrase_secret_arn))
    error_message = "kek_passphrase_secret_arn: not the ARN of one secret; write arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-XXXXXX."
  }
}

variable "image" {
  description = "An image with mlflow, psycopg and boto3, by tag or digest."
  type        = string
  validation {
    condition     = can(regex("(@sha256:[0-9a-f]{64}|:[A-Za-z0-9_.-]+)$", var.image)) && !endswith(var.image, ":latest")
    error_message = "image: which version runs would be chance, and a newer one changes the database; write a tag other than latest, or a digest."
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

variable "tasks" {
  description = "MLflow servers. They share the database and the bucket."
  type        = number
  default     = 2
  validation {
    condition     = var.tasks >= 1
    error_message = "tasks: write 1 or more."
  }
}

variable "workers" {
  description = "Worker processes of a server."
  type        = number
  default     = 4
}

variable "cpu" {
  description = "CPU units of a task; 1024 are one core."
  type        = number
  default     = 1024
}

variable "memory" {
  description = "Memory of a task in MiB; about 300 for each worker."
  type        = number
  default     = 4096
}

variable "log_retention_days" {
  description = "Days that logs are kept, one of those that CloudWatch knows."
  type        = number
  default     = 90
}

variable "kms_key_arn" {
  description = "The key for the bucket, the database, its password and the log group. null: AWS's own keys."
  type        = string
  default     = null
}
