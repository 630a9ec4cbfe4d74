"""What the table calls a read changes nothing: each such route is asked of a real MLflow, and its database and files are
compared before and after."""

import contextlib
import hashlib
import json
import os
import sqlite3
import subprocess
from pathlib import Path

import pytest
import requests
import seed
from stack import Stack
from versions import NEXT, PINNED

READS = ("read", "artifact_read", "ui")
# Without anything that it reads: each is named with the reason.
UNANSWERED = {
    "/api/2.0/mlflow/get-online-trace-details": "Databricks only",
    "/api/2.0/mlflow/unified-traces": "Databricks only",
    "/api/2.0/mlflow/traces/{request_id}/info": "of traces as they were before version 3",
    "/ajax-api/2.0/mlflow/get-trace-artifact": "the trace's spans are in the database",
    "/ajax-api/3.0/mlflow/get-trace-artifact": "the trace's spans are in the database",
    "/api/2.0/mlflow-artifacts/presigned/{*artifact_path}": "the store is a folder",
    "/api/2.0/mlflow/artifacts/presigned-download-url": "the store is a folder",
    "/api/2.0mlflow/experiments/search-datasets": "misspelt by MLflow, which does not find it itself",
    "/static-files/{*file}": "there is none of the name",
    "/build/{*filename}": "there is none of the name",
    "/graphql": "a GET has no document that MLflow reads",
}
# They ask the internet, for as long as that takes, and nothing of MLflow's.
ELSEWHERE = ("/gateway/supported-models", "/gateway/supported-providers")


@pytest.fixture(scope="module", params=[PINNED, NEXT], ids=str)
def seeded(request, tmp_path_factory, stack):
    with contextlib.closing(Stack(tmp_path_factory.mktemp("reads"), stack.binary)) as running:
        running.start_mlflow(**request.param.environment())
        running.have = seed.everything(running.mlflow_url, running.folder)
        if request.param is NEXT:
            seed.skills(running.mlflow_url)
        running.version = request.param
        yield running


def state(stack) -> dict:
    """Every row and every file."""
    with contextlib.closing(sqlite3.connect(f"file:{stack.folder}/mlflow.db?mode=ro", uri=True)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: sorted(map(repr, database.execute(f'SELECT * FROM "{name}"'))) for name in tables}
    found = (path for path in Path(stack.folder, "artifacts").rglob("*") if path.is_file())
    return rows | {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def parameters(have: dict) -> dict:
    """Whatever a route may want to be told."""
    ours = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": have["experiment_id"]}}
    return have | {
        "run_uuid": have["run_id"],
        "run_ids": [have["run_id"]],
        "experiment_ids": [have["experiment_id"]],
        "experiment_name": "seeded",
        "request_id": have["trace_id"],
        "trace_ids": [have["trace_id"]],
        "scorer_ids": [have["scorer_id"]],
        "name": "model",
        "version": "1",
        "organization": "acme",
        "alias": "champion",
        "metric_key": "loss",
        "max_results": 10,
        "locations": [ours],
    }


OF_SKILLS = ("", "/versions", "/versions/{version}", "/aliases/{alias}")
# What a route is told differently.
TOLD = {
    "artifacts/list": {"path": "files"},
    "get-artifact": {"path": "files/seeded.txt"},
    "model-versions/get-artifact": {"path": "seeded.txt"},
    "artifacts/files": {"artifact_file_path": "weights.txt"},
    "label-schemas/get-by-name": {"name": "good"},
    "review-queues/get-by-name": {"name": "queue"},
    "review-queues/list": {"user": "ada"},
    "scorers/get": {"name": "scorer", "version": None},
    "scorers/versions": {"name": "scorer"},
    "traces/calculate-filter-correlation": {"filter_string1": "trace.status = 'OK'", "filter_string2": "trace.status = 'ERROR'"},
    "traces/metrics": {"view_type": "TRACES", "metric_name": "trace_count", "aggregations": [{"aggregation_type": "COUNT"}]},
    "scorers/list": {"experiment_ids": None},
    **{f"skills/{who}{more}": {"name": "skill"} for who in ("{name}", "@{organization}/{name}") for more in OF_SKILLS},
    "/graphql": {"query": "{ mlflowSearchModelVersions(input: {}) { modelVersions { name } } }"},
}


def ask(stack, row) -> tuple[int, str]:
    about = parameters(stack.have)
    told = max((end for end in TOLD if row["path"].endswith(end)), key=len, default=None)
    about = {name: value for name, value in (about | TOLD.get(told, {})).items() if value is not None}
    at = f"{about['experiment_id']}/{about['run_id']}/artifacts/files/seeded.txt"
    path = row["path"]
    for name, value in (about | {"artifact_path": at, "rest": "io.example/server", "filename": "x", "file": "x"}).items():
        path = path.replace(f"{{{name}}}", str(value)).replace(f"{{*{name}}}", str(value))
    if row["parameters"]:
        about = {parameter["name"]: about[parameter["name"]] for parameter in row["parameters"] if parameter["name"] in about}
    parts = {"params": about} if row["method"] == "GET" else {"json": about}
    answer = requests.request(row["method"], stack.mlflow_url + path, timeout=60, **parts)
    return answer.status_code, answer.text[:300]


def reads(stack, *more: tuple[str, str]) -> list[dict]:
    printed = subprocess.run([stack.binary, "routes", "--format", "json"], env=os.environ | dict(more), check=True, stdout=subprocess.PIPE).stdout
    return [row for row in json.loads(printed) if row["class"] in READS and not row["path"].endswith(ELSEWHERE)]


def changed_by(stack, row) -> tuple[set, tuple[int, str]]:
    before = state(stack)
    answer = ask(stack, row)
    after = state(stack)
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}, answer


def test_no_read_changes_anything(seeded):
    changing, refused, answered = {}, {}, 0
    for row in reads(seeded):
        if not seeded.version.has(row):
            continue
        changed, (status, text) = changed_by(seeded, row)
        if changed:
            changing[f"{row['method']} {row['path']}"] = changed
        if status == 200:
            answered += 1
        elif row["path"].replace("/ajax-api/", "/api/", 1) not in UNANSWERED and row["path"] not in UNANSWERED:
            refused[f"{row['method']} {row['path']}"] = (status, text)
    assert not changing
    assert not refused, "these were not seen at work: " + json.dumps(refused, indent=1)
    assert answered > 100


def test_a_read_that_writes_is_seen(seeded, tmp_path):
    """The list of label schemas makes one, in an experiment that has none."""
    file = tmp_path / "routes"
    file.write_text("[read]\nGET /api/3.0/mlflow/label-schemas/list\n")
    row = next(row for row in reads(seeded, ("HOKUSAI__MLFLOW__ROUTES_FILE", str(file))) if row["path"].endswith("label-schemas/list"))
    seeded.have["experiment_id"], kept = seeded.have["second_experiment_id"], seeded.have["experiment_id"]
    try:
        changed, (status, text) = changed_by(seeded, row)
    finally:
        seeded.have["experiment_id"] = kept
    assert (status, changed) == (200, {"label_schemas"}), text
