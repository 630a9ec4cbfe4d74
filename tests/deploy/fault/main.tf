# The fault of old: another service's /api* stood at priority 100, the gateway's own rules behind it at 200. Kept to be found.
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

locals {
  listener = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/public/0123456789abcdef/0123456789abcdef"
}

resource "aws_lb_target_group" "gateway" {
  name        = "hokusai-gateway"
  target_type = "ip"
  protocol    = "HTTP"
  port        = 8001
  vpc_id      = "vpc-0a1b2c3d4e5f60718"
}

resource "aws_lb_listener_rule" "platform" {
  listener_arn = local.listener
  priority     = 100
  condition {
    path_pattern { values = ["/api*"] }
  }
  action {
    type             = "forward"
    target_group_arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/platform-api/0123456789abcdef"
  }
}

resource "aws_lb_listener_rule" "api" {
  listener_arn = local.listener
  priority     = 200
  condition {
    path_pattern { values = ["/api/mlflow/*"] }
  }
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.gateway.arn
  }
}

resource "aws_lb_listener_rule" "ui" {
  listener_arn = local.listener
  priority     = 201
  condition {
    path_pattern { values = ["/mlflow/*", "/api/mlflow"] }
  }
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.gateway.arn
  }
}
