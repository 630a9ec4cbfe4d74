mock_provider "aws" {
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:us-east-1:123456789012:hokusai-gateway-production-alarms" }
  }
}

variables {
  log_group_name = "/ecs/hokusai-gateway"
  emails         = ["oncall@example.com"]
}

run "the_log_is_counted_a_second_time" {
  assert {
    condition     = { for name, filter in aws_cloudwatch_log_metric_filter.backstop : name => filter.pattern } == { server-errors = "{ $.message = \"request\" && $.status >= 500 }", actor-died = "{ $.message = \"actor died*\" }" }
    error_message = "The filters look for something else."
  }
  assert {
    condition     = alltrue([for filter in aws_cloudwatch_log_metric_filter.backstop : filter.log_group_name == "/ecs/hokusai-gateway"])
    error_message = "A filter reads another log group."
  }
}

run "each_filter_has_an_alarm_that_tells_somebody" {
  assert {
    condition     = { for name, alarm in aws_cloudwatch_metric_alarm.backstop : name => alarm.metric_name } == { for name, filter in aws_cloudwatch_log_metric_filter.backstop : name => filter.metric_transformation[0].name }
    error_message = "An alarm looks at another metric than its filter makes."
  }
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.backstop : alarm.alarm_actions == toset([aws_sns_topic.alarms.arn])])
    error_message = "An alarm tells nobody."
  }
}

run "what_the_gateway_tells_of_itself_is_looked_at" {
  assert {
    condition     = contains(output.alarm_names, "hokusai-gateway-production-heartbeat") && length(output.alarm_names) > 10
    error_message = "The alarms over the gateway's own metrics are missing."
  }
}

run "a_name_is_no_address" {
  command = plan
  variables { emails = ["oncall"] }
  expect_failures = [var.emails]
}
