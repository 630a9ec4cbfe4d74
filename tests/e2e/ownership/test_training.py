"""A training script runs under ownership as it does without, and MLflow is asked little for it."""

import contextlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from mlflow.tracking import MlflowClient
from stack import Stack

from .enforced import Enforced, binary

SCRIPT = Path(__file__).with_name("training.py")
METRICS = 300
# An owner is asked for again after so long.
FRESH_SECONDS = 4


# Without workspaces, and with them and things without an owner closed.
@pytest.fixture(scope="module", params=["open", "closed"])
def site(request, tmp_path_factory):
    with contextlib.closing(Stack(tmp_path_factory.mktemp("training"), binary())) as stack:
        bound = []
        if request.param == "closed":
            stack.start_mlflow("--enable-workspaces")
            made = requests.post(f"{stack.mlflow_url}/api/3.0/mlflow/workspaces", json={"name": "lab"}, timeout=60)
            assert made.ok, made.text
            bound = ["--workspace", "lab"]
        else:
            stack.start_mlflow()
        site = Enforced(stack)
        site.unowned = request.param
        for user in ("ann", "alice"):
            site.add(user, *bound)
        yield site


@contextlib.contextmanager
def enforcing(site):
    gateway = site.stack.start_gateway(
        HOKUSAI__POLICY__OWNERSHIP="enforce", HOKUSAI__POLICY__UNOWNED=site.unowned, HOKUSAI__LIMITS__MODE="off"
    )
    try:
        yield
    finally:
        site.stack.halt(gateway)


@pytest.fixture(scope="module")
def adopted(site) -> str:
    """A model of alice's."""
    with enforcing(site), site.signed_in("alice") as client:
        run = client.create_run(client.create_experiment("alice's"))
        client.create_registered_model("alice-model")
        client.create_model_version("alice-model", f"{run.info.artifact_uri}/model", run.info.run_id)
    return "alice-model"


def lookups(site) -> dict[str, int]:
    told = requests.get(site.stack.metrics_url, timeout=60).text
    found = re.findall(r'ownership_lookups_total\{result="(\w+)"\} (\d+)', told)
    return dict.fromkeys(["hit", "found", "missing", "unavailable"], 0) | {result: int(count) for result, count in found}


def test_a_training_script_runs_unchanged_and_owns_what_it_makes(site, adopted):
    prefix = site.unowned
    of_alice = {row for row in site.state() if "alice" in str(row)}
    with enforcing(site):
        address = {"MLFLOW_TRACKING_URI": site.stack.tracking_uri, "MLFLOW_TRACKING_TOKEN": site.keys["ann"]}
        own = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        command = [sys.executable, str(SCRIPT), prefix, adopted]
        ran = subprocess.run(command, env=own | address, capture_output=True, text=True, timeout=500)
        assert ran.returncode == 0, ran.stderr[-4000:]
        asked = lookups(site)
    names = {name for (name,) in site.database.execute("SELECT name FROM registered_models") if name.startswith(prefix)}
    assert names == {f"{prefix}-{what}" for what in ("model", "renamed", "adopted", "prompt")}
    owners = "SELECT name, value FROM registered_model_tags WHERE key = 'hokusai.owner'"
    assert {(name, "ann") for name in names} <= set(site.database.execute(owners))
    runs = site.database.execute(
        "SELECT r.user_id, count(*) FROM runs r JOIN experiments e USING (experiment_id) WHERE e.name = ? GROUP BY 1", (f"{prefix}/training",)
    ).fetchall()
    assert [user for user, _ in runs] == ["ann"] and runs[0][1] >= 10, runs
    assert of_alice <= site.state()
    log = site.stack.log("gateway").read_text()
    assert '"reason":"not_owner"' not in log
    # Every call names a run or what is in the experiment, and nearly none asks MLflow.
    assert asked["hit"] > 5 * (asked["found"] + asked["missing"]), asked


def test_a_run_of_many_calls_is_asked_for_once(site):
    with enforcing(site), site.signed_in("ann") as client:
        run = client.create_run(client.create_experiment(f"many {time.monotonic()}"))
        before, began = lookups(site), time.monotonic()
        log_metrics(client, run.info.run_id)
        after, seconds = lookups(site), time.monotonic() - began
        # The experiment's tags, and not the run, which the answer to its create told of.
        assert after["found"] - before["found"] <= 1 + seconds / FRESH_SECONDS
        assert after["hit"] - before["hit"] >= 2 * METRICS - 2 - seconds / FRESH_SECONDS
    # Another instance has not seen the create.
    with enforcing(site), site.signed_in("ann") as client:
        began = time.monotonic()
        log_metrics(client, run.info.run_id)
        assert lookups(site)["found"] <= 2 + (time.monotonic() - began) / FRESH_SECONDS


def log_metrics(client: MlflowClient, run_id: str) -> None:
    for step in range(METRICS):
        client.log_metric(run_id, "loss", 1.0, step=step)
