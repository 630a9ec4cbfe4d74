"""What bob may do with the names of alice's things, and what MLflow then has of hers: all that was there, as it was."""

import json

import pytest


@pytest.fixture
def changed(site):
    """The rows of hers that are not as before, or are new; bob's may be."""

    def hers() -> set:
        ids = [site.alice[name] for name in ("run_id", "model_id", "trace_id", "dataset_id")]
        return {row for row in site.state() if any(id in str(row) for id in ids) and site.bob["run_id"] not in str(row)}

    before = hers()
    assert len(before) > 10
    return lambda: hers() ^ before


def ok(site, path: str, **body):
    answer = site.ask("bob", "POST", path, json=body)
    assert answer.ok, answer.text


def test_a_batch_of_traces_with_one_of_hers_deletes_the_own_ones_alone(site, changed):
    for version in ("2.0", "3.0"):
        path = f"/api/{version}/mlflow/traces/delete-traces"
        ok(site, path, experiment_id=site.bob["experiment_id"], request_ids=[site.bob["trace_id"], site.alice["trace_id"]])
    assert not changed()
    assert {row[0] for table, row in site.state() if table == "trace_info"} == {site.alice["trace_id"]}


def test_a_run_in_the_query_of_a_post_is_none(site, changed):
    path = f"/api/2.0/mlflow/runs/set-tag?run_id={site.alice['run_id']}&run_uuid={site.alice['run_id']}"
    ok(site, path, run_id=site.bob["run_id"], key="q", value="v")
    assert not changed()


def test_a_run_that_calls_itself_hers_by_tags_is_still_bobs(site, changed):
    for key, value in [("mlflow.parentRunId", "run_id"), ("mlflow.experimentId", "experiment_id"), ("run_id", "run_id")]:
        ok(site, "/api/2.0/mlflow/runs/set-tag", run_id=site.bob["run_id"], key=key, value=site.alice[value])
    metric = {"key": "k", "value": 1.0, "timestamp": 1, "run_id": site.alice["run_id"]}
    ok(site, "/api/2.0/mlflow/runs/log-batch", run_id=site.bob["run_id"], metrics=[metric])
    told = json.dumps({"run_id": site.alice["run_id"], "artifact_path": "m", "utc_time_created": "2026-01-01", "flavors": {}})
    ok(site, "/api/2.0/mlflow/runs/log-model", run_id=site.bob["run_id"], model_json=told)
    assert not changed()


def test_a_version_of_an_own_model_may_come_from_her_run(site, changed):
    source = f"mlflow-artifacts:/{site.alice['file'].rsplit('/', 1)[0]}"
    ok(site, "/api/2.0/mlflow/model-versions/create", name="bob-model", source=source, run_id=site.alice["run_id"])
    # The new version alone, in bob's model.
    assert {(table, row[0]) for table, row in changed()} == {("model_versions", "bob-model")}


def test_a_version_of_an_own_model_may_come_from_her_logged_model_which_mlflow_notes_there(site, changed):
    source = {"source": f"models:/{site.alice['model_id']}", "model_id": site.alice["model_id"]}
    ok(site, "/api/2.0/mlflow/model-versions/create", name="bob-model", **source)
    noted = {(table, "mlflow.modelVersions" in row) for table, row in changed() if table == "logged_model_tags"}
    assert noted == {("logged_model_tags", True)}
    assert {table for table, _ in changed()} == {"logged_model_tags", "model_versions"}
