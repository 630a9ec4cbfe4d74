"""A GET with a JSON body, as `requests.get(url, json=…)` and mlflow-export-import send it: what MLflow answers to it directly, it
answers through the gateway; and base URLs that end in a slash."""

import json

import pytest
import requests
from mlflow.tracking import MlflowClient

API = "/api/2.0/mlflow"
STORE = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture(scope="module")
def have(stack):
    client = MlflowClient(stack.mlflow_url)
    experiment_id = client.create_experiment("asked in a body")
    run = client.create_run(experiment_id).info
    run_id = run.run_id
    client.log_metric(run_id, "loss", 1.0)
    client.log_text(run_id, "x", "d/a.txt")
    client.create_registered_model("asked in a body")
    client.create_model_version("asked in a body", f"{run.artifact_uri}/d", run_id)
    client.set_registered_model_alias("asked in a body", "champion", "1")
    return {"experiment_id": experiment_id, "run_id": run_id, "name": "asked in a body", "version": "1", "alias": "champion"}


def asked(have) -> list[tuple[str, object]]:
    def named(*names):
        return {name: have[name] for name in names}

    return [
        ("experiments/get", named("experiment_id")),
        ("experiments/get", {"experimentId": have["experiment_id"]}),
        ("experiments/get", named("experiment_id") | {"experimentId": "0"}),
        ("experiments/get-by-name", {"experiment_name": have["name"]}),
        ("experiments/search", {"max_results": 3}),
        ("runs/get", named("run_id")),
        ("runs/get", {"run_uuid": have["run_id"]}),
        ("metrics/get-history", named("run_id") | {"metric_key": "loss"}),
        ("artifacts/list", named("run_id") | {"path": "d"}),
        ("registered-models/get", named("name")),
        ("registered-models/search", {"filter": f"name = '{have['name']}'"}),
        ("registered-models/get-latest-versions", named("name")),
        ("registered-models/alias", named("name", "alias")),
        ("model-versions/get", named("name", "version")),
        ("model-versions/search", {"filter": f"name = '{have['name']}'"}),
        ("model-versions/get-download-uri", named("name", "version")),
        ("runs/get", [have["run_id"]]),
        ("runs/get", json.dumps(named("run_id"))),
        ("runs/get", {}),
    ]


def both(stack, path: str, mount: str = "", **parts) -> list[tuple[int, str]]:
    """Asked directly, and through the gateway. Parts that are used up are functions."""
    answers = []
    for url, headers in [(stack.mlflow_url, {}), (stack.url + mount, {"Authorization": f"Bearer {stack.key}"})]:
        told = {name: part() if callable(part) else part for name, part in parts.items()}
        answer = requests.get(url + path, headers=headers | told.pop("headers", {}), timeout=60, **told)
        answers.append((answer.status_code, answer.text))
    return answers


@pytest.mark.parametrize("way", ["json", "chunks", "of no type", "beside a query"])
def test_parameters_in_the_body_are_read_as_mlflow_reads_them(stack, have, way):
    taken = 0
    for number, (path, body) in enumerate(asked(have)):
        parts = {
            "json": {"json": body},
            "chunks": {"data": lambda body=body: iter([json.dumps(body).encode()])},
            "of no type": {"data": json.dumps(body)},
            "beside a query": {"json": body, "params": {"run_id": have["run_id"]}},
        }[way]
        mount = ["", "/api/mlflow", "/mlflow", "/", "/api/mlflow/"][number % 5]
        prefix = API if number % 2 else API.replace("/api/", "/ajax-api/")
        direct, through = both(stack, f"{prefix}/{path}", mount, **parts)
        assert through == direct, (path, body, direct, through)
        taken += direct[0] == 200
    assert taken >= {"json": 15, "chunks": 1, "of no type": 15, "beside a query": 5}[way], taken


def test_a_listing_a_download_and_graphql(stack, have):
    place = f"{have['experiment_id']}/{have['run_id']}/artifacts"
    query = {"query": f'{{ mlflowGetRun(input: {{runId: "{have["run_id"]}"}}) {{ run {{ info {{ runId }} }} }} }}'}
    for path, body, status in [
        (STORE, {"path": place}, 200),
        (STORE, {"path": "../.."}, 400),
        (f"{STORE}/{place}/d/a.txt", {"path": "elsewhere"}, 200),
        ("/graphql", query, 200),
    ]:
        direct, through = both(stack, path, json=body)
        assert through == direct and direct[0] == status, (path, direct, through)


@pytest.mark.parametrize("end", ["/", "//"])
def test_a_base_url_that_ends_in_slashes_works_as_any_other(stack, have, monkeypatch, end):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", stack.key)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    headers = {"Authorization": f"Bearer {stack.key}"}
    for mount in ("", "/api/mlflow", "/mlflow"):
        base = stack.url + mount + end
        # As the SDK for TypeScript joins them, in which no redirect may stand between.
        for path in ("/api/2.0/mlflow/runs/get", "/ajax-api/2.0/mlflow/runs/get"):
            answer = requests.get(base + path, params={"run_id": have["run_id"]}, headers=headers, timeout=60, allow_redirects=False)
            assert answer.json()["run"]["info"]["run_id"] == have["run_id"]
        for method, path, parts, status in [
            ("POST", "/api/2.0/mlflow/runs/search", {"json": {"experiment_ids": [have["experiment_id"]]}}, 200),
            ("GET", "/get-artifact", {"params": {"run_id": have["run_id"], "path": "d/a.txt"}}, 200),
            ("GET", "/model-versions/get-artifact", {"params": {"name": have["name"], "version": "1", "path": "a.txt"}}, 200),
            ("POST", "/graphql", {"json": {"query": "{ mlflowSearchModelVersions(input: {}) { modelVersions { name } } }"}}, 200),
            # Not on that border.
            ("GET", "/api//2.0/mlflow/experiments/search", {}, 400 if mount else 404),
            ("GET", f"{STORE}/{have['experiment_id']}//a", {}, 400),
            # Nothing is open that has another name.
            ("GET", "/live", {"headers": {}}, 404),
            ("GET", "/health/mlflow", {"headers": {}}, 404),
            ("POST", "/api/2.0/mlflow/runs/search", {"headers": {}, "json": {}}, 401),
        ]:
            answer = requests.request(method, base + path, timeout=60, allow_redirects=False, **{"headers": headers} | parts)
            assert answer.status_code == status, (base + path, answer.status_code, answer.text)
        client = MlflowClient(base)
        run_id = client.create_run(have["experiment_id"]).info.run_id
        client.log_text(run_id, "kept", "a b;c.txt")
        assert [file.path for file in client.list_artifacts(run_id)] == ["a b;c.txt"]
