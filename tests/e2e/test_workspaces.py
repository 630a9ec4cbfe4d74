"""Two teams in two workspaces of one MLflow, each with a key that is bound to its own: neither reaches the other."""

import contextlib
import hashlib
import itertools
import json
import sqlite3
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import mlflow
import pytest
import requests
from mlflow.tracking import MlflowClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from stack import Stack

# Whatever of theirs holds this is told to nobody else.
SECRET = "told-to-nobody"


@pytest.fixture(scope="module")
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
        running.start_gateway(HOKUSAI__LIMITS__MODE="off")
        yield running


class Team:
    """One of them, with MLflow's client and with plain requests."""

    def __init__(self, stack, name, monkeypatch):
        self.stack, self.key, self.monkeypatch = stack, stack.keys[name], monkeypatch

    def client(self) -> MlflowClient:
        self.monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", self.key)
        self.monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        mlflow.set_tracking_uri(self.stack.tracking_uri)
        return MlflowClient()

    def ask(self, method, path, headers=None, **parts) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.key}"} | (headers or {})
        return requests.request(method, self.stack.tracking_uri + path, headers=headers, timeout=60, **parts)


def as_written(team, method, path, body=None) -> requests.Response:
    """Sent with the path as it is written, which requests by itself would not do."""
    url = team.stack.tracking_uri + path
    prepared = requests.Request(method, url, headers={"Authorization": f"Bearer {team.key}"}, data=body).prepare()
    prepared.url = url
    with requests.Session() as session:
        return session.send(prepared, timeout=60)


@pytest.fixture
def ours(stack, monkeypatch):
    return Team(stack, "ours", monkeypatch)


@pytest.fixture(scope="module")
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

    def rows():
        with contextlib.closing(sqlite3.connect(f"file:{stack.folder}/mlflow.db?mode=ro", uri=True)) as database:
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {(table, row) for table in tables for row in database.execute(f'SELECT * FROM "{table}"')}

    def files():
        found = (path for path in Path(stack.folder, "artifacts").rglob("*") if path.is_file())
        return {(path, hashlib.sha256(path.read_bytes()).hexdigest()) for path in found}

    rows_before, files_before = rows(), files()
    assert any(SECRET in str(row) for _, row in rows_before)
    yield
    assert rows_before <= rows()
    assert files_before <= files()


def test_a_team_works_in_its_own_workspace_as_ever(ours, theirs):
    client = ours.client()
    experiment_id = client.create_experiment("our-experiment")
    run = client.create_run(experiment_id)
    made = client.create_logged_model(experiment_id, name="ours")
    client.log_metric(run.info.run_id, "loss", 0.5, model_id=made.model_id)
    assert client.get_logged_model(made.model_id).metrics[0].value == 0.5
    client.log_text(run.info.run_id, "ours", "a b/c.txt")
    assert [file.path for file in client.list_artifacts(run.info.run_id, "a b")] == ["a b/c.txt"]
    client.create_registered_model("our-model")
    version = client.create_model_version("our-model", f"runs:/{run.info.run_id}/a b", run.info.run_id)
    assert client.get_model_version("our-model", version.version).run_id == run.info.run_id
    mlflow.set_experiment("our-experiment")
    with mlflow.start_span("ours"):
        pass
    mlflow.flush_trace_async_logging()
    assert len(client.search_traces(locations=[experiment_id])) == 1
    mlflow.register_prompt("our-prompt", "Hello {{name}}")
    assert mlflow.load_prompt("prompts:/our-prompt/1").format(name="you") == "Hello you"


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


def test_artifacts_of_theirs_are_out_of_reach_by_any_path(ours, theirs, untouched):
    theirs_at = f"workspaces/theirs/{theirs['experiment_id']}/{theirs['run_id']}/artifacts/model/secret.txt"
    encoded = theirs_at.replace("/", "%2F")
    for path in [
        theirs_at,
        encoded,
        encoded.replace("%", "%25"),
        f"./{theirs_at}",
        f"%2e/{theirs_at}",
        f"x/../{theirs_at}",
        f"workspaces/ours/../theirs/{theirs_at.split('/', 2)[2]}",
        theirs_at.replace("workspaces", "Workspaces"),
        theirs_at.removeprefix("workspaces/theirs/"),
    ]:
        for prefix in ("/api", "/ajax-api"):
            url = f"{prefix}/2.0/mlflow-artifacts/artifacts/{path}"
            for method in ("GET", "PUT", "DELETE"):
                body = None if method == "GET" else b"changed"
                assert SECRET not in as_written(ours, method, url, body).text, (method, url)
    for listed in ("workspaces", "workspaces/theirs", "./workspaces/theirs", "workspaces%2Ftheirs", "", "../theirs"):
        answer = ours.ask("GET", "/api/2.0/mlflow-artifacts/artifacts", params={"path": listed})
        assert theirs["run_id"] not in answer.text and "theirs" not in answer.text.replace("`ours`", ""), listed


def test_a_key_of_the_default_workspace_does_not_see_the_others_below_its_root(stack, theirs, untouched, monkeypatch):
    default = Team(stack, "default", monkeypatch)
    theirs_at = f"workspaces/theirs/{theirs['experiment_id']}/{theirs['run_id']}/artifacts/model/secret.txt"
    for path in [
        f"artifacts/{theirs_at}",
        f"artifacts/./{theirs_at}",
        f"artifacts/%2e/{theirs_at}",
        f"artifacts/%252e/{theirs_at}",
        f"artifacts/%25252e/{theirs_at}",
        f"artifacts%2F{theirs_at}?path=x",
        f"artifacts%2F%25252e/{theirs_at}?path=x",
        f"art%69facts/%25252e/{theirs_at}?path=x",
        f"presigned%2F{theirs_at}",
        "artifacts/workspaces",
        "artifacts?path=workspaces/theirs",
        "artifacts?path=.%2Fworkspaces",
        "artifacts?path=",
        "artifacts",
    ]:
        for method in ("GET", "DELETE"):
            answer = as_written(default, method, f"/api/2.0/mlflow-artifacts/{path}")
            # A listing has no DELETE.
            assert answer.status_code in (400, 403, 404, 405), (method, path)
            assert SECRET not in answer.text and theirs["run_id"] not in answer.text, (method, path)
    made = default.ask("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/mine.txt", data=b"mine")
    assert made.status_code == 200, made.text
    assert default.ask("GET", "/api/2.0/mlflow-artifacts/artifacts/0/mine.txt").text == "mine"


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


def test_a_model_version_of_ours_cannot_stand_for_files_of_theirs(ours, theirs, untouched):
    ours.ask("POST", "/api/2.0/mlflow/registered-models/create", json={"name": "thief"})
    place = f"workspaces/theirs/{theirs['experiment_id']}/{theirs['run_id']}/artifacts/model"
    for source, run_id in [
        (f"runs:/{theirs['run_id']}/model", theirs["run_id"]),
        (f"runs:/{theirs['run_id']}/model", None),
        (f"mlflow-artifacts:/{place}", None),
        (f"mlflow-artifacts:/{place}", theirs["run_id"]),
        (f"models:/{theirs['model_id']}", None),
        (f"file://{ours.stack.folder}/artifacts/{place}", None),
        (f"{ours.stack.folder}/artifacts/{place}", None),
        (f"s3://bucket/{place}", None),
    ]:
        body = {"name": "thief", "source": source} | ({"run_id": run_id} if run_id else {})
        made = ours.ask("POST", "/api/2.0/mlflow/model-versions/create", json=body)
        if made.status_code == 200:
            version = made.json()["model_version"]["version"]
            for path in ("secret.txt", "model/secret.txt", ""):
                query = {"name": "thief", "version": version, "path": path}
                assert SECRET not in ours.ask("GET", "/model-versions/get-artifact", params=query).text, source


def span_of(trace_id: bytes, attributes: dict[str, str], of_resource: dict[str, str]) -> bytes:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    for key, value in of_resource.items():
        resource.resource.attributes.add(key=key).value.string_value = value
    span = resource.scope_spans.add().spans.add(trace_id=trace_id, span_id=b"12345678", name="ours")
    span.start_time_unix_nano = time.time_ns()
    span.end_time_unix_nano = time.time_ns()
    for key, value in attributes.items():
        span.attributes.add(key=key).value.string_value = value
    return request.SerializeToString()


def test_a_trace_of_ours_cannot_stand_for_a_trace_of_theirs(ours, theirs, untouched):
    client = ours.client()
    experiment_id = client.create_experiment("thieves")
    mlflow.set_experiment("thieves")
    with mlflow.start_span("ours") as span:
        pass
    mlflow.flush_trace_async_logging()
    place = f"mlflow-artifacts:/workspaces/theirs/{theirs['experiment_id']}/traces/{theirs['trace_id']}/artifacts"
    for key in ("mlflow.artifactLocation", "mlflow.trace.archiveLocation", "mlflow.trace.spansLocation"):
        for version in ("2.0", "3.0"):
            tags = f"/api/{version}/mlflow/traces/{span.trace_id}/tags"
            assert ours.ask("PATCH", tags, json={"key": key, "value": place}).status_code == 403
        for number, (attributes, of_resource) in enumerate([({f"mlflow.traceTag.{key}": place}, {}), ({}, {key: place})]):
            body = span_of(bytes([number + 1]) * 16, attributes, of_resource)
            headers = {"Content-Type": "application/x-protobuf", "x-mlflow-experiment-id": experiment_id}
            answer = ours.ask("POST", "/v1/traces", headers, data=body)
            assert answer.status_code == 403, answer.text
            harmless = ours.ask("POST", "/v1/traces", headers, data=body.replace(key.encode(), b"x" * len(key)))
            assert harmless.status_code == 200, harmless.text
    for path in ("/ajax-api/2.0/mlflow/get-trace-artifact", "/ajax-api/3.0/mlflow/get-trace-artifact"):
        assert SECRET not in ours.ask("GET", path, params={"request_id": span.trace_id}).text
    info = client.get_trace(span.trace_id).info.to_dict()
    info["assessments"] = [{"assessment_id": theirs["assessment_id"], "assessment_name": "good", "trace_id": span.trace_id}]
    assert ours.ask("POST", "/api/3.0/mlflow/traces", json={"trace": {"trace_info": info}}).status_code == 403


def test_metrics_of_ours_cannot_be_written_to_a_model_of_theirs(ours, theirs, untouched):
    client = ours.client()
    run_id = client.create_run(client.create_experiment("metrics")).info.run_id
    metric = {"key": "evil", "value": 666, "timestamp": 5, "step": 0, "model_id": theirs["model_id"]}
    one = ours.ask("POST", "/api/2.0/mlflow/runs/log-metric", json={"run_id": run_id} | metric)
    batch = ours.ask("POST", "/ajax-api/2.0/mlflow/runs/log-batch", json={"run_id": run_id, "metrics": [metric]})
    assert (one.status_code, batch.status_code) == (403, 403)


def test_their_workspace_itself_is_out_of_reach(ours, untouched):
    for prefix in ("/api", "/ajax-api"):
        for method, name in [("GET", ""), ("GET", "/theirs"), ("PATCH", "/theirs"), ("DELETE", "/theirs"), ("POST", "")]:
            answer = ours.ask(method, f"{prefix}/3.0/mlflow/workspaces{name}", {"X-MLFLOW-WORKSPACE": "theirs"}, json={})
            assert answer.status_code in (400, 403), (method, name)
            assert answer.json()["reason"] in ("scope_missing", "bad_request")
