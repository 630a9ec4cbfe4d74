locals {
  database_name       = "mlflow"
  database_user       = "mlflow"
  database_secret_arn = aws_db_instance.mlflow.master_user_secret[0].secret_arn
}

resource "aws_db_subnet_group" "mlflow" {
  name        = var.name
  description = "MLflow's database."
  subnet_ids  = var.subnet_ids
}

resource "aws_db_parameter_group" "mlflow" {
  name        = "${var.name}-postgres${var.postgres_version}"
  family      = "postgres${var.postgres_version}"
  description = "TLS or nothing; what takes long is logged."

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }
  parameter {
    name  = "log_min_duration_statement"
    value = "1000"
  }
  parameter {
    name  = "log_statement"
    value = "ddl"
  }
}

resource "aws_db_instance" "mlflow" {
  #checkov:skip=CKV_AWS_118:enhanced monitoring wants a role of its own for a view inside the operating system; Performance Insights tells what is slow
  #checkov:skip=CKV_AWS_161:MLflow cannot sign in with tokens that last for fifteen minutes
  #checkov:skip=CKV_AWS_354:encrypted with the account's own key where kms_key_arn names one, else with RDS's
  identifier     = var.name
  engine         = "postgres"
  engine_version = var.postgres_version
  instance_class = var.database_instance_class
  db_name        = local.database_name
  username       = local.database_user
  # RDS makes the password, keeps it in Secrets Manager and tells neither Terraform nor its state.
  manage_master_user_password   = true
  master_user_secret_kms_key_id = var.kms_key_arn

  allocated_storage     = var.database_storage_gib
  max_allocated_storage = var.database_storage_gib * 10
  storage_type          = "gp3"
  storage_encrypted     = true
  kms_key_id            = var.kms_key_arn

  multi_az               = var.database_multi_az
  publicly_accessible    = false
  db_subnet_group_name   = aws_db_subnet_group.mlflow.name
  vpc_security_group_ids = [aws_security_group.database.id]
  parameter_group_name   = aws_db_parameter_group.mlflow.name

  backup_retention_period   = var.backup_retention_days
  copy_tags_to_snapshot     = true
  deletion_protection       = var.deletion_protection
  skip_final_snapshot       = false
  final_snapshot_identifier = "${var.name}-final"

  auto_minor_version_upgrade      = true
  enabled_cloudwatch_logs_exports = ["postgresql", "upgrade"]
  performance_insights_enabled    = true
  performance_insights_kms_key_id = var.kms_key_arn
}

# RDS would change it every week, and a task knows what it was given at its start: a new deployment must follow each change.
resource "aws_secretsmanager_secret_rotation" "database" {
  #checkov:skip=CKV_AWS_304:each change wants a new deployment of MLflow, so how often is a decision (password_rotation_days)
  secret_id          = local.database_secret_arn
  rotate_immediately = false
  rotation_rules {
    automatically_after_days = var.password_rotation_days
  }
}
