# All of it in one VPC: the load balancer, the gateway, MLflow, Redis, and the alarms. A start for a root module of your own,
# which adds its backend for the state: encrypted, for Redis's token is in it.

provider "aws" {
  region = var.region
  default_tags {
    tags = { Project = "hokusai-gateway", Env = var.env }
  }
}

resource "aws_ecs_cluster" "hokusai" {
  name = var.name
  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

locals {
  # The gateway's drain, and how long the load balancer waits for it.
  settle_time = 5
  drain_grace = var.drain_grace
}

module "routing" {
  source = "../routing"

  name                      = var.name
  vpc_id                    = var.vpc_id
  subnet_ids                = var.public_subnets[*].id
  certificate_arn           = var.certificate_arn
  gateway_security_group_id = module.gateway.security_group_id
  deregistration_delay      = local.settle_time + local.drain_grace
  other_rules               = var.other_rules
  other_targets             = var.other_targets
  access_logs               = var.access_logs
  deletion_protection       = var.deletion_protection
}

module "gateway" {
  source = "../gateway"

  name       = var.name
  env        = var.env
  account_id = var.account_id
  region     = var.region

  cluster_arn          = aws_ecs_cluster.hokusai.arn
  image                = var.gateway_image
  image_repository_arn = var.gateway_image_repository_arn
  settle_time          = local.settle_time
  drain_grace          = local.drain_grace

  vpc_id                = var.vpc_id
  subnet_ids            = var.private_subnet_ids
  alb_security_group_id = module.routing.security_group_id
  target_group_arn      = module.routing.target_group_arn
  request_count_label   = module.routing.request_count_label
  trusted_proxies       = var.public_subnets[*].cidr

  mlflow_url               = module.mlflow.url
  mlflow_security_group_id = module.mlflow.security_group_id
  auth_service_url         = var.auth_service_url
  auth_service_id          = var.auth_service_id
  pepper_secret_arn        = var.pepper_secret_arn
  redis                    = var.with_redis ? module.redis[0].connection : null

  kms_key_arn = var.kms_key_arn
}

module "mlflow" {
  source = "../mlflow"

  name       = "${var.name}-mlflow"
  account_id = var.account_id
  region     = var.region

  cluster_arn          = aws_ecs_cluster.hokusai.arn
  image                = var.mlflow_image
  image_repository_arn = var.mlflow_image_repository_arn
  bucket               = var.artifact_bucket

  vpc_id                    = var.vpc_id
  subnet_ids                = var.private_subnet_ids
  gateway_security_group_id = module.gateway.security_group_id
  kek_passphrase_secret_arn = var.kek_passphrase_secret_arn

  deletion_protection = var.deletion_protection
  kms_key_arn         = var.kms_key_arn
}

module "redis" {
  source = "../redis"
  count  = var.with_redis ? 1 : 0

  name                      = "${var.name}-redis"
  vpc_id                    = var.vpc_id
  subnet_ids                = var.private_subnet_ids
  gateway_security_group_id = module.gateway.security_group_id
  auth_token                = var.redis_auth_token
  kms_key_arn               = var.kms_key_arn
}

module "alerting" {
  source = "../alerting"

  service        = var.name
  env            = var.env
  log_group_name = module.gateway.log_group_name
  emails         = var.alarm_emails
  kms_key_arn    = var.kms_key_arn
}
