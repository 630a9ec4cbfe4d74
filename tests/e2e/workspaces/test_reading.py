"""Nothing of the other team is in any answer."""

import itertools
import json
import subprocess
from urllib.parse import quote

from .team import SECRET

# What a client may say of the workspace, which counts for nothing.
HEADERS = [
    {},
    {"X-MLFLOW-WORKSPACE": "theirs"},
    {"x-mlflow-workspace": "theirs, ours"},
    {"X-Mlflow-Workspace": ""},
    {"X_MLFLOW_WORKSPACE": "theirs"},
]


def everything_about(have) -> dict:
    """Every field by which a route of MLflow's is told what it is about."""
    return have | {
        "run_uuid": have["run_id"],
        "run_ids": [have["run_id"]],
        "experiment_ids": [have["experiment_id"]],
        "request_id": have["trace_id"],
        "trace_ids": [have["trace_id"]],
        "request_ids": [have["trace_id"]],
        "model_ids": [have["model_id"]],
        "dataset_ids": [have["dataset_id"]],
        "name": "shared-model",
        "new_name": "taken",
        "experiment_name": "shared-name",
        "version": "1",
        "stage": "Archived",
        "alias": "champion",
        "path": "model/secret.txt",
        "artifact_path": "model",
        "metric_key": "loss",
        "key": "note",
        "value": "changed",
        "description": "changed",
        "status": "FAILED",
        "max_results": 1000,
        "max_timestamp_millis": 2**50,
        "max_traces": 100,
        "locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": have["experiment_id"]}}],
    }


def test_no_route_of_the_table_tells_of_theirs_or_changes_it(ours, stack, theirs, untouched):
    printed = subprocess.run([stack.binary, "routes", "--format", "json"], check=True, stdout=subprocess.PIPE).stdout
    about = everything_about(theirs)
    in_path = about | {"tag_key": "note", "artifact_path": f"workspaces/theirs/{theirs['experiment_id']}", "rest": "x"}
    allowed = 0
    for row in json.loads(printed):
        path = row["path"]
        if path.endswith("/gateway/supported-models"):
            # It tells of no workspace, and asks the internet, for as long as that takes.
            continue
        for name, value in in_path.items():
            path = path.replace(f"{{{name}}}", str(value)).replace(f"{{*{name}}}", str(value))
        path = path.replace("{", "").replace("}", "").replace("*", "")
        for headers in HEADERS:
            parts = {"params": about} if row["method"] == "GET" else {"json": about}
            answer = ours.ask(row["method"], path, headers, **parts)
            assert SECRET not in answer.text, (row, headers)
            allowed += answer.status_code == 200
            if "X_MLFLOW_WORKSPACE" in headers:
                assert answer.status_code == 400
    assert allowed > 100, "hardly any request was one that MLflow takes"


def test_a_body_of_a_get_finds_nothing_of_theirs(ours, theirs, untouched):
    """Where there is no query MLflow takes the parameters from it, whatever its type."""
    place = f"workspaces/theirs/{theirs['experiment_id']}"
    store = "2.0/mlflow-artifacts/artifacts"
    asked = [
        ("2.0/mlflow/runs/get", {"run_id": theirs["run_id"]}),
        ("2.0/mlflow/experiments/get", {"experimentId": theirs["experiment_id"]}),
        ("2.0/mlflow/artifacts/list", {"run_id": theirs["run_id"], "path": "model"}),
        ("2.0/mlflow/model-versions/get", {"name": "shared-model", "version": "1"}),
        ("3.0/mlflow/traces/get", {"trace_id": theirs["trace_id"]}),
        *[(store, {"path": path}) for path in (place, f"{place}/{theirs['run_id']}", f" {place}", quote(place, safe=""), "workspaces", f"1/../{place}")],
    ]
    for path, body in asked:
        for prefix in ("/api/", "//ajax-api/"):
            for way, query in itertools.product(("json", "no type", "chunks"), ("", "?&&", "?x=1")):
                written = json.dumps(body)
                parts = {"json": {"json": body}, "no type": {"data": written}, "chunks": {"data": iter([written.encode()])}}[way]
                answer = ours.ask("GET", f"{prefix}{path}{query}", **parts)
                # Of a run that is not there MLflow says which it is.
                told = answer.text if answer.status_code == 200 else answer.text.replace(theirs["run_id"], "")
                assert SECRET not in told and theirs["run_id"] not in told and "secret.txt" not in told, (path, body, query)
                assert path != store or answer.status_code in (400, 403), (path, body, query, answer.text)
    mine = ours.ask("GET", "/api/2.0/mlflow/experiments/search", json={"max_results": 5})
    assert mine.status_code == 200, mine.text
    for body in ('{"max_results": 5, "maxResults": 6}', '{"max_results": 5, "max_results": 6}', "[]"):
        refused = ours.ask("GET", "/api/2.0/mlflow/experiments/search", data=body)
        assert (refused.status_code, refused.json()["reason"]) == (400, "ambiguous_body")


def test_graphql_and_batches_find_nothing_of_theirs(ours, theirs, untouched):
    run_id, experiment_id = theirs["run_id"], theirs["experiment_id"]
    for query in [
        f'{{ mlflowGetRun(input: {{runId: "{run_id}"}}) {{ run {{ data {{ params {{ value }} tags {{ value }} }} }} }} }}',
        f'{{ mlflowGetExperiment(input: {{experimentId: "{experiment_id}"}}) {{ experiment {{ name tags {{ value }} }} }} }}',
        f'mutation {{ mlflowSearchRuns(input: {{experimentIds: ["{experiment_id}"]}}) {{ runs {{ data {{ params {{ value }} }} }} }} }}',
        f'{{ mlflowListArtifacts(input: {{runId: "{run_id}", path: "model"}}) {{ files {{ path }} }} }}',
        '{ mlflowSearchModelVersions(input: {}) { modelVersions { name tags { value } } } }',
    ]:
        for headers in HEADERS[:4]:
            answer = ours.ask("POST", "/graphql", headers, json={"query": query})
            assert answer.status_code == 200, answer.text
            assert SECRET not in answer.text and "secret.txt" not in answer.text, query
    for method, path, parts in [
        ("GET", "/api/3.0/mlflow/traces/batchGet", {"params": {"trace_ids": [theirs["trace_id"]]}}),
        ("POST", "/ajax-api/3.0/mlflow/traces/batchGetInfos", {"json": {"trace_ids": [theirs["trace_id"]]}}),
        ("GET", "/ajax-api/2.0/mlflow/metrics/get-history-bulk", {"params": {"run_id": [run_id], "metric_key": "loss"}}),
        ("POST", "/api/2.0/mlflow/runs/search", {"json": {"experiment_ids": [experiment_id]}}),
    ]:
        answer = ours.ask(method, path, **parts)
        assert SECRET not in answer.text and "1.5" not in answer.text, path


def test_their_workspace_itself_is_out_of_reach(ours, untouched):
    for prefix in ("/api", "/ajax-api"):
        for method, name in [("GET", ""), ("GET", "/theirs"), ("PATCH", "/theirs"), ("DELETE", "/theirs"), ("POST", "")]:
            answer = ours.ask(method, f"{prefix}/3.0/mlflow/workspaces{name}", {"X-MLFLOW-WORKSPACE": "theirs"}, json={})
            assert answer.status_code in (400, 403), (method, name)
            assert answer.json()["reason"] in ("scope_missing", "bad_request")
