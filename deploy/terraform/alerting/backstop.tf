# A second look, at the lines of the log: it needs nothing of the gateway's EMF, and goes on telling if that stops.
locals {
  namespace = "Hokusai/GatewayLog"
  backstops = {
    server-errors = {
      metric      = "ServerErrors"
      pattern     = "{ $.message = \"request\" && $.status >= 500 }"
      threshold   = var.server_errors_in_5_minutes
      description = "Requests ended with a 5xx, by the lines of the log. docs/RUNBOOK.md#hokusaigatewayerrors"
    }
    actor-died = {
      metric      = "ActorsDied"
      pattern     = "{ $.message = \"actor died*\" }"
      threshold   = 0
      description = "A part of the gateway ended; its task is not ready any more. docs/RUNBOOK.md#hokusaigatewaymissing"
    }
  }
}

resource "aws_cloudwatch_log_metric_filter" "backstop" {
  for_each = local.backstops

  name           = "${var.service}-${var.env}-${each.key}"
  log_group_name = var.log_group_name
  pattern        = each.value.pattern

  metric_transformation {
    namespace     = local.namespace
    name          = each.value.metric
    value         = "1"
    default_value = "0"
    unit          = "Count"
  }
}

resource "aws_cloudwatch_metric_alarm" "backstop" {
  for_each = local.backstops

  alarm_name          = "${var.service}-${var.env}-log-${each.key}"
  alarm_description   = each.value.description
  namespace           = aws_cloudwatch_log_metric_filter.backstop[each.key].metric_transformation[0].namespace
  metric_name         = aws_cloudwatch_log_metric_filter.backstop[each.key].metric_transformation[0].name
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  # That nothing is logged at all is the heartbeat's to tell.
  treat_missing_data = "notBreaching"
  alarm_actions      = [aws_sns_topic.alarms.arn]
  ok_actions         = [aws_sns_topic.alarms.arn]
}
