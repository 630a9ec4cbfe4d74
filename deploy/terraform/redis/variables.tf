variable "name" {
  description = "What the replication group and its secret are called."
  type        = string
  default     = "hokusai-redis"
  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) <= 40
    error_message = "name: ElastiCache wants small letters, digits and single hyphens, 40 at most; write one such as \"hokusai-redis\"."
  }
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets, in at least two availability zones."
  type        = list(string)
  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids: with one subnet a zone that fails takes all nodes; write two or more."
  }
}

variable "gateway_security_group_id" {
  description = "The gateway's security group, the only one that is let in."
  type        = string
}

variable "auth_token" {
  description = "Redis's password; give it as TF_VAR_…, from where your secrets are. It is in Terraform's state: keep that encrypted."
  type        = string
  sensitive   = true
  validation {
    condition     = can(regex("^[A-Za-z0-9]{32,128}$", var.auth_token))
    error_message = "auth_token: 32 to 128 letters and digits, for it becomes part of an address; write what `openssl rand -hex 32` prints."
  }
}

variable "node_type" {
  description = "The machine of each node."
  type        = string
  default     = "cache.t4g.small"
}

variable "nodes" {
  description = "Nodes, the primary among them; one takes over when it fails."
  type        = number
  default     = 2
  validation {
    condition     = var.nodes >= 2 && var.nodes <= 6
    error_message = "nodes: a primary and one to five replicas; write 2 to 6."
  }
}

variable "kms_key_arn" {
  description = "The key for Redis and the secret. null: AWS's own keys."
  type        = string
  default     = null
}
