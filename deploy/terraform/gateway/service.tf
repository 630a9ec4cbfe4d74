resource "aws_ecs_service" "gateway" {
  name            = var.name
  cluster         = var.cluster_arn
  task_definition = aws_ecs_task_definition.gateway.arn
  desired_count   = var.min_tasks
  launch_type     = "FARGATE"
  propagate_tags  = "SERVICE"

  # No task is stopped before its successor is healthy, and a version that never gets healthy is taken back.
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = 30
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.gateway.id]
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = var.target_group_arn
    container_name   = "gateway"
    container_port   = var.port
  }

  lifecycle {
    # Autoscaling's.
    ignore_changes = [desired_count]
  }

  # A task that starts without its rights or its ways fails, and the first deployment with it.
  depends_on = [
    aws_iam_role_policy.execution,
    aws_vpc_security_group_egress_rule.https,
    aws_vpc_security_group_egress_rule.mlflow,
    aws_vpc_security_group_egress_rule.redis,
    aws_vpc_security_group_ingress_rule.alb,
  ]
}
