resource "aws_service_discovery_private_dns_namespace" "internal" {
  name        = var.namespace
  description = "Names inside the VPC."
  vpc         = var.vpc_id
}

resource "aws_service_discovery_service" "mlflow" {
  name = var.discovery_name

  dns_config {
    namespace_id   = aws_service_discovery_private_dns_namespace.internal.id
    routing_policy = "MULTIVALUE"
    dns_records {
      type = "A"
      # The gateway keeps no connection longer than a minute; an address that is gone should not be in use for longer either.
      ttl = 10
    }
  }

  # ECS tells it which tasks are healthy.
  health_check_custom_config {
    failure_threshold = 1
  }
}
