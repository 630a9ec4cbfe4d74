# CloudWatch alarms over what the gateway writes with telemetry.emf = true. What they say is data: alarms.json, which the
# tests put to the gateway's own data points for each outage. Ratios are over five minutes, as in Prometheus's rules.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }
  }
}

locals {
  alarms = jsondecode(file("${path.module}/alarms.json"))
  # One for each class of errors; the others as they are.
  by_class = merge([
    for name, alarm in local.alarms : {
      for class in try(alarm.classes, [""]) :
      (class == "" ? name : "${name}-${class}") => merge(alarm, { class = class })
    }
  ]...)
}

resource "aws_cloudwatch_metric_alarm" "gateway" {
  for_each = local.by_class

  alarm_name          = "${var.service}-${var.env}-${each.key}"
  alarm_description   = each.value.description
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  evaluation_periods  = each.value.periods
  treat_missing_data  = each.value.missing
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions

  metric_query {
    id          = "result"
    expression  = each.value.expression
    label       = each.key
    return_data = true
  }

  dynamic "metric_query" {
    for_each = each.value.metrics
    content {
      id = metric_query.key
      metric {
        namespace   = "Hokusai/Gateway"
        metric_name = metric_query.value.name
        stat        = metric_query.value.stat
        period      = each.value.period
        dimensions = merge(
          { Service = var.service, Env = var.env },
          metric_query.value.name == "Errors" ? { ErrorClass = each.value.class } : {},
        )
      }
    }
  }
}
