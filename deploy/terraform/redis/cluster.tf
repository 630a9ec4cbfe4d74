# One shard: what is in it are verdicts, limits and news of revocations, all of which can be made anew.
resource "aws_elasticache_replication_group" "redis" {
  #checkov:skip=CKV_AWS_191:encrypted with the account's own key where kms_key_arn names one, else with ElastiCache's
  replication_group_id = var.name
  description          = "What the gateway's tasks share."
  engine               = "redis"
  engine_version       = "7.1"
  node_type            = var.node_type
  port                 = local.port

  num_cache_clusters         = var.nodes
  automatic_failover_enabled = true
  multi_az_enabled           = true

  transit_encryption_enabled = true
  transit_encryption_mode    = "required"
  at_rest_encryption_enabled = true
  kms_key_id                 = var.kms_key_arn
  auth_token                 = var.auth_token
  # A new token is valid beside the old one: tasks that still have the old one go on.
  auth_token_update_strategy = "ROTATE"

  subnet_group_name    = aws_elasticache_subnet_group.redis.name
  security_group_ids   = [aws_security_group.redis.id]
  parameter_group_name = aws_elasticache_parameter_group.redis.name

  auto_minor_version_upgrade = true
  # Nothing in it is worth bringing back, and verdicts on keys belong in no backup.
  snapshot_retention_limit = 0
}

locals {
  port = 6379
}

resource "aws_elasticache_subnet_group" "redis" {
  name        = var.name
  description = "The gateway's Redis."
  subnet_ids  = var.subnet_ids
}

resource "aws_elasticache_parameter_group" "redis" {
  name        = "${var.name}-redis7"
  family      = "redis7"
  description = "Full is no fault: what was used least goes."

  parameter {
    name  = "maxmemory-policy"
    value = "allkeys-lru"
  }
}
