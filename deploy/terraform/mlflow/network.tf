resource "aws_security_group" "mlflow" {
  name        = var.name
  description = "MLflow: in from the gateway and nobody else."
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "gateway" {
  security_group_id            = aws_security_group.mlflow.id
  description                  = "The gateway."
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
  referenced_security_group_id = var.gateway_security_group_id
}

resource "aws_vpc_security_group_egress_rule" "database" {
  security_group_id            = aws_security_group.mlflow.id
  description                  = "Its database."
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
  referenced_security_group_id = aws_security_group.database.id
}

resource "aws_vpc_security_group_egress_rule" "https" {
  for_each = toset(var.https_cidrs)

  security_group_id = aws_security_group.mlflow.id
  description       = "S3, the image registry, secrets and logs."
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = each.value
}

resource "aws_security_group" "database" {
  name        = "${var.name}-database"
  description = "MLflow's database: in from MLflow, no way out."
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  security_group_id            = aws_security_group.database.id
  description                  = "MLflow."
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
  referenced_security_group_id = aws_security_group.mlflow.id
}
