resource "aws_security_group" "alb" {
  name        = "${var.name}-alb"
  description = "The public load balancer."
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "public" {
  #checkov:skip=CKV_AWS_260:port 80 answers with a redirect to HTTPS and nothing else
  for_each = { for way in setproduct(["80", "443"], var.client_cidrs) : join(" ", way) => way }

  security_group_id = aws_security_group.alb.id
  description       = each.value[0] == "443" ? "Clients." : "Clients, to be sent to HTTPS."
  ip_protocol       = "tcp"
  from_port         = tonumber(each.value[0])
  to_port           = tonumber(each.value[0])
  cidr_ipv4         = each.value[1]
}

resource "aws_vpc_security_group_egress_rule" "gateway" {
  security_group_id            = aws_security_group.alb.id
  description                  = "The gateway."
  ip_protocol                  = "tcp"
  from_port                    = var.gateway_port
  to_port                      = var.gateway_port
  referenced_security_group_id = var.gateway_security_group_id
}

# Targets of the other rules are reached through their own security groups.
resource "aws_vpc_security_group_egress_rule" "other" {
  for_each = { for target in var.other_targets : "${target.security_group_id} ${target.port}" => target }

  security_group_id            = aws_security_group.alb.id
  description                  = "Targets of other_rules."
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  referenced_security_group_id = each.value.security_group_id
}
