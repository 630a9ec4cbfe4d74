# The whole is planned, put to the simulator and applied by tests/deploy; here is what the modules must agree on.
mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/hokusai" }
  }
}

variables {
  account_id                = "123456789012"
  region                    = "us-east-1"
  vpc_id                    = "vpc-0a1b2c3d"
  public_subnets            = [{ id = "subnet-0a", cidr = "10.0.0.0/24" }, { id = "subnet-0b", cidr = "10.0.1.0/24" }]
  private_subnet_ids        = ["subnet-0c", "subnet-0d"]
  certificate_arn           = "arn:aws:acm:us-east-1:123456789012:certificate/12345678"
  gateway_image             = "registry.example.com/hokusai-gateway:1.0.0"
  mlflow_image              = "registry.example.com/mlflow:3.17.2"
  auth_service_url          = "https://auth.example.com"
  kek_passphrase_secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:kek-AbCdEf"
  pepper_secret_arn         = "arn:aws:secretsmanager:us-east-1:123456789012:secret:pepper-AbCdEf"
  redis_auth_token          = "obviouslyatokenofatest0000000000"
  artifact_bucket           = "hokusai-artifacts"
}

run "mlflow_answers_where_the_gateway_asks" {
  command = plan
  assert {
    condition     = output.mlflow_url == "http://mlflow.hokusai.internal:5000"
    error_message = "MLflow has another address."
  }
}

run "redis_without_a_token_is_refused" {
  command = plan
  variables { redis_auth_token = null }
  expect_failures = [var.redis_auth_token]
}

run "no_redis_needs_no_token" {
  command = plan
  variables {
    with_redis       = false
    redis_auth_token = null
  }
  assert {
    condition     = length(module.redis) == 0
    error_message = "There is a Redis."
  }
}

run "a_drain_shorter_than_the_default_is_refused" {
  command = plan
  variables { drain_grace = 10 }
  expect_failures = [var.drain_grace]
}
