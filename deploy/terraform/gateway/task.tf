locals {
  # A setting's name is that of config/default.toml; what is not here has its default there.
  environment = merge(
    {
      HOKUSAI__SERVER__BIND              = "0.0.0.0:${var.port}"
      HOKUSAI__SERVER__TRUSTED_PROXIES   = join(",", var.trusted_proxies)
      HOKUSAI__SERVER__SETTLE_TIME       = "${var.settle_time}s"
      HOKUSAI__SERVER__DRAIN_GRACE       = "${var.drain_grace}s"
      HOKUSAI__MLFLOW__URL               = var.mlflow_url
      HOKUSAI__AUTH__SERVICE__URL        = var.auth_service_url
      HOKUSAI__AUTH__SERVICE__SERVICE_ID = var.auth_service_id
      HOKUSAI__LIMITS__INSTANCES         = tostring(var.min_tasks)
      # CloudWatch has them from the log; no security group lets anybody to a second port.
      HOKUSAI__METRICS__BIND      = "off"
      HOKUSAI__TELEMETRY__LOG     = "json"
      HOKUSAI__TELEMETRY__EMF     = "true"
      HOKUSAI__TELEMETRY__SERVICE = var.name
      HOKUSAI__TELEMETRY__ENV     = var.env
    },
    var.settings,
  )
  secrets = merge(
    { HOKUSAI__AUTH__PEPPER = var.pepper_secret_arn },
    var.redis == null ? {} : { HOKUSAI__REDIS__URL = var.redis.url_secret_arn },
  )
}

resource "aws_ecs_task_definition" "gateway" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = aws_iam_role.execution.arn
  # No task role: the gateway calls nothing of AWS, and a container without credentials cannot lose any.

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }

  # The image declares it as a volume, or it would be root's.
  volume {
    name = "state"
  }

  container_definitions = jsonencode([{
    name      = "gateway"
    image     = var.image
    essential = true
    command   = ["serve"]

    user                   = "65532:65532"
    readonlyRootFilesystem = true
    # Usage that the auth service has not taken yet.
    mountPoints     = [{ sourceVolume = "state", containerPath = "/var/lib/hokusai-gateway", readOnly = false }]
    linuxParameters = { capabilities = { drop = ["ALL"] } }
    ulimits         = [{ name = "nofile", softLimit = 65536, hardLimit = 65536 }]
    # Fargate's longest. The drain ends before it, or transfers would be cut by a SIGKILL.
    stopTimeout = 120

    portMappings = [{ containerPort = var.port, hostPort = var.port, protocol = "tcp" }]
    environment  = [for name, value in local.environment : { name = name, value = value }]
    secrets      = [for name, arn in local.secrets : { name = name, valueFrom = arn }]
    healthCheck = {
      command     = ["CMD", "/usr/local/bin/hokusai-gateway", "healthcheck"]
      interval    = 10
      timeout     = 5
      retries     = 3
      startPeriod = 10
    }

    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.gateway.name
        awslogs-region        = var.region
        awslogs-stream-prefix = "gateway"
        # A log that cannot be written holds no request up.
        mode            = "non-blocking"
        max-buffer-size = "25m"
      }
    }
  }])
}
