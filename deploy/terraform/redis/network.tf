resource "aws_security_group" "redis" {
  name        = var.name
  description = "Redis: in from the gateway, no way out."
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "gateway" {
  security_group_id            = aws_security_group.redis.id
  description                  = "The gateway."
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
  referenced_security_group_id = var.gateway_security_group_id
}
