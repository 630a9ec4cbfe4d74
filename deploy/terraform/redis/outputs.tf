output "connection" {
  description = "What the gateway must know: the security group, and the secret whose value is redis.url."
  value = {
    security_group_id = aws_security_group.redis.id
    # A task that starts before the secret has a value fails.
    url_secret_arn = aws_secretsmanager_secret_version.url.arn
  }
}
