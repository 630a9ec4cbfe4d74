resource "aws_security_group" "gateway" {
  name        = var.name
  description = "The gateway: in from the load balancer, out to MLflow, Redis and HTTPS."
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "alb" {
  security_group_id            = aws_security_group.gateway.id
  description                  = "The load balancer."
  ip_protocol                  = "tcp"
  from_port                    = var.port
  to_port                      = var.port
  referenced_security_group_id = var.alb_security_group_id
}

resource "aws_vpc_security_group_egress_rule" "mlflow" {
  security_group_id            = aws_security_group.gateway.id
  description                  = "MLflow."
  ip_protocol                  = "tcp"
  from_port                    = 5000
  to_port                      = 5000
  referenced_security_group_id = var.mlflow_security_group_id
}

resource "aws_vpc_security_group_egress_rule" "redis" {
  count = var.redis == null ? 0 : 1

  security_group_id            = aws_security_group.gateway.id
  description                  = "Redis."
  ip_protocol                  = "tcp"
  from_port                    = 6379
  to_port                      = 6379
  referenced_security_group_id = var.redis.security_group_id
}

resource "aws_vpc_security_group_egress_rule" "https" {
  for_each = toset(var.https_cidrs)

  security_group_id = aws_security_group.gateway.id
  description       = "The auth service, the image registry, secrets and logs."
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = each.value
}
