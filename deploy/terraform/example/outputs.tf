output "dns_name" {
  description = "The load balancer's name: the public name is an alias or CNAME of it."
  value       = module.routing.dns_name
}

output "mlflow_url" {
  description = "Where MLflow answers in the VPC; nobody but the gateway reaches it."
  value       = module.mlflow.url
}

output "mlflow_service_name" {
  description = "MLflow's ECS service: after its database's password was changed, aws ecs update-service --force-new-deployment."
  value       = module.mlflow.service_name
}

output "alarm_topic_arn" {
  description = "The topic of the alarms."
  value       = module.alerting.topic_arn
}
