mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/hokusai-gateway-execution" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:/ecs/hokusai-gateway" }
  }
}

variables {
  account_id               = "123456789012"
  region                   = "us-east-1"
  cluster_arn              = "arn:aws:ecs:us-east-1:123456789012:cluster/hokusai"
  image                    = "registry.example.com/hokusai-gateway:1.0.0"
  image_repository_arn     = "arn:aws:ecr:us-east-1:123456789012:repository/hokusai-gateway"
  vpc_id                   = "vpc-0a1b2c3d"
  subnet_ids               = ["subnet-0a", "subnet-0b"]
  alb_security_group_id    = "sg-alb"
  target_group_arn         = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/hokusai-gateway/0123456789abcdef"
  request_count_label      = "app/hokusai-gateway/0123456789abcdef/targetgroup/hokusai-gateway/0123456789abcdef"
  trusted_proxies          = ["10.0.0.0/24", "10.0.1.0/24"]
  mlflow_url               = "http://mlflow.hokusai.internal:5000"
  mlflow_security_group_id = "sg-mlflow"
  auth_service_url         = "https://auth.example.com"
  pepper_secret_arn        = "arn:aws:secretsmanager:us-east-1:123456789012:secret:pepper-AbCdEf"
  redis = {
    security_group_id = "sg-redis"
    url_secret_arn    = "arn:aws:secretsmanager:us-east-1:123456789012:secret:redis-AbCdEf"
  }
}

run "the_container_has_as_little_as_can_be" {
  assert {
    condition     = jsondecode(aws_ecs_task_definition.gateway.container_definitions)[0].user == "65532:65532"
    error_message = "The container runs as somebody else than 65532."
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.gateway.container_definitions)[0].readonlyRootFilesystem
    error_message = "The root file system can be written."
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.gateway.container_definitions)[0].linuxParameters.capabilities.drop == ["ALL"]
    error_message = "The container keeps capabilities."
  }
  assert {
    condition     = aws_ecs_task_definition.gateway.task_role_arn == null
    error_message = "The container has credentials for AWS, of which it needs none."
  }
}

run "usage_that_waits_has_a_volume" {
  assert {
    condition = jsondecode(aws_ecs_task_definition.gateway.container_definitions)[0].mountPoints == [
      { sourceVolume = "state", containerPath = "/var/lib/hokusai-gateway", readOnly = false }
    ]
    error_message = "The root file system is read-only, and the gateway's usage has no place on disk."
  }
}

run "the_container_is_asked_by_the_binary_itself" {
  assert {
    condition     = jsondecode(aws_ecs_task_definition.gateway.container_definitions)[0].healthCheck.command == ["CMD", "/usr/local/bin/hokusai-gateway", "healthcheck"]
    error_message = "Another health check: the image has no shell and no curl."
  }
}

run "a_deployment_loses_no_upload" {
  assert {
    condition     = jsondecode(aws_ecs_task_definition.gateway.container_definitions)[0].stopTimeout > var.settle_time + var.drain_grace
    error_message = "The task is killed before its drain is over."
  }
  assert {
    condition     = aws_ecs_service.gateway.deployment_minimum_healthy_percent == 100
    error_message = "Tasks are stopped before others are there."
  }
  assert {
    condition     = one(aws_ecs_service.gateway.deployment_circuit_breaker).enable && one(aws_ecs_service.gateway.deployment_circuit_breaker).rollback
    error_message = "A version that does not get healthy is not taken back."
  }
}

run "only_the_load_balancer_gets_in" {
  assert {
    condition     = aws_vpc_security_group_ingress_rule.alb.referenced_security_group_id == "sg-alb" && aws_vpc_security_group_ingress_rule.alb.from_port == 8001 && aws_vpc_security_group_ingress_rule.alb.to_port == 8001
    error_message = "Something else than the load balancer is let in, or to another port."
  }
  assert {
    condition     = !one(aws_ecs_service.gateway.network_configuration).assign_public_ip
    error_message = "Tasks have public addresses."
  }
}

run "only_mlflow_redis_and_https_are_reached" {
  assert {
    condition     = aws_vpc_security_group_egress_rule.mlflow.referenced_security_group_id == "sg-mlflow" && aws_vpc_security_group_egress_rule.mlflow.to_port == 5000
    error_message = "MLflow is not reached."
  }
  assert {
    condition     = aws_vpc_security_group_egress_rule.redis[0].referenced_security_group_id == "sg-redis" && aws_vpc_security_group_egress_rule.redis[0].to_port == 6379
    error_message = "Redis is not reached."
  }
  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_egress_rule.https : rule.from_port == 443 && rule.to_port == 443])
    error_message = "More than HTTPS leads out."
  }
}

run "ecs_may_read_two_secrets_and_write_one_log_group" {
  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.execution.policy).Statement : statement.Resource if statement.Sid == "Secrets"
    ])) == toset([var.pepper_secret_arn, var.redis.url_secret_arn])
    error_message = "The role reads other secrets than the gateway's."
  }
  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.execution.policy).Statement : statement.Action if contains(flatten([statement.Resource]), "*")
    ])) == toset(["ecr:GetAuthorizationToken"])
    error_message = "The role may do more than sign in to ECR on all resources."
  }
  assert {
    condition = flatten([
      for statement in jsondecode(aws_iam_role_policy.execution.policy).Statement : statement.Resource if statement.Sid == "Log"
    ]) == ["${aws_cloudwatch_log_group.gateway.arn}:*"]
    error_message = "The role writes other log groups."
  }
}

run "secrets_come_from_secrets_manager" {
  assert {
    condition     = { for secret in jsondecode(aws_ecs_task_definition.gateway.container_definitions)[0].secrets : secret.name => secret.valueFrom } == { HOKUSAI__AUTH__PEPPER = var.pepper_secret_arn, HOKUSAI__REDIS__URL = var.redis.url_secret_arn }
    error_message = "The pepper or Redis's address is not taken from its secret."
  }
}

run "it_scales_with_cpu_and_requests" {
  assert {
    condition = toset([
      for policy in [aws_appautoscaling_policy.cpu, aws_appautoscaling_policy.requests] :
      policy.target_tracking_scaling_policy_configuration[0].predefined_metric_specification[0].predefined_metric_type
    ]) == toset(["ECSServiceAverageCPUUtilization", "ALBRequestCountPerTarget"])
    error_message = "It is not scaled by CPU and by requests."
  }
  assert {
    condition     = aws_appautoscaling_target.gateway.resource_id == "service/hokusai/hokusai-gateway"
    error_message = "Another service is scaled."
  }
}

run "without_redis_there_is_no_way_to_it" {
  variables { redis = null }
  assert {
    condition     = length(aws_vpc_security_group_egress_rule.redis) == 0 && length(jsondecode(aws_ecs_task_definition.gateway.container_definitions)[0].secrets) == 1
    error_message = "Something of Redis is left."
  }
}

run "a_drain_longer_than_fargate_waits_is_refused" {
  command = plan
  variables { drain_grace = 115 }
  expect_failures = [var.drain_grace]
}

run "trusting_everybody_is_refused" {
  command = plan
  variables { trusted_proxies = ["0.0.0.0/0"] }
  expect_failures = [var.trusted_proxies]
}

run "trusting_nobody_is_refused" {
  command = plan
  variables { trusted_proxies = [] }
  expect_failures = [var.trusted_proxies]
}

# Two of the faults that broke the service before this one: a bare host name, and the public load balancer.
run "an_mlflow_without_a_scheme_is_refused" {
  command = plan
  variables { mlflow_url = "mlflow.hokusai.internal:5000" }
  expect_failures = [var.mlflow_url]
}

run "mlflow_behind_the_public_balancer_is_refused" {
  command = plan
  variables { mlflow_url = "https://mlflow.example.com" }
  expect_failures = [var.mlflow_url]
}

run "keys_in_the_clear_to_the_auth_service_are_refused" {
  command = plan
  variables { auth_service_url = "http://auth.example.com" }
  expect_failures = [var.auth_service_url]
}

run "latest_is_refused" {
  command = plan
  variables { image = "registry.example.com/hokusai-gateway:latest" }
  expect_failures = [var.image]
}

run "all_secrets_are_no_secret" {
  command = plan
  variables { pepper_secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:*" }
  expect_failures = [var.pepper_secret_arn]
}

run "a_secret_among_the_settings_is_refused" {
  command = plan
  variables { settings = { HOKUSAI__MLFLOW__TOKEN = "obviously-a-token-of-a-test" } }
  expect_failures = [var.settings]
}

run "fewer_tasks_at_most_than_at_least_are_refused" {
  command = plan
  variables { max_tasks = 1 }
  expect_failures = [var.max_tasks]
}
