"""A key of no workspace chooses one by a header: what is looked up is what is changed, however the header is written."""

import contextlib

import pytest
import requests
from raw import Wire
from stack import Stack

from .enforced import Enforced, binary, reason

BOBS = {"X-MLFLOW-WORKSPACE": "bobs"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Alice's model and run are in the default workspace; bob has a workspace with a model of the same name."""
    with contextlib.closing(Stack(tmp_path_factory.mktemp("workspaces"), binary())) as stack:
        stack.start_mlflow("--enable-workspaces")
        site = Enforced(stack)
        for user in ("alice", "bob"):
            site.add(user)
        stack.start_gateway(HOKUSAI__POLICY__OWNERSHIP="enforce", HOKUSAI__LIMITS__MODE="off")
        made = requests.post(f"{stack.mlflow_url}/api/3.0/mlflow/workspaces", json={"name": "bobs"}, timeout=60)
        assert made.ok, made.text

        def create(user: str, what: str, headers=None, **body):
            answer = site.ask(user, "POST", f"/api/2.0/mlflow/{what}/create", headers, json=body)
            assert answer.ok, answer.text
            return answer.json()

        create("alice", "registered-models", name="shared")
        experiment = create("alice", "experiments", name="alice's")["experiment_id"]
        site.run_id = create("alice", "runs", experiment_id=experiment)["run"]["info"]["run_id"]
        logged = site.ask("alice", "POST", "/api/2.0/mlflow/logged-models", json={"experiment_id": experiment, "name": "hers"})
        site.logged_model = logged.json()["model"]["info"]["model_id"]
        create("bob", "registered-models", BOBS, name="shared")
        own = create("bob", "experiments", BOBS, name="bob's")["experiment_id"]
        site.own_run = create("bob", "runs", BOBS, experiment_id=own)["run"]["info"]["run_id"]
        yield site


CHANGES = {
    "a model": ("PATCH", "registered-models/update", '{"name": "shared", "description": "changed by bob"}'),
    "a run": ("POST", "runs/set-tag", '{"run_id": "RUN", "key": "k", "value": "changed by bob"}'),
}
HEADERS = {
    "dropped on the way": "X-MLFLOW-WORKSPACE: bobs\r\nConnection: X-MLFLOW-WORKSPACE\r\n",
    "dropped on the way, in a list": "x-mlflow-workspace: bobs\r\nConnection: keep-alive\r\nConnection: te , x-mlflow-Workspace\r\n",
    "twice": "X-MLFLOW-WORKSPACE: bobs\r\nX-MLFLOW-WORKSPACE: default\r\n",
    "twice, the other first": "X-MLFLOW-WORKSPACE: default\r\nX-MLFLOW-WORKSPACE: bobs\r\n",
    "with an underscore": "X_MLFLOW_WORKSPACE: default\r\nX-MLFLOW-WORKSPACE: bobs\r\n",
    "in a list": "X-MLFLOW-WORKSPACE: bobs, default\r\n",
    "of nothing": "X-MLFLOW-WORKSPACE:\r\n",
    "not in ASCII": "X-MLFLOW-WORKSPACE: b\u00f6bs\r\n",
    "folded": "X-MLFLOW-WORKSPACE: bobs\r\n default\r\n",
    "left out": "",
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("written", HEADERS)
def test_a_workspace_that_is_not_the_one_of_the_lookup_is_not_changed(site, written, change):
    method, path, body = CHANGES[change]
    told = f"by bob, {written}"
    body = body.replace("RUN", site.run_id).replace("changed by bob", told)
    wire = Wire(site.stack.url, site.keys["bob"])
    wire.head += HEADERS[written]
    status, answer = wire.ask(method, f"/api/2.0/mlflow/{path}".encode(), body.encode())
    hers = [str(row) for row in site.state() if row[0] in ("registered_models", "tags") and "bobs" not in str(row)]
    assert not any(f"{told}'" in row for row in hers), (status, answer)
    assert status in (400, 403, 404) or (status == 200 and b"bobs" in answer), (status, answer)


def test_no_metric_is_written_to_a_logged_model_of_another_workspace(site):
    """MLflow does not look it up in the workspace of the request."""
    metric = {"key": "k", "value": 1.0, "timestamp": 1, "model_id": site.logged_model}
    before = site.state()
    for path, body in [("log-metric", metric), ("log-batch", {"metrics": [metric]})]:
        answer = site.ask("bob", "POST", f"/api/2.0/mlflow/runs/{path}", BOBS, json=body | {"run_id": site.own_run})
        assert (answer.status_code, reason(answer)) == (400, "bad_request"), (path, answer.text)
        assert site.state() == before, path
