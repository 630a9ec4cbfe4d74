variable "name" {
  description = "What everything is called."
  type        = string
  default     = "hokusai-gateway"
}

variable "env" {
  description = "The environment: a tag, and a dimension of the metrics."
  type        = string
  default     = "production"
}

variable "account_id" {
  description = "The AWS account, twelve digits."
  type        = string
}

variable "region" {
  description = "The region."
  type        = string
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "public_subnets" {
  description = "The load balancer's subnets and their networks, in at least two availability zones."
  type        = list(object({ id = string, cidr = string }))
}

variable "private_subnet_ids" {
  description = "Subnets of everything else, in at least two availability zones; HTTPS leads out by a NAT gateway or by VPC endpoints."
  type        = list(string)
}

variable "certificate_arn" {
  description = "The ACM certificate of the public name."
  type        = string
}

variable "gateway_image" {
  description = "The gateway's image, with a tag or a digest."
  type        = string
}

variable "gateway_image_repository_arn" {
  description = "Its ECR repository; null if it is not in ECR."
  type        = string
  default     = null
}

variable "mlflow_image" {
  description = "MLflow's image, with psycopg and boto3, with a tag or a digest."
  type        = string
}

variable "mlflow_image_repository_arn" {
  description = "Its ECR repository; null if it is not in ECR."
  type        = string
  default     = null
}

variable "auth_service_url" {
  description = "Where the auth service answers, https."
  type        = string
}

variable "auth_service_id" {
  description = "The service that keys must be valid for, as the auth service calls it."
  type        = string
  default     = "platform"
}

variable "pepper_secret_arn" {
  description = "The secret with the gateway's pepper, made beforehand: aws secretsmanager create-secret --name hokusai-pepper --secret-string \"$(openssl rand -hex 32)\"."
  type        = string
}

variable "kek_passphrase_secret_arn" {
  description = "The secret with MLFLOW_CRYPTO_KEK_PASSPHRASE, made beforehand: aws secretsmanager create-secret --name hokusai-mlflow-kek --secret-string \"$(openssl rand -hex 32)\". Keep a copy: without it the model providers' keys in MLflow's database are lost."
  type        = string
}

variable "with_redis" {
  description = "Whether there is a Redis. Without one each task has its own limits, and asks the auth service about each key itself."
  type        = bool
  default     = true
}

variable "redis_auth_token" {
  description = "Redis's password, as TF_VAR_redis_auth_token: 32 to 128 letters and digits."
  type        = string
  sensitive   = true
  default     = null
  validation {
    condition     = !var.with_redis || var.redis_auth_token != null
    error_message = "redis_auth_token: Redis needs one; export TF_VAR_redis_auth_token=$(openssl rand -hex 32), and keep it, or write with_redis = false."
  }
}

variable "artifact_bucket" {
  description = "The bucket that is made for artifacts."
  type        = string
}

variable "drain_grace" {
  description = "Seconds that uploads in flight get at a deployment; up to 114."
  type        = number
  default     = 30
  validation {
    condition     = var.drain_grace >= 30
    error_message = "drain_grace: write 30 or more; with less a deployment cuts uploads that the defaults would finish."
  }
}

variable "other_rules" {
  description = "Rules of other services on this load balancer, behind the gateway's: see ../routing."
  type = list(object({
    name             = string
    priority         = number
    path_patterns    = list(string)
    target_group_arn = string
  }))
  default = []
}

variable "other_targets" {
  description = "Security groups and ports of their targets."
  type        = list(object({ security_group_id = string, port = number }))
  default     = []
}

variable "access_logs" {
  description = "The bucket for the load balancer's access logs; null: none."
  type        = object({ bucket = string, prefix = optional(string) })
  default     = null
}

variable "alarm_emails" {
  description = "Addresses that are told of alarms."
  type        = list(string)
  default     = []
}

variable "deletion_protection" {
  description = "Whether the load balancer and the database are kept from being deleted."
  type        = bool
  default     = true
}

variable "kms_key_arn" {
  description = "A key for logs, the bucket, the database, Redis, secrets and alarms; its policy must let logs.REGION.amazonaws.com and cloudwatch.amazonaws.com use it. null: AWS's own keys."
  type        = string
  default     = null
}
