"""Real MLflows that refuse the gateway, though their /health is good; tests/api/mlflow_refuses.rs has what stands before one."""

import json
import sys

import pytest
import requests
from commands import check
from waiting import eventually

QUICK = {"HOKUSAI__MLFLOW__PROBE_INTERVAL": "500ms"}
PASSWORD = "obviously-a-password"


def start(stack, **settings: str) -> None:
    """A gateway that may never be ready."""
    stack.key = stack.create_key("--user", "ada", "--test")
    stack.start_gateway_ready_or_not(**QUICK, **settings)
    eventually(lambda: "hokusai_gateway_upstream_accepts" in metrics(stack))


def metrics(stack) -> dict[str, float]:
    lines = requests.get(stack.metrics_url, timeout=10).text.splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def lines(stack, message: str) -> list[dict]:
    log = [json.loads(line) for line in stack.log("gateway").read_text().splitlines() if line.startswith("{")]
    return [line for line in log if line.get("message", "").startswith(message)]


def refused(stack, code: str, says: str) -> dict:
    """All that the process says of an MLflow that can be reached and refuses it; its line."""
    eventually(lambda: metrics(stack)["hokusai_gateway_upstream_accepts"] == 0)
    assert metrics(stack)["hokusai_gateway_upstream_up"] == 1
    ready = requests.get(f"{stack.url}/ready", timeout=10)
    assert (ready.status_code, ready.json()["codes"]) == (503, [code]), ready.text
    assert ready.json()["reasons"][0].startswith(f"{code} MLflow: refuses the gateway: ")
    health = requests.get(f"{stack.url}/health/mlflow", timeout=10)
    assert (health.status_code, health.json()["status"], health.json()["codes"]) == (503, "unhealthy", [code])
    told = lines(stack, "MLflow")
    assert len(told) == 1, told
    assert (told[0]["message"], told[0]["code"]) == ("MLflow refuses the gateway", code)
    assert says in f"{told[0]['reason']} | {told[0]['cause']} | {told[0]['fix']}"
    return told[0]


def serves(stack) -> None:
    eventually(lambda: metrics(stack)["hokusai_gateway_upstream_accepts"] == 1)
    assert requests.get(f"{stack.url}/ready", timeout=10).json() == {"status": "ready"}
    assert requests.get(f"{stack.url}/health/mlflow", timeout=10).json()["status"] == "healthy"


def test_a_host_that_mlflow_does_not_allow(second_gateway):
    start(second_gateway, HOKUSAI__MLFLOW__HOST_HEADER="mlflow.example.com")
    line = refused(second_gateway, "HG-M05", "--allowed-hosts mlflow.example.com")
    assert "`mlflow.example.com`" in line["reason"]


@pytest.fixture(scope="module")
def with_basic_auth(stack, tmp_path_factory):
    """MLflow's own basic-auth app."""
    own = type(stack)(tmp_path_factory.mktemp("basic-auth"), stack.binary)
    config = own.folder / "basic_auth.ini"
    config.write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{own.folder}/users.db\n"
        f"admin_username = admin\nadmin_password = {PASSWORD}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    secrets = {"MLFLOW_AUTH_CONFIG_PATH": str(config), "MLFLOW_FLASK_SERVER_SECRET_KEY": "obviously-a-secret"}
    own.start_mlflow("--app-name", "basic-auth", **secrets)
    yield own.mlflow_url
    own.stop()


@pytest.mark.parametrize(
    ("settings", "cause"),
    [
        ({}, "mlflow.auth has none"),
        ({"HOKUSAI__MLFLOW__PASSWORD": "obviously-another"}, "refuses the credentials of mlflow.auth"),
        ({"HOKUSAI__MLFLOW__PASSWORD": PASSWORD}, None),
    ],
)
def test_mlflows_own_basic_auth(second_gateway, with_basic_auth, settings, cause):
    if settings:
        settings = {"HOKUSAI__MLFLOW__AUTH": "basic", "HOKUSAI__MLFLOW__USERNAME": "admin", **settings}
    start(second_gateway, MLFLOW_SERVER_URL=with_basic_auth, **settings)
    if cause:
        refused(second_gateway, "HG-M06", cause)
    else:
        serves(second_gateway)
    assert PASSWORD not in second_gateway.log("gateway").read_text()


def test_a_user_of_mlflows_who_may_see_nothing_is_one_that_it_knows(second_gateway, with_basic_auth):
    requests.post(
        f"{with_basic_auth}/api/2.0/mlflow/users/create",
        json={"username": "gateway", "password": PASSWORD},
        auth=("admin", PASSWORD),
        timeout=60,
    ).raise_for_status()
    settings = {"AUTH": "basic", "USERNAME": "gateway", "PASSWORD": PASSWORD}
    settings = {f"HOKUSAI__MLFLOW__{name}": value for name, value in settings.items()}
    start(second_gateway, MLFLOW_SERVER_URL=with_basic_auth, **settings)
    serves(second_gateway)


def test_servers_that_were_started_for_something_else_are_named(second_gateway, stack, tmp_path):
    artifacts = type(stack)(tmp_path / "artifacts", stack.binary)
    try:
        port = artifacts.mlflow_url.rsplit(":", 1)[1]
        command = [sys.executable, "-m", "mlflow", "server", "--artifacts-only", "--workers", "1", "--port", port]
        command += ["--artifacts-destination", f"file://{artifacts.folder}/artifacts"]
        process = artifacts.start("mlflow", command, {"MLFLOW_DISABLE_TELEMETRY": "true"})
        artifacts.wait(process, "mlflow", f"{artifacts.mlflow_url}/health")
        start(second_gateway, MLFLOW_SERVER_URL=artifacts.mlflow_url)
        refused(second_gateway, "HG-M07", "was started with --artifacts-only")
        second_gateway.stop()
        second_gateway.log("gateway").unlink()
        start(second_gateway, HOKUSAI__MLFLOW__ARTIFACTS_URL=artifacts.mlflow_url)
        serves(second_gateway)
    finally:
        artifacts.stop()


def test_an_experiment_that_is_long_takes_nothing_away(second_gateway):
    """Whoever may write chooses how long MLflow's answers are."""
    start(second_gateway)
    experiments = "api/2.0/mlflow/experiments"
    tags = [{"key": f"k{number}", "value": "é" * 19_000} for number in range(12)]
    body = json.dumps({"name": "long", "tags": tags}, ensure_ascii=False).encode()
    headers = {"Authorization": f"Bearer {second_gateway.key}", "Content-Type": "application/json"}
    created = requests.post(f"{second_gateway.tracking_uri}/{experiments}/create", data=body, headers=headers, timeout=60)
    assert created.status_code == 200, created.text
    try:
        search = requests.get(f"{second_gateway.mlflow_url}/{experiments}/search?max_results=1", timeout=60)
        assert len(search.content) > 1024 * 1024
        second_gateway.stop()
        second_gateway.log("gateway").unlink()
        start(second_gateway)
        serves(second_gateway)
        probed = check(second_gateway, "--probe")
        assert (probed.code, probed.failed()) == (0, {})
    finally:
        url = f"{second_gateway.mlflow_url}/{experiments}/delete"
        requests.post(url, json=created.json(), timeout=60).raise_for_status()
