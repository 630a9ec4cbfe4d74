"""A team writes in its own workspace as ever, and nothing into the other's."""

import time

import mlflow
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from .team import SECRET


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
