"""MLflow deletes the archive of a trace together with it, wherever a tag says that it is: a trace of bob's has none of alice's."""

from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PLACE, STATE = "mlflow.trace.archiveLocation", "mlflow.trace.spansLocation"
TRACE = f"tr-{'a7' * 16}"
SPELLINGS = [PLACE, PLACE.upper(), f"{PLACE} ", PLACE.replace("a", "\u00e4")]


@pytest.fixture(scope="module")
def hers(site) -> str:
    """The folder of an artifact of hers that is named as an archive."""
    folder = Path(site.stack.folder, "artifacts", site.alice["file"]).parent
    folder.joinpath("traces.pb").write_text("hers")
    return folder.as_uri()


def info(site, tags: dict, **more) -> dict:
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": site.bob["experiment_id"]}}
    about = {"trace_id": TRACE, "trace_location": place, "request_time": "2026-01-01T00:00:00Z", "state": "OK", "tags": tags}
    return {"trace": {"trace_info": about | more}}


@pytest.mark.parametrize("name", SPELLINGS)
def test_no_trace_is_made_or_ended_with_an_archive(site, refused, hers, name):
    tags = {name: hers, STATE: "ARCHIVE_REPO"}
    listed = [{"key": key, "value": value} for key, value in tags.items()]
    refused("bob", "POST", "/api/3.0/mlflow/traces", "not_owner", json=info(site, tags))
    refused("bob", "POST", "/api/2.0/mlflow/traces", "not_owner", json={"experiment_id": site.bob["experiment_id"], "timestamp_ms": 1, "tags": listed})
    ended = {"timestamp_ms": 1, "status": "OK", "tags": listed}
    refused("bob", "PATCH", f"/api/2.0/mlflow/traces/{site.bob['trace_id']}", "not_owner", json=ended)


@pytest.mark.parametrize("name", SPELLINGS)
def test_no_span_says_where_an_archive_is(site, refused, hers, name):
    message = ExportTraceServiceRequest()
    span = message.resource_spans.add().scope_spans.add().spans.add(name="a", trace_id=b"\xa7" * 16, span_id=b"\1" * 8)
    span.start_time_unix_nano = span.end_time_unix_nano = 1_700_000_000_000_000_000
    for key, value in {name: hers, STATE: "ARCHIVE_REPO"}.items():
        span.attributes.add(key=f"mlflow.traceTag.{key}").value.string_value = value
    headers = {"Content-Type": "application/x-protobuf", "x-mlflow-experiment-id": site.bob["experiment_id"]}
    refused("bob", "POST", "/v1/traces", "not_owner", headers=headers, data=message.SerializeToString())


def test_a_client_that_sends_all_tags_back_ends_its_trace(site):
    """As those of MLflow 2 do."""
    experiment = site.bob["experiment_id"]
    begun = site.ask("bob", "POST", "/api/2.0/mlflow/traces", json={"experiment_id": experiment, "timestamp_ms": 1}).json()["trace_info"]
    body = {"timestamp_ms": 2, "status": "OK", "tags": [*begun["tags"], {"key": STATE, "value": "TRACKING_STORE"}]}
    answer = site.ask("bob", "PATCH", f"/api/2.0/mlflow/traces/{begun['request_id']}", json=body)
    assert answer.ok, answer.text
