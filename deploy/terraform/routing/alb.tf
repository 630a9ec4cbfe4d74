resource "aws_lb" "public" {
  #checkov:skip=CKV_AWS_91:access logs are an option (access_logs): their bucket is the account's
  #checkov:skip=CKV2_AWS_28:a web application firewall is the account's to choose; the gateway refuses what is malformed
  name               = var.name
  load_balancer_type = "application"
  internal           = false
  security_groups    = [aws_security_group.alb.id]
  subnets            = var.subnet_ids

  # Shorter than the gateway's server.keep_alive, so that it never closes a connection on which a request is coming.
  idle_timeout               = var.idle_timeout
  drop_invalid_header_fields = true
  enable_deletion_protection = var.deletion_protection
  # The gateway believes X-Forwarded-For from these subnets: the balancer appends the peer, whatever a client wrote.
  xff_header_processing_mode = "append"
  desync_mitigation_mode     = "defensive"

  dynamic "access_logs" {
    for_each = var.access_logs[*]
    content {
      enabled = true
      bucket  = access_logs.value.bucket
      prefix  = access_logs.value.prefix
    }
  }
}

resource "aws_lb_target_group" "gateway" {
  #checkov:skip=CKV_AWS_378:TLS ends at the load balancer; from there it is the VPC's network, between two security groups
  name        = var.name
  vpc_id      = var.vpc_id
  target_type = "ip"
  protocol    = "HTTP"
  port        = var.gateway_port

  # What transfers in flight get when a task goes: as long as the gateway itself would give them.
  deregistration_delay = var.deregistration_delay
  # Uploads and reads differ by orders of magnitude: round robin would pile the long ones up.
  load_balancing_algorithm_type = "least_outstanding_requests"

  health_check {
    # Needs no key and waits for nobody: a load balancer that asked for MLflow would stop every gateway with it.
    path                = "/health"
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}
