mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/hokusai-mlflow" }
  }
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::hokusai-artifacts" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:/ecs/hokusai-mlflow" }
  }
  mock_resource "aws_service_discovery_service" {
    defaults = { arn = "arn:aws:servicediscovery:us-east-1:123456789012:service/srv-0a1b2c3d" }
  }
  mock_resource "aws_db_instance" {
    defaults = {
      endpoint = "hokusai-mlflow.abc.us-east-1.rds.amazonaws.com:5432"
      master_user_secret = [{
        secret_arn    = "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!db-AbCdEf"
        secret_status = "active"
        kms_key_id    = "alias/aws/secretsmanager"
      }]
    }
  }
}

variables {
  account_id                = "123456789012"
  region                    = "us-east-1"
  cluster_arn               = "arn:aws:ecs:us-east-1:123456789012:cluster/hokusai"
  vpc_id                    = "vpc-0a1b2c3d"
  subnet_ids                = ["subnet-0a", "subnet-0b"]
  gateway_security_group_id = "sg-gateway"
  image                     = "registry.example.com/mlflow:3.17.2"
  image_repository_arn      = "arn:aws:ecr:us-east-1:123456789012:repository/mlflow"
  bucket                    = "hokusai-artifacts"
  kek_passphrase_secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:kek-AbCdEf"
}

run "nobody_but_the_gateway_reaches_mlflow" {
  assert {
    condition     = aws_vpc_security_group_ingress_rule.gateway.referenced_security_group_id == "sg-gateway" && aws_vpc_security_group_ingress_rule.gateway.from_port == 5000 && aws_vpc_security_group_ingress_rule.gateway.to_port == 5000
    error_message = "MLflow lets somebody else in, or to another port."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.gateway.cidr_ipv4 == null
    error_message = "MLflow lets a network in."
  }
  assert {
    condition     = length(aws_ecs_service.mlflow.load_balancer) == 0
    error_message = "MLflow is behind a load balancer."
  }
  assert {
    condition     = !one(aws_ecs_service.mlflow.network_configuration).assign_public_ip
    error_message = "MLflow has a public address."
  }
}

run "it_answers_to_its_own_name_only" {
  assert {
    condition     = output.url == "http://mlflow.hokusai.internal:5000"
    error_message = "The address is another one."
  }
  assert {
    condition     = strcontains(join(" ", jsondecode(aws_ecs_task_definition.mlflow.container_definitions)[0].command), "--allowed-hosts mlflow.hokusai.internal:5000")
    error_message = "MLflow would refuse the Host that the gateway sends, or believe others."
  }
}

run "artifacts_go_through_mlflow_to_the_bucket" {
  assert {
    condition     = strcontains(join(" ", jsondecode(aws_ecs_task_definition.mlflow.container_definitions)[0].command), "--serve-artifacts --artifacts-destination s3://hokusai-artifacts/artifacts")
    error_message = "Artifacts go somewhere else."
  }
}

run "what_the_container_runs_is_mlflow_server_once" {
  assert {
    condition     = jsonencode(jsondecode(aws_ecs_task_definition.mlflow.container_definitions)[0].entryPoint) == jsonencode(["mlflow", "server"])
    error_message = "An image's own entry point would be put before the command."
  }
  assert {
    condition     = !contains(jsondecode(aws_ecs_task_definition.mlflow.container_definitions)[0].command, "server")
    error_message = "The entry point says it already."
  }
}

run "the_password_is_in_no_command_line" {
  assert {
    condition     = strcontains(join(" ", jsondecode(aws_ecs_task_definition.mlflow.container_definitions)[0].command), "postgresql://mlflow@hokusai-mlflow.abc.us-east-1.rds.amazonaws.com:5432/mlflow?sslmode=require")
    error_message = "The database's address has something else in it than the user's name, or no TLS."
  }
  assert {
    condition     = contains(jsondecode(aws_ecs_task_definition.mlflow.container_definitions)[0].secrets, { name = "PGPASSWORD", valueFrom = "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!db-AbCdEf:password::" })
    error_message = "The password does not come from the secret that RDS keeps."
  }
}

run "what_seals_the_providers_keys_comes_from_a_secret" {
  assert {
    condition     = contains(jsondecode(aws_ecs_task_definition.mlflow.container_definitions)[0].secrets, { name = "MLFLOW_CRYPTO_KEK_PASSPHRASE", valueFrom = "arn:aws:secretsmanager:us-east-1:123456789012:secret:kek-AbCdEf" })
    error_message = "MLflow would seal the providers' keys with a passphrase that everybody knows."
  }
  assert {
    condition     = alltrue([for one in jsondecode(aws_ecs_task_definition.mlflow.container_definitions)[0].environment : !strcontains(one.name, "KEK")])
    error_message = "The passphrase is readable in the task definition."
  }
  assert {
    condition = length([
      for statement in jsondecode(aws_iam_role_policy.execution.policy).Statement : statement
      if statement.Action == "secretsmanager:GetSecretValue" && try(contains(statement.Resource, "arn:aws:secretsmanager:us-east-1:123456789012:secret:kek-AbCdEf"), false)
    ]) == 1
    error_message = "The task may not read the secret, and does not start."
  }
}

run "a_passphrase_in_the_place_of_its_secret_is_refused" {
  command = plan
  variables { kek_passphrase_secret_arn = "obviously-a-passphrase-of-a-test" }
  expect_failures = [var.kek_passphrase_secret_arn]
}

run "the_bucket_is_private_and_keeps_what_was_deleted" {
  assert {
    condition     = aws_s3_bucket_public_access_block.artifacts.block_public_acls && aws_s3_bucket_public_access_block.artifacts.block_public_policy && aws_s3_bucket_public_access_block.artifacts.ignore_public_acls && aws_s3_bucket_public_access_block.artifacts.restrict_public_buckets
    error_message = "The bucket can be made public."
  }
  assert {
    condition     = aws_s3_bucket_versioning.artifacts.versioning_configuration[0].status == "Enabled"
    error_message = "The bucket has no versions."
  }
  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.artifacts.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "The bucket is not encrypted."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.artifacts.policy).Statement :
      statement.Effect == "Deny" && statement.Condition.Bool["aws:SecureTransport"] == "false" && length(statement.Resource) == 2
    ])
    error_message = "The bucket can be used without TLS."
  }
}

run "a_key_of_ones_own_is_used" {
  variables { kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/0a1b2c3d" }
  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.artifacts.rule).apply_server_side_encryption_by_default).kms_master_key_id == var.kms_key_arn && aws_db_instance.mlflow.kms_key_id == var.kms_key_arn
    error_message = "The bucket or the database has another key."
  }
  assert {
    condition = contains(flatten([
      for statement in jsondecode(aws_iam_role_policy.task.policy).Statement : statement.Action if statement.Resource == var.kms_key_arn
    ]), "kms:GenerateDataKey")
    error_message = "MLflow may not use the key, and can write no artifact."
  }
}

run "mlflow_may_touch_its_bucket_and_nothing_else" {
  assert {
    condition = alltrue([
      for resource in flatten([for statement in jsondecode(aws_iam_role_policy.task.policy).Statement : statement.Resource]) :
      startswith(resource, "arn:aws:s3:::hokusai-artifacts")
    ])
    error_message = "MLflow's role has other resources than its bucket."
  }
}

run "the_database_is_private_encrypted_and_kept" {
  assert {
    condition     = !aws_db_instance.mlflow.publicly_accessible && aws_db_instance.mlflow.storage_encrypted && aws_db_instance.mlflow.deletion_protection && !aws_db_instance.mlflow.skip_final_snapshot && aws_db_instance.mlflow.backup_retention_period > 0
    error_message = "The database is public, not encrypted, not backed up, or can be deleted."
  }
  assert {
    condition     = aws_db_instance.mlflow.manage_master_user_password && aws_db_instance.mlflow.password == null
    error_message = "The password is Terraform's to know."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.database.cidr_ipv4 == null && aws_vpc_security_group_ingress_rule.database.referenced_security_group_id == aws_security_group.mlflow.id
    error_message = "Somebody else than MLflow reaches the database."
  }
}

run "a_database_without_backups_is_refused" {
  command = plan
  variables { backup_retention_days = 0 }
  expect_failures = [var.backup_retention_days]
}

run "a_bucket_with_dots_is_refused" {
  command = plan
  variables { bucket = "artifacts.example.com" }
  expect_failures = [var.bucket]
}

run "latest_is_refused" {
  command = plan
  variables { image = "registry.example.com/mlflow:latest" }
  expect_failures = [var.image]
}

run "a_namespace_without_a_dot_is_refused" {
  command = plan
  variables { namespace = "internal" }
  expect_failures = [var.namespace]
}
