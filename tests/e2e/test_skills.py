"""MLflow's skills (3.18), through the gateway by MLflow's own client."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from stack import Stack
from versions import NEXT

SCOPES = [f"--scope={scope}" for scope in ("mlflow:read", "mlflow:registry_write", "mlflow:promote", "mlflow:delete")]


@pytest.fixture(scope="module")
def skilled(tmp_path_factory, stack):
    with contextlib.closing(Stack(tmp_path_factory.mktemp("skills"), stack.binary)) as running:
        running.start_mlflow("--enable-workspaces", **NEXT.environment())
        made = requests.post(f"{running.mlflow_url}/api/3.0/mlflow/workspaces", json={"name": "team-a"}, timeout=60)
        made.raise_for_status()
        running.keys = {
            workspace: running.create_key("--user", "ada", "--test", *SCOPES, *bound)
            for workspace, bound in [(None, []), ("default", ["--workspace=default"]), ("team-a", ["--workspace=team-a"])]
        }
        running.start_gateway()
        yield running


@pytest.mark.parametrize("workspace", [None, "default", "team-a"])
def test_a_skill_lives_as_it_does_without_the_gateway(skilled, workspace):
    own = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    address = {"MLFLOW_TRACKING_URI": skilled.tracking_uri, "MLFLOW_TRACKING_TOKEN": skilled.keys[workspace]}
    limits = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    script = Path(__file__).with_name("skills_client.py")
    subprocess.run([sys.executable, script], env=own | address | limits | NEXT.environment(), check=True, timeout=300)


def test_a_skill_of_one_workspace_is_not_seen_in_another(skilled):
    skills = f"{skilled.tracking_uri}/api/3.0/mlflow/skills"
    headers = {workspace: {"Authorization": f"Bearer {key}"} for workspace, key in skilled.keys.items()}
    made = requests.post(skills, json={"name": "secret"}, headers=headers["team-a"], timeout=60)
    assert made.status_code == 200 and made.json()["workspace"] == "team-a", made.text
    told = {workspace: requests.get(f"{skills}/secret", headers=headers[workspace], timeout=60).status_code for workspace in headers}
    assert told == {None: 404, "default": 404, "team-a": 200}
    lied = requests.get(f"{skills}/secret", headers=headers["default"] | {"X-MLFLOW-WORKSPACE": "team-a"}, timeout=60)
    assert lied.status_code == 404
