locals {
  port = 5000
  # The only name that it answers to: the gateway sends it as the Host.
  host = "${var.discovery_name}.${var.namespace}"
}

resource "aws_ecs_service" "mlflow" {
  name            = var.name
  cluster         = var.cluster_arn
  task_definition = aws_ecs_task_definition.mlflow.arn
  desired_count   = var.tasks
  launch_type     = "FARGATE"
  propagate_tags  = "SERVICE"

  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  # No load balancer: whoever reaches MLflow is its administrator.
  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.mlflow.id]
    assign_public_ip = false
  }

  service_registries {
    registry_arn = aws_service_discovery_service.mlflow.arn
  }

  depends_on = [
    aws_iam_role_policy.execution,
    aws_iam_role_policy.task,
    aws_vpc_security_group_egress_rule.database,
    aws_vpc_security_group_egress_rule.https,
  ]
}

resource "aws_ecs_task_definition" "mlflow" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn

  # All that it writes to: uploads on their way to the bucket. The image declares /tmp as a volume, or it would be root's.
  volume {
    name = "scratch"
  }

  container_definitions = jsonencode([{
    name      = "mlflow"
    image     = var.image
    essential = true
    # In the place of the image's own entry point, which has fewer settings.
    entryPoint = ["mlflow", "server"]
    command = [
      "--host", "0.0.0.0", "--port", tostring(local.port), "--workers", tostring(var.workers),
      # Without a password: the driver takes PGPASSWORD, so that it stands in no command line.
      "--backend-store-uri", "postgresql://${local.database_user}@${aws_db_instance.mlflow.endpoint}/${local.database_name}?sslmode=require",
      "--serve-artifacts", "--artifacts-destination", "s3://${aws_s3_bucket.artifacts.bucket}/artifacts",
      "--allowed-hosts", "${local.host}:${local.port}",
    ]

    readonlyRootFilesystem = true
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    mountPoints            = [{ sourceVolume = "scratch", containerPath = "/tmp", readOnly = false }]
    stopTimeout            = 120

    portMappings = [{ containerPort = local.port, hostPort = local.port, protocol = "tcp" }]
    environment = [
      { name = "HOME", value = "/tmp" },
      { name = "AWS_DEFAULT_REGION", value = var.region },
      { name = "MLFLOW_DISABLE_TELEMETRY", value = "true" },
      # Each job runner is a process of 240 MB, and runs what clients ask for.
      { name = "MLFLOW_SERVER_ENABLE_JOB_EXECUTION", value = "false" },
    ]
    secrets = [
      { name = "PGPASSWORD", valueFrom = "${local.database_secret_arn}:password::" },
      # By default one that everybody knows: whoever has a copy of the database would read the model providers' keys.
      { name = "MLFLOW_CRYPTO_KEK_PASSPHRASE", valueFrom = var.kek_passphrase_secret_arn },
    ]
    healthCheck = {
      command  = ["CMD", "python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:${local.port}/health', timeout=4)"]
      interval = 10
      timeout  = 5
      retries  = 3
      # It makes its tables at the first start.
      startPeriod = 120
    }

    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.mlflow.name
        awslogs-region        = var.region
        awslogs-stream-prefix = "mlflow"
      }
    }
  }])
}

resource "aws_cloudwatch_log_group" "mlflow" {
  #checkov:skip=CKV_AWS_158:encrypted with the account's own key where kms_key_arn names one, else with CloudWatch's
  #checkov:skip=CKV_AWS_338:how long logs are kept is a decision on personal data (log_retention_days)
  name              = "/ecs/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}
