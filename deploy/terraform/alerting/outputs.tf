output "topic_arn" {
  description = "The topic, for subscriptions of a pager."
  value       = aws_sns_topic.alarms.arn
}

output "alarm_names" {
  description = "The names of all alarms."
  value = concat(
    module.alarms.alarm_names,
    [for alarm in aws_cloudwatch_metric_alarm.backstop : alarm.alarm_name],
  )
}
