# The whole address, token included, as the gateway's redis.url takes it: a host without its scheme or its token is of no use.
resource "aws_secretsmanager_secret" "url" {
  #checkov:skip=CKV_AWS_149:encrypted with the account's own key where kms_key_arn names one, else with Secrets Manager's
  #checkov:skip=CKV2_AWS_57:it changes with auth_token, in one apply for Redis and the gateway
  name        = "${var.name}-url"
  description = "redis.url of the gateway."
  kms_key_id  = var.kms_key_arn
}

resource "aws_secretsmanager_secret_version" "url" {
  secret_id     = aws_secretsmanager_secret.url.id
  secret_string = "rediss://:${var.auth_token}@${aws_elasticache_replication_group.redis.primary_endpoint_address}:${local.port}/0"
}
