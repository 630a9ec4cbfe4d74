"""One of everything that MLflow keeps, made by its own client and stores straight at the server."""

import json
from pathlib import Path

import mlflow
import requests
from mlflow.entities import DatasetInput, InputTag
from mlflow.entities.dataset import Dataset
from mlflow.genai.label_schemas.label_schemas import InputPassFail
from mlflow.tracking import MlflowClient
from mlflow.tracking._tracking_service.utils import _get_store


def everything(url: str, folder: Path) -> dict[str, str]:
    """Makes it, and tells how each thing is named by the fields of MLflow's requests."""
    mlflow.set_tracking_uri(url)
    client, store = MlflowClient(), _get_store()
    # Before there is an active experiment, to which it would be linked in a thread of its own.
    mlflow.genai.register_prompt("prompt", "Hello {{name}}")
    have = runs(client, folder) | traces()
    experiment_id = have["experiment_id"]
    client.create_registered_model("model", description="seeded")
    files = f"{client.get_run(have['run_id']).info.artifact_uri}/files"
    version = client.create_model_version("model", files, have["run_id"])
    client.set_registered_model_alias("model", "champion", version.version)
    schema = store.create_label_schema(experiment_id, name="good", type="feedback", input=InputPassFail("Yes", "No"))
    queue = store.create_review_queue(
        experiment_id, name="queue", queue_type="custom", users=["ada"], schema_ids=[schema.schema_id]
    )
    store.add_items_to_review_queue(queue.queue_id, item_ids=[have["trace_id"]])
    issue = store.create_issue(experiment_id, "issue", "seeded")
    for path, body, key in [
        ("datasets/create", {"name": "dataset", "experiment_ids": [experiment_id]}, "dataset_id"),
        ("mcp-servers", {"name": "io.example/server"}, None),
    ]:
        answer = requests.post(f"{url}/api/3.0/mlflow/{path}", json=body, timeout=60)
        answer.raise_for_status()
        if key:
            have[key] = answer.json()["dataset"][key]
    records = json.dumps([{"inputs": {"question": "a"}}])
    made = requests.post(f"{url}/api/3.0/mlflow/datasets/{have['dataset_id']}/records", json={"records": records}, timeout=60)
    made.raise_for_status()
    scorer = {"experiment_id": experiment_id, "name": "scorer", "serialized_scorer": SCORER}
    made = requests.post(f"{url}/api/3.0/mlflow/scorers/register", json=scorer, timeout=60)
    made.raise_for_status()
    return have | {
        "schema_id": schema.schema_id,
        "queue_id": queue.queue_id,
        "issue_id": issue.issue_id,
        "scorer_id": made.json()["scorer_id"],
        "second_experiment_id": client.create_experiment("second"),
    }


def skills(url: str) -> None:
    """MLflow 3.18 has them."""
    for organization in ("", "acme"):
        at = f"@{organization}/skill" if organization else "skill"
        for path, body in [
            ("", {"name": "skill", "organization": organization}),
            (f"/{at}/versions", {"source_type": "git", "source": "https://example.com/skill.git", "ref": "main"}),
            (f"/{at}/aliases", {"alias": "champion", "version": 1}),
        ]:
            made = requests.post(f"{url}/api/3.0/mlflow/skills{path}", json=body, timeout=60)
            assert made.ok, made.text


SCORER = json.dumps({"name": "scorer", "mlflow_version": "3.17.2", "serialization_version": 1, "builtin_scorer_class": "Safety", "builtin_scorer_pydantic_data": {"name": "scorer"}})


def runs(client: MlflowClient, folder: Path) -> dict[str, str]:
    experiment_id = client.create_experiment("seeded", tags={"note": "seeded"})
    run_id = client.create_run(experiment_id, run_name="seeded").info.run_id
    client.log_param(run_id, "depth", "3")
    for step in range(3):
        client.log_metric(run_id, "loss", 1.0 / (1 + step), step=step)
    client.log_text(run_id, "seeded", "files/seeded.txt")
    data = Dataset(name="data", digest="1", source_type="local", source="{}")
    client.log_inputs(run_id, datasets=[DatasetInput(data, [InputTag("mlflow.data.context", "training")])])
    model = client.create_logged_model(experiment_id, name="logged", source_run_id=run_id)
    file = folder / "weights.txt"
    file.write_text("seeded")
    client.log_model_artifact(model.model_id, str(file))
    client.finalize_logged_model(model.model_id, "READY")
    return {"experiment_id": experiment_id, "run_id": run_id, "model_id": model.model_id}


def traces() -> dict[str, str]:
    mlflow.set_experiment("seeded")
    with mlflow.start_span("seeded") as span:
        span.set_inputs({"question": "a"})
    mlflow.flush_trace_async_logging()
    assessment = mlflow.log_feedback(trace_id=span.trace_id, name="good", value=True)
    return {"trace_id": span.trace_id, "assessment_id": assessment.assessment_id}
