"""A real Prometheus scrapes the gateway under traffic: every rule and every query of the dashboard has something to say."""

import json
import re
import shutil
import subprocess
import time

import pytest
import requests
from fake_auth_service import start_auth_service
from redis_server import start_redis
from stack import ROOT, free_port

RULES = ROOT / "deploy" / "prometheus"
# What the dashboard calls them in Grafana.
VARIABLES = {"$job": ".*", "$__rate_interval": "30s"}


def knows_every_key(authorization, _):
    """The auth service's answer, which fails for one key."""
    status = 500 if authorization == "Bearer unlucky" else 200
    return status, {"is_valid": True, "key_id": "k-1", "scopes": ["mlflow:read", "mlflow:write"]}


@pytest.fixture
def scraped(second_gateway, tmp_path):
    """A gateway with all that it can use, and a Prometheus that looks at it every second."""
    auth = start_auth_service(knows_every_key)
    _, redis = start_redis(second_gateway)
    second_gateway.start_gateway(
        HOKUSAI_AUTH_SERVICE_URL=auth.url,
        HOKUSAI__AUTH__CACHE__TTL="1s",
        REDIS_URL=f"redis://127.0.0.1:{redis}",
        HOKUSAI__AUTH__PEPPER="obviously-a-pepper-of-a-test-0000",
    )
    shutil.copy(RULES / "rules.yml", tmp_path)
    rules = tmp_path / "rules.yml"
    rules.write_text(rules.read_text().replace("interval: 15s", "interval: 1s").replace("[5m]", "[30s]"))
    target = second_gateway.metrics_url.split("/")[2]
    (tmp_path / "prometheus.yml").write_text(
        f"global: {{scrape_interval: 1s}}\nrule_files: [{rules}]\n"
        f"scrape_configs: [{{job_name: hokusai-gateway, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    address = f"127.0.0.1:{free_port()}"
    command = ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
    process = second_gateway.start("prometheus", [*command, f"--web.listen-address={address}"], {})
    second_gateway.wait(process, "prometheus", f"http://{address}/-/ready")
    yield second_gateway, f"http://{address}/api/v1"
    auth.shutdown()


def traffic(stack) -> None:
    """Some of everything that the metrics tell apart."""
    for key in ("good", "unlucky"):
        for method, path in [
            ("GET", "/version"),
            ("POST", "/api/2.0/mlflow/runs/delete"),
            ("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/prometheus.txt"),
            ("GET", "/nowhere"),
        ]:
            headers = {"Authorization": f"Bearer {key}"}
            body = None if method == "GET" else {}
            requests.request(method, stack.tracking_uri + path, headers=headers, json=body, timeout=60)


def answers(api: str, query: str) -> list:
    answer = requests.get(f"{api}/query", params={"query": query}, timeout=60).json()
    assert answer["status"] == "success", (query, answer)
    return answer["data"]["result"]


def test_every_rule_and_every_query_of_the_dashboard_has_something_to_say(scraped):
    stack, api = scraped
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "gateway.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    for variable, value in VARIABLES.items():
        queries = [query.replace(variable, value) for query in queries]
    recorded = re.findall(r"record: (\S+)", (RULES / "rules.yml").read_text())
    assert len(queries) > 20 and len(recorded) > 7
    silent, deadline = queries + recorded, time.monotonic() + 60
    while silent and time.monotonic() < deadline:
        traffic(stack)
        silent = [query for query in silent if not any(sample["value"][1] != "NaN" for sample in answers(api, query))]
        time.sleep(1)
    assert not silent
    groups = requests.get(f"{api}/rules", timeout=60).json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) >= 16 and all(rule["health"] == "ok" for rule in rules), rules
    text = requests.get(stack.metrics_url, timeout=60).text
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_rules_are_well_formed_and_each_alert_fires_and_is_silent_when_it_should_be():
    for command in (["check", "rules", "rules.yml"], ["test", "rules", "rules.test.yml"]):
        subprocess.run(["promtool", *command], cwd=RULES, check=True)
    rules, tests = (RULES / "rules.yml").read_text(), (RULES / "rules.test.yml").read_text()
    runbook = (ROOT / "docs" / "RUNBOOK.md").read_text()
    for alert in re.findall(r"alert: (\S+)", rules):
        assert f'name: "{alert} fires' in tests and f'name: "{alert} is silent' in tests
        assert f"\n## {alert}\n" in runbook
