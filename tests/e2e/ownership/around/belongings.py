"""What alice and bob have, for attempts of bob's at what is alice's."""

import json

import mlflow
import requests
from seed import everything

from ..enforced import Enforced

# They are neither alice nor carol, who is a writer of hers, nor josé.
ODD_USERS = ["*", "a*", "alice,bob", "carol,", "ALICE", "Carol", "?arol", "hokusai.owner", "alice bob", "jose\u0301"]


def alices(site: Enforced) -> dict[str, str]:
    """One of everything, made straight at MLflow, and then given to her."""
    url = f"{site.stack.mlflow_url}/api/2.0/mlflow"

    def post(path: str, **body) -> dict:
        answer = requests.post(f"{url}/{path}", json=body, timeout=60)
        assert answer.ok, answer.text
        return answer.json()

    have = everything(site.stack.mlflow_url, site.stack.folder) | {"model": "model", "prompt": "prompt"}
    have["deleted_run_id"] = post("runs/create", experiment_id=have["experiment_id"])["run"]["info"]["run_id"]
    post("runs/delete", run_id=have["deleted_run_id"])
    have["deleted_experiment_id"] = post("experiments/create", name="deleted")["experiment_id"]
    have["file"] = f"{have['experiment_id']}/{have['run_id']}/artifacts/files/seeded.txt"
    owned = {"key": "hokusai.owner", "value": "alice"}
    for name in ("experiment_id", "second_experiment_id", "deleted_experiment_id"):
        post("experiments/set-experiment-tag", experiment_id=have[name], **owned)
    post("experiments/set-experiment-tag", experiment_id=have["second_experiment_id"], key="hokusai.writers", value="carol,jos\u00e9")
    post("experiments/delete", experiment_id=have["deleted_experiment_id"])
    for model in ("model", "prompt"):
        post("registered-models/set-tag", name=model, **owned)
    return have


def bobs(site: Enforced, alice: dict[str, str]) -> dict[str, str]:
    """Made through the gateway; and a dataset of both."""
    with site.signed_in("bob") as client:
        experiment_id = mlflow.set_experiment("bob's").experiment_id
        run_id = client.create_run(experiment_id).info.run_id
        with mlflow.start_span("bob's") as span:
            span.set_inputs({"question": "b"})
        mlflow.flush_trace_async_logging()
        logged = client.create_logged_model(experiment_id, name="bobs")
        client.create_registered_model("bob-model")
        version = client.create_model_version("bob-model", f"runs:/{run_id}/model", run_id)
    have = {"experiment_id": experiment_id, "run_id": run_id, "trace_id": span.trace_id, "model_id": logged.model_id}
    have |= {"model": "bob-model", "version": version.version}
    for name, ids in {"dataset_id": [experiment_id], "shared_dataset_id": [experiment_id, alice["experiment_id"]]}.items():
        at = f"{site.stack.mlflow_url}/api/3.0/mlflow/datasets/create"
        made = requests.post(at, json={"name": name, "experiment_ids": ids, "tags": json.dumps({"a": "b"})}, timeout=60)
        assert made.ok, made.text
        have[name] = made.json()["dataset"]["dataset_id"]
    return have
