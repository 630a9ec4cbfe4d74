mock_provider "aws" {
  mock_resource "aws_elasticache_replication_group" {
    defaults = { primary_endpoint_address = "master.hokusai-redis.abc.use1.cache.amazonaws.com" }
  }
}

variables {
  vpc_id                    = "vpc-0a1b2c3d"
  subnet_ids                = ["subnet-0a", "subnet-0b"]
  gateway_security_group_id = "sg-gateway"
  auth_token                = "obviouslyatokenofatest0000000000"
}

run "everything_is_encrypted" {
  assert {
    condition     = aws_elasticache_replication_group.redis.transit_encryption_enabled && aws_elasticache_replication_group.redis.transit_encryption_mode == "required" && tobool(aws_elasticache_replication_group.redis.at_rest_encryption_enabled)
    error_message = "Redis is reached without TLS, or is not encrypted at rest."
  }
  assert {
    condition     = nonsensitive(aws_elasticache_replication_group.redis.auth_token == var.auth_token)
    error_message = "Redis has no password."
  }
}

# A bare host, or an address without its token, broke the service before this one.
run "the_secret_is_the_whole_address" {
  assert {
    condition     = nonsensitive(aws_secretsmanager_secret_version.url.secret_string) == "rediss://:obviouslyatokenofatest0000000000@master.hokusai-redis.abc.use1.cache.amazonaws.com:6379/0"
    error_message = "The secret is no redis.url."
  }
}

run "only_the_gateway_gets_in" {
  assert {
    condition     = aws_vpc_security_group_ingress_rule.gateway.referenced_security_group_id == "sg-gateway" && aws_vpc_security_group_ingress_rule.gateway.cidr_ipv4 == null && aws_vpc_security_group_ingress_rule.gateway.to_port == 6379
    error_message = "Somebody else than the gateway is let in."
  }
}

run "a_node_that_fails_is_replaced" {
  assert {
    condition     = aws_elasticache_replication_group.redis.automatic_failover_enabled && aws_elasticache_replication_group.redis.multi_az_enabled
    error_message = "Nothing takes over."
  }
}

run "a_token_that_breaks_the_address_is_refused" {
  command = plan
  variables { auth_token = "with/a@slash-and-more-0000000000000000" }
  expect_failures = [var.auth_token]
}

run "a_short_token_is_refused" {
  command = plan
  variables { auth_token = "short" }
  expect_failures = [var.auth_token]
}

run "one_node_is_refused" {
  command = plan
  variables { nodes = 1 }
  expect_failures = [var.nodes]
}
