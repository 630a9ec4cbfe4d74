"""deploy/terraform: its form, its modules' own tests, and what the example would make."""

import json
import subprocess
import tomllib

import pytest
from terraform import MODULES, ROOT

NAMES = sorted(path.name for path in MODULES.iterdir() if path.is_dir())
TESTED = sorted(path.parent.parent.name for path in MODULES.glob("*/tests/*.tftest.hcl"))
DEFAULTS = tomllib.loads((ROOT / "config" / "default.toml").read_text())


def seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


@pytest.fixture(scope="session")
def container(planned_without_redis):
    """The gateway's."""
    [definition] = json.loads(planned_without_redis.the("aws_ecs_task_definition", "module.gateway.")["container_definitions"])
    return definition


def test_it_is_formatted(terraform):
    assert terraform.run(terraform.modules, "fmt", "-check", "-recursive") == ""


@pytest.mark.parametrize("module", NAMES)
def test_a_module_is_valid(terraform, module):
    folder = terraform.modules / module
    terraform.init(folder)
    assert json.loads(terraform.run(folder, "validate", "-json"))["diagnostics"] == []


@pytest.mark.parametrize("module", TESTED)
def test_a_modules_own_tests_pass(terraform, module):
    folder = terraform.modules / module
    terraform.init(folder)
    assert " 0 failed" in terraform.run(folder, "test", "-no-color")


def test_every_module_of_ours_has_tests():
    # The alarms are put to the gateway's own data points by tests/api/alarms.rs.
    assert set(NAMES) - set(TESTED) == {"alarms"}


def test_the_gateways_image_has_what_its_task_counts_on(container):
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert 'ENTRYPOINT ["hokusai-gateway"]' in dockerfile and "entryPoint" not in container
    assert container["command"] == ["serve"]
    assert f"USER {container['user']}" in dockerfile
    assert f"COPY --from=build /src/target/release/hokusai-gateway {container['healthCheck']['command'][1]}\n" in dockerfile


def test_a_task_has_one_port_and_no_metrics_on_another(container):
    settings = {one["name"]: one["value"] for one in container["environment"]}
    ports = [one["containerPort"] for one in container["portMappings"]]
    assert (settings["HOKUSAI__METRICS__BIND"], settings["HOKUSAI__SERVER__BIND"]) == ("off", f"0.0.0.0:{ports[0]}")
    assert len(ports) == 1


def test_a_task_outlives_the_drain_of_the_gateways_defaults(container):
    drain = seconds(DEFAULTS["server"]["settle_time"]) + seconds(DEFAULTS["server"]["drain_grace"])
    assert container["stopTimeout"] > drain


def test_the_load_balancer_waits_as_long_as_the_gateway_drains(planned):
    drain = seconds(DEFAULTS["server"]["settle_time"]) + seconds(DEFAULTS["server"]["drain_grace"])
    assert int(planned.the("aws_lb_target_group")["deregistration_delay"]) == drain


def test_the_load_balancer_lets_go_of_idle_connections_before_the_gateway(planned):
    assert planned.the("aws_lb")["idle_timeout"] < seconds(DEFAULTS["server"]["keep_alive"])


def test_only_the_load_balancer_is_open_to_the_world(planned):
    ways = planned.resources("aws_vpc_security_group_ingress_rule")
    assert {address.split("[")[0] for address, rule in ways.items() if rule["cidr_ipv4"]} == {
        "module.routing.aws_vpc_security_group_ingress_rule.public"
    }


def test_every_alarm_tells_the_topic(planned):
    changes = [one for one in planned.changes() if one["type"] == "aws_cloudwatch_metric_alarm"]
    quiet = [one["address"] for one in changes if not one["change"]["after_unknown"].get("alarm_actions")]
    assert len(changes) > 10 and quiet == []


def test_the_planned_settings_are_good_ones_to_the_gateway(container, binary, tmp_path):
    """Names that are not known, and values that cannot be read, are what `check` finds; here it must find nothing."""
    settings = {one["name"]: one["value"] for one in container["environment"]}
    # What Secrets Manager would give; its names are held by the module's own tests.
    settings |= {"HOKUSAI__AUTH__PEPPER": "obviously-a-pepper-of-a-test-0000", "HOKUSAI__REDIS__URL": "rediss://:token@redis.internal:6379/0"}
    done = subprocess.run([binary, "check"], env=settings, cwd=tmp_path, text=True, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
