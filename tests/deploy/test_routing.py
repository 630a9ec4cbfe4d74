"""The rules that Terraform plans, put to the simulator: each path of routes.tsv gets to its target."""

import re
import shutil
from pathlib import Path

import pytest
from terraform import OFFLINE, ROOT

HERE = Path(__file__).parent
# The target groups of the plan, by the words of the table.
TARGETS = {"gateway": "hokusai-gateway", "other": "platform-api", "default": "default"}
ROWS = [line.split("\t")[:2] for line in (HERE / "routes.tsv").read_text().splitlines() if not line.startswith("#")]


@pytest.fixture(scope="session")
def balancer(planned):
    return planned.load_balancer()


@pytest.fixture(scope="session")
def of_old(terraform, tmp_path_factory):
    folder = Path(shutil.copytree(HERE / "fault", tmp_path_factory.mktemp("fault") / "fault", ignore=shutil.ignore_patterns(".terraform*")))
    (folder / "provider.tf").write_text(OFFLINE.replace('"aws" {', '"aws" {\n  region = "us-east-1"'))
    return terraform.plan(folder).load_balancer()


@pytest.mark.parametrize(("path", "target"), ROWS, ids=[path for path, _ in ROWS])
def test_a_path_leads_to_its_target(balancer, path, target):
    assert balancer.target(path) == TARGETS[target]


def test_no_rule_is_shadowed(balancer):
    assert balancer.shadowed() == []


def test_no_mount_of_the_gateways_is_shadowed_even_in_part(balancer):
    # The other service stands behind the gateway, whose paths are carved out of its /api/*.
    assert [told for told in balancer.shadowed_patterns() if " of module.routing.aws_lb_listener_rule.gateway" in told] == []


def test_every_mount_of_the_gateway_is_routed(balancer):
    source = (ROOT / "src" / "routing" / "mounts.rs").read_text()
    mounts = re.findall(r'^\s*"(/[^"]+)",$', source, re.M) + re.findall(r'"(/[^"]+)"', re.search(r"STRIPPED.*", source)[0])
    assert len(mounts) == 11, "src/routing/mounts.rs is written differently now: mend this test"
    lost = [mount for mount in mounts if "hokusai-gateway" not in (balancer.target(mount), balancer.target(f"{mount}/x"))]
    assert lost == []


def test_every_page_of_the_gateway_is_routed(balancer):
    source = (ROOT / "src" / "server" / "mod.rs").read_text()
    pages = re.findall(r'(?:open|resource)\("(/[^"{]*)', source)
    assert {"/login/callback", "/account", "/ready"} < set(pages), "src/server/mod.rs is written differently now: mend this test"
    # "/" may be another service's, or nobody's.
    lost = [page for page in pages if page != "/" and balancer.target(page + "1" * page.endswith("/")) != "hokusai-gateway"]
    assert lost == []


def test_nothing_of_the_gateways_covers_metrics(balancer):
    for rule in balancer.rules:
        for path in ("/metrics", "/metrics/", "/metrics/x"):
            assert rule.target != TARGETS["gateway"] or balancer.target(path) != rule.target, f"{rule.name} leads {path} outside"


@pytest.mark.parametrize("path", ["/api/mlflow/api/2.0/mlflow/runs/create", "/api/mlflow"])
def test_the_fault_of_old_leads_mlflow_to_the_other_service(of_old, path):
    assert of_old.target(path) == "platform-api"


def test_the_fault_of_old_is_found(of_old):
    assert of_old.shadowed() == [
        "aws_lb_listener_rule.api (priority 200) is never reached: aws_lb_listener_rule.platform before it"
    ]


def test_the_mount_that_the_fault_of_old_takes_in_part_is_found(of_old):
    assert of_old.shadowed_patterns() == [
        "/api/mlflow/* of aws_lb_listener_rule.api is aws_lb_listener_rule.platform's, by /api*",
        "/api/mlflow of aws_lb_listener_rule.ui is aws_lb_listener_rule.platform's, by /api*",
    ]
