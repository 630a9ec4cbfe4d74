output "url" {
  description = "Where MLflow answers in the VPC: the gateway's mlflow_url."
  value       = "http://${local.host}:${local.port}"
}

output "security_group_id" {
  description = "MLflow's security group, which the gateway may connect to."
  value       = aws_security_group.mlflow.id
}

output "service_name" {
  description = "The ECS service, for a new deployment after the database's password was changed."
  value       = aws_ecs_service.mlflow.name
}

output "bucket" {
  description = "The bucket of the artifacts."
  value       = aws_s3_bucket.artifacts.bucket
}
