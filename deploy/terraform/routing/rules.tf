# Which path goes where is data: rules.json for the gateway, var.other_rules for the others. What is in neither is a 404.
#
# Not here, on purpose: /metrics, which is nobody's outside the VPC; and /api/2.0mlflow/experiments/search-datasets, MLflow's
# path without a slash: at the root the gateway has no such mount. MLflow's UI asks for its twin under /ajax-api, and under
# /api/mlflow it goes through as any other.

locals {
  rules = { for rule in jsondecode(file("${path.module}/rules.json")) : rule.name => rule }
}

resource "aws_lb_listener_rule" "gateway" {
  for_each = local.rules

  listener_arn = aws_lb_listener.https.arn
  priority     = each.value.priority
  tags         = { Name = "${var.name}-${each.key}" }

  condition {
    path_pattern {
      values = each.value.path_patterns
    }
  }

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.gateway.arn
  }

  lifecycle {
    precondition {
      condition     = each.value.target == "gateway"
      error_message = "rules.json: the rule ${each.key} leads to ${each.value.target}; this file is the gateway's, write \"gateway\", or use other_rules."
    }
  }
}

resource "aws_lb_listener_rule" "other" {
  for_each = { for rule in var.other_rules : rule.name => rule }

  listener_arn = aws_lb_listener.https.arn
  priority     = each.value.priority
  tags         = { Name = "${var.name}-other-${each.key}" }

  condition {
    path_pattern {
      values = each.value.path_patterns
    }
  }

  action {
    type             = "forward"
    target_group_arn = each.value.target_group_arn
  }

  lifecycle {
    precondition {
      condition     = !contains(values(local.rules)[*].priority, each.value.priority)
      error_message = "other_rules: ${each.key} has the priority ${each.value.priority}, which rules.json has for the gateway; write another, above ${max(values(local.rules)[*].priority...)}."
    }
    precondition {
      condition     = length(local.taken[each.key]) == 0
      error_message = "other_rules: ${each.key} stands before the gateway (priority ${each.value.priority}) and takes its ${join(", ", local.taken[each.key])}; write a priority above ${max(values(local.rules)[*].priority...)}."
    }
  }
}

locals {
  # A pattern as a regular expression: * is any text, slashes included, ? is one character.
  expressions = {
    for rule in var.other_rules : rule.name => [
      for pattern in rule.path_patterns :
      "^\\Q${replace(replace(pattern, "*", "\\E.*\\Q"), "?", "\\E.\\Q")}\\E$"
    ]
  }
  # The gateway's patterns that a rule of another takes away, for it stands before them: /api* before /api/mlflow/* once did.
  taken = {
    for rule in var.other_rules : rule.name => distinct(flatten([
      for ours in values(local.rules) : [
        for pattern in ours.path_patterns : pattern if rule.priority < ours.priority && anytrue([
          for expression in local.expressions[rule.name] : can(regex(expression, replace(pattern, "*", "any")))
        ])
      ]
    ]))
  }
}
