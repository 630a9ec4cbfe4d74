"""One MLflow with workspaces, and what the other team has there."""

import contextlib
import json

import mlflow
import pytest
import requests
from mlflow_state import kept_in
from stack import Stack

from .team import SECRET, Team


@pytest.fixture(scope="package")
def stack(tmp_path_factory, stack):
    with contextlib.closing(Stack(tmp_path_factory.mktemp("workspaces"), stack.binary)) as running:
        running.start_mlflow("--enable-workspaces")
        for name in ("ours", "theirs"):
            made = requests.post(f"{running.mlflow_url}/api/3.0/mlflow/workspaces", json={"name": name}, timeout=60)
            made.raise_for_status()
        # An administrator's scope: what keeps them apart is the workspace alone.
        running.keys = {
            name: running.create_key("--user", name, "--test", "--workspace", name, "--scope", "mlflow:admin")
            for name in ("ours", "theirs", "default")
        }
        running.keys["operator"] = running.create_key("--user", "operator", "--test", "--scope", "mlflow:admin")
        running.start_gateway(HOKUSAI__LIMITS__MODE="off")
        yield running


@pytest.fixture
def ours(stack, monkeypatch):
    return Team(stack, "ours", monkeypatch)


@pytest.fixture(scope="package")
def theirs(stack):
    """What they have: one of each thing, under names that we use too, and in each of them the secret."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        team = Team(stack, "theirs", monkeypatch)
        client = team.client()
        have = {"experiment_id": client.create_experiment("shared-name", tags={"note": SECRET})}
        run = client.create_run(have["experiment_id"], tags={"note": SECRET})
        have["run_id"] = run.info.run_id
        client.log_param(have["run_id"], "secret", SECRET)
        client.log_metric(have["run_id"], "loss", 1.5)
        client.log_text(have["run_id"], SECRET, "model/secret.txt")
        made = client.create_logged_model(have["experiment_id"], name="logged", tags={"note": SECRET})
        have["model_id"] = made.model_id
        client.create_registered_model("shared-model", description=SECRET)
        version = client.create_model_version("shared-model", f"runs:/{have['run_id']}/model", have["run_id"])
        client.set_registered_model_alias("shared-model", "champion", version.version)
        client.set_model_version_tag("shared-model", version.version, "note", SECRET)
        mlflow.set_experiment("shared-name")
        with mlflow.start_span("theirs") as span:
            span.set_inputs({"question": SECRET})
        mlflow.flush_trace_async_logging()
        have["trace_id"] = span.trace_id
        have["assessment_id"] = mlflow.log_feedback(trace_id=span.trace_id, name="good", rationale=SECRET).assessment_id
        for path, body, key in [
            ("/api/3.0/mlflow/datasets/create", {"name": "shared-dataset", "tags": json.dumps({"a": SECRET})}, "dataset_id"),
            ("/api/3.0/mlflow/gateway/secrets/create", {"secret_name": "s", "secret_value": {"api_key": SECRET}}, "secret_id"),
        ]:
            answer = team.ask("POST", path, json=body)
            answer.raise_for_status()
            have[key] = next(value[key] for value in answer.json().values())
        yield have


@pytest.fixture
def untouched(stack, theirs):
    """Every row and every file that is there before the test is there after it, as it was. We have nothing yet of our own
    that a test here would rightly change."""

    before = kept_in(stack.folder)
    assert any(SECRET in str(kept) for kept in before)
    yield
    assert before <= kept_in(stack.folder)
