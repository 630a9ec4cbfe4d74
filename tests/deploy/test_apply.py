"""The example, applied to moto's server, which stands in for AWS, and planned again.

NOT APPLIED HERE: ElastiCache, whose replication groups moto does not make (with_redis = false). moto evaluates nothing: no
rule routes, no task runs. What it shows is that the resources fit together, in an order in which they can be made.
"""

import json
import logging
import shutil
from pathlib import Path

import boto3
import pytest
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.server import ThreadedMotoServer
from terraform import MODULES, VARIABLES

SERVICES = [
    "acm", "applicationautoscaling", "cloudwatch", "ec2", "ecs", "elbv2", "iam", "kms", "logs", "rds", "route53", "s3",
    "secretsmanager", "servicediscovery", "sns", "sts",
]  # fmt: skip

PROVIDER = """
provider "aws" {{
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  s3_use_path_style           = true
  max_retries                 = 2
  endpoints {{
{endpoints}
  }}
}}
"""

# What moto takes and does not give back, by kind of resource: the second plan would set it again. Nothing else may change.
FORGOTTEN = {
    "aws_appautoscaling_target": {"tags_all"},
    "aws_db_instance": {"performance_insights_enabled"},
    "aws_db_parameter_group": {"parameter"},
    "aws_ecs_service": {"availability_zone_rebalancing", "health_check_grace_period_seconds"},
    "aws_vpc_security_group_egress_rule": {"description"},
    "aws_vpc_security_group_ingress_rule": {"description"},
}


@pytest.fixture(scope="module")
def aws():
    """moto's server, and a client for each service."""
    # moto does not have this call, which the provider makes after each target; it would try again for minutes.
    ApplicationAutoScalingResponse.list_tags_for_resource = lambda self: json.dumps({"Tags": {}})
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    client = lambda service: boto3.client(service, endpoint_url=f"http://127.0.0.1:{port}", **keys)  # noqa: E731
    client.url = f"http://127.0.0.1:{port}"
    yield client
    server.stop()


@pytest.fixture(scope="module")
def variables(aws, tmp_path_factory):
    """The example's variables, with what must be there before it."""
    ec2 = aws("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    networks = [f"10.0.{number}.0/24" for number in range(4)]
    zones = ["us-east-1a", "us-east-1b"] * 2
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=network, AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for network, zone in zip(networks, zones, strict=True)
    ]
    group = aws("elbv2").create_target_group(Name="platform-api", Protocol="HTTP", Port=80, VpcId=vpc)["TargetGroups"][0]
    values = json.loads(VARIABLES.read_text()) | {
        "vpc_id": vpc,
        "public_subnets": [{"id": subnet, "cidr": network} for subnet, network in zip(subnets[:2], networks[:2], strict=True)],
        "private_subnet_ids": subnets[2:],
        "certificate_arn": aws("acm").request_certificate(DomainName="mlflow.example.com")["CertificateArn"],
        "pepper_secret_arn": aws("secretsmanager").create_secret(Name="pepper", SecretString="x" * 32)["ARN"],
        "kek_passphrase_secret_arn": aws("secretsmanager").create_secret(Name="kek", SecretString="x" * 32)["ARN"],
        "with_redis": False,
    }
    values["other_rules"][0]["target_group_arn"] = group["TargetGroupArn"]
    file = tmp_path_factory.mktemp("variables") / "moto.tfvars.json"
    file.write_text(json.dumps(values))
    return file


@pytest.fixture(scope="module")
def applied(terraform, aws, variables, tmp_path_factory):
    # A copy of its own: its state would make the plans of the other tests ask AWS.
    leave_out = shutil.ignore_patterns(".terraform*", "*_override.tf")
    folder = Path(shutil.copytree(terraform.modules, tmp_path_factory.mktemp("applied") / "modules", ignore=leave_out)) / "example"
    (folder / "moto_override.tf").write_text(PROVIDER.format(endpoints="\n".join(f'    {service} = "{aws.url}"' for service in SERVICES)))
    terraform.init(folder)
    terraform.run(folder, "apply", "-auto-approve", "-input=false", "-no-color", f"-var-file={variables}")
    return folder


def test_the_example_without_redis_can_be_applied_and_a_second_plan_has_nothing_to_do(terraform, applied, variables):
    left = [
        (one["address"], one["change"]["actions"], different(one["change"]) - FORGOTTEN.get(one["type"], set()))
        for one in terraform.plan(applied, f"-var-file={variables}").changes()
    ]
    assert [told for told in left if told[1] != ["update"] or told[2]] == []


def different(change: dict) -> set[str]:
    before, after = change["before"] or {}, change["after"] or {}
    return {name for name in before | after if before.get(name) != after.get(name)} | {
        name for name, unknown in change["after_unknown"].items() if unknown is True
    }


def test_the_load_balancer_that_was_made_has_the_rules_and_their_targets(applied, aws):
    balancer = aws("elbv2").describe_load_balancers(Names=["hokusai-gateway"])["LoadBalancers"][0]
    listeners = aws("elbv2").describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    rules = {
        one["Port"]: [rule for rule in aws("elbv2").describe_rules(ListenerArn=one["ListenerArn"])["Rules"] if rule["Priority"] != "default"]
        for one in listeners
    }
    made = [
        (sorted(rule["Conditions"][0]["PathPatternConfig"]["Values"]), rule["Actions"][0]["TargetGroupArn"].split("/")[-2])
        for rule in sorted(rules[443], key=lambda rule: int(rule["Priority"]))
    ]
    ours = sorted(json.loads((MODULES / "routing/rules.json").read_text()), key=lambda rule: rule["priority"])
    expected = [(sorted(rule["path_patterns"]), "hokusai-gateway") for rule in ours]
    assert (rules[80], made[:-1], made[-1][1]) == ([], expected, "platform-api")


def test_mlflow_was_made_without_a_load_balancer_and_without_a_public_address(applied, aws):
    [service] = aws("ecs").describe_services(cluster="hokusai-gateway", services=["hokusai-gateway-mlflow"])["services"]
    network = service["networkConfiguration"]["awsvpcConfiguration"]
    assert (service.get("loadBalancers", []), network["assignPublicIp"]) == ([], "DISABLED")


def test_the_bucket_that_was_made_is_private(applied, aws):
    block = aws("s3").get_public_access_block(Bucket="hokusai-artifacts-of-a-test")["PublicAccessBlockConfiguration"]
    assert block == dict.fromkeys(["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"], True)


def test_mlflows_password_comes_from_the_secret_that_rds_made(applied, aws):
    database = aws("rds").describe_db_instances(DBInstanceIdentifier="hokusai-gateway-mlflow")["DBInstances"][0]
    task = aws("ecs").describe_task_definition(taskDefinition="hokusai-gateway-mlflow")["taskDefinition"]
    secrets = {secret["name"]: secret["valueFrom"] for secret in task["containerDefinitions"][0]["secrets"]}
    assert secrets["PGPASSWORD"] == f"{database['MasterUserSecret']['SecretArn']}:password::"
