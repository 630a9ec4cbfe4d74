output "security_group_id" {
  description = "The gateway's security group, which MLflow, Redis and the load balancer must know."
  value       = aws_security_group.gateway.id
}

output "service_name" {
  description = "The ECS service."
  value       = aws_ecs_service.gateway.name
}

output "log_group_name" {
  description = "The log group, for metric filters."
  value       = aws_cloudwatch_log_group.gateway.name
}

output "task_definition_arn" {
  description = "The task definition, with its revision."
  value       = aws_ecs_task_definition.gateway.arn
}
