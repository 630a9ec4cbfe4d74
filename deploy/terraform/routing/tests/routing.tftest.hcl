mock_provider "aws" {
  mock_resource "aws_lb" {
    defaults = { arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/hokusai-gateway/0123456789abcdef" }
  }
  mock_resource "aws_lb_target_group" {
    defaults = { arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/hokusai-gateway/0123456789abcdef" }
  }
  mock_resource "aws_lb_listener" {
    defaults = { arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/hokusai-gateway/0123456789abcdef/0123456789abcdef" }
  }
}

variables {
  vpc_id                    = "vpc-0a1b2c3d"
  subnet_ids                = ["subnet-0a", "subnet-0b"]
  certificate_arn           = "arn:aws:acm:us-east-1:123456789012:certificate/12345678"
  gateway_security_group_id = "sg-0a"
}

run "clients_are_served_over_tls_only" {
  assert {
    condition     = startswith(aws_lb_listener.https.ssl_policy, "ELBSecurityPolicy-TLS13-")
    error_message = "The HTTPS listener has no policy with TLS 1.3."
  }
  assert {
    condition     = aws_lb_listener.http.default_action[0].type == "redirect" && aws_lb_listener.http.default_action[0].redirect[0].protocol == "HTTPS"
    error_message = "The HTTP listener does something else than redirect to HTTPS."
  }
  assert {
    condition     = alltrue([for rule in aws_lb_listener_rule.gateway : rule.listener_arn == aws_lb_listener.https.arn])
    error_message = "A rule is not on the HTTPS listener, which once had none at all."
  }
}

run "a_path_without_a_rule_is_nobodys" {
  assert {
    condition     = aws_lb_listener.https.default_action[0].type == "fixed-response" && aws_lb_listener.https.default_action[0].fixed_response[0].status_code == "404"
    error_message = "The default action is not a 404."
  }
}

run "health_is_asked_without_a_key_and_without_mlflow" {
  assert {
    condition     = aws_lb_target_group.gateway.health_check[0].path == "/health" && aws_lb_target_group.gateway.health_check[0].matcher == "200"
    error_message = "The health check is not /health with a 200."
  }
}

run "the_balancer_is_careful" {
  assert {
    condition     = aws_lb.public.drop_invalid_header_fields && aws_lb.public.enable_deletion_protection && aws_lb.public.xff_header_processing_mode == "append"
    error_message = "Invalid headers pass, it can be deleted, or a client can write its own address."
  }
  assert {
    condition     = [for rule in aws_vpc_security_group_egress_rule.gateway[*] : "${rule.from_port} ${rule.referenced_security_group_id}"] == ["8001 sg-0a"]
    error_message = "The balancer can connect to something else than the gateway's port."
  }
}

run "an_idle_timeout_that_outlives_the_gateways_is_refused" {
  command = plan
  variables { idle_timeout = 75 }
  expect_failures = [var.idle_timeout]
}

run "a_deregistration_that_cuts_the_drain_is_refused" {
  command = plan
  variables { deregistration_delay = 34 }
  expect_failures = [var.deregistration_delay]
}

run "an_old_tls_policy_is_refused" {
  command = plan
  variables { ssl_policy = "ELBSecurityPolicy-2016-08" }
  expect_failures = [var.ssl_policy]
}

run "a_policy_with_tls_1_0_is_refused" {
  command = plan
  variables { ssl_policy = "ELBSecurityPolicy-TLS13-1-0-2021-06" }
  expect_failures = [var.ssl_policy]
}

run "one_subnet_is_refused" {
  command = plan
  variables { subnet_ids = ["subnet-0a"] }
  expect_failures = [var.subnet_ids]
}

run "no_certificate_is_refused" {
  command = plan
  variables { certificate_arn = "mlflow.example.com" }
  expect_failures = [var.certificate_arn]
}

# The fault that shut everybody out once.
run "a_rule_that_takes_the_gateways_paths_is_refused" {
  command = plan
  variables {
    other_rules = [{ name = "platform", priority = 5, path_patterns = ["/api*"], target_group_arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/platform/0123456789abcdef" }]
  }
  expect_failures = [aws_lb_listener_rule.other["platform"]]
}

run "a_priority_of_the_gateways_is_refused" {
  command = plan
  variables {
    other_rules = [{ name = "docs", priority = 10, path_patterns = ["/docs"], target_group_arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/docs/0123456789abcdef" }]
  }
  expect_failures = [aws_lb_listener_rule.other["docs"]]
}

run "a_rule_behind_the_gateways_is_taken" {
  variables {
    other_rules = [{ name = "platform", priority = 1000, path_patterns = ["/api", "/api/*"], target_group_arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/platform/0123456789abcdef" }]
  }
  assert {
    condition     = one(aws_lb_listener_rule.other["platform"].action).target_group_arn == var.other_rules[0].target_group_arn
    error_message = "The rule does not lead to its own target."
  }
}

run "a_rule_before_the_gateways_that_takes_none_of_its_paths_is_taken" {
  command = plan
  variables {
    other_rules = [{ name = "login", priority = 5, path_patterns = ["/signin*", "/api/auth?/*"], target_group_arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/login/0123456789abcdef" }]
  }
  assert {
    condition     = aws_lb_listener_rule.other["login"].priority == 5
    error_message = "It has another priority."
  }
}

run "four_patterns_are_refused" {
  command = plan
  variables {
    other_rules = [{ name = "many", priority = 1000, path_patterns = ["/a", "/b", "/c", "/d"], target_group_arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/many/0123456789abcdef" }]
  }
  expect_failures = [var.other_rules]
}

run "six_wildcards_are_refused" {
  command = plan
  variables {
    other_rules = [{ name = "many", priority = 1000, path_patterns = ["/a*b*", "/c?d?", "/e*f*"], target_group_arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/many/0123456789abcdef" }]
  }
  expect_failures = [var.other_rules]
}

run "two_rules_with_one_priority_are_refused" {
  command = plan
  variables {
    other_rules = [
      { name = "one", priority = 1000, path_patterns = ["/one"], target_group_arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/one/0123456789abcdef" },
      { name = "two", priority = 1000, path_patterns = ["/two"], target_group_arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/two/0123456789abcdef" },
    ]
  }
  expect_failures = [var.other_rules]
}
