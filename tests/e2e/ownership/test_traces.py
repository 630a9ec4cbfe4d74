"""Traces of another are neither changed nor moved, whatever a request says: MLflow's database is the judge."""

import contextlib
import gzip
import json
import os
import sqlite3
from pathlib import Path

import mlflow
import pytest
import requests
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from signing_in import sign_in
from stack import ROOT, Stack
from versions import NEXT, PINNED


class House:
    """MLflow, a gateway that enforces ownership, and two users; what the first has."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.keys = {
            user: stack.create_key("--user", user, "--test", *(f"--scope=mlflow:{scope}" for scope in ("read", "write", "delete")))
            for user in ("ada", "bob")
        }

    @contextlib.contextmanager
    def as_user(self, user: str):
        with pytest.MonkeyPatch.context() as monkeypatch:
            yield sign_in(monkeypatch, self.stack.tracking_uri, self.keys[user])

    def ask(self, user, method, path, headers=None, **parts) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.keys[user]}"} | (headers or {})
        return requests.request(method, self.stack.tracking_uri + path, headers=headers, timeout=60, **parts)

    def make(self, user: str, experiment: str) -> dict[str, str]:
        with self.as_user(user) as client:
            experiment_id = mlflow.set_experiment(experiment).experiment_id
            with mlflow.start_span("mine") as span:
                span.set_inputs({"question": user})
            mlflow.flush_trace_async_logging()
            feedback = mlflow.log_feedback(trace_id=span.trace_id, name="good", value=True)
            run_id = client.create_run(experiment_id).info.run_id
            made = {"experiment_id": experiment_id, "trace_id": span.trace_id, "run_id": run_id}
            return made | {"assessment_id": feedback.assessment_id}

    def rows(self, *ids: str) -> set:
        """All rows that name one of these."""
        with contextlib.closing(sqlite3.connect(f"file:{self.stack.folder}/mlflow.db?mode=ro", uri=True)) as database:
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            rows = {(table, row) for table in tables for row in database.execute(f'SELECT * FROM "{table}"')}
        return {(table, row) for table, row in rows if any(id in str(row) for id in ids)}


@pytest.fixture(scope="module", params=[PINNED, NEXT], ids=str)
def house(request, tmp_path_factory):
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    binary = Path(os.environ.get("HOKUSAI_GATEWAY", target / "debug" / "hokusai-gateway")).absolute()
    with contextlib.closing(Stack(tmp_path_factory.mktemp("traces"), binary)) as stack:
        stack.start_mlflow(**request.param.environment())
        house = House(stack)
        stack.start_gateway(HOKUSAI__POLICY__OWNERSHIP="enforce", HOKUSAI__LIMITS__MODE="off")
        house.ada, house.bob = house.make("ada", "of ada"), house.make("bob", "of bob")
        yield house


@pytest.fixture
def untouched(house):
    """What is ada's is there after the test as it was before it, and nothing is added to it."""
    ids = [house.ada[name] for name in ("trace_id", "run_id", "assessment_id")]
    before = house.rows(*ids)
    assert len(before) > 5
    yield
    assert house.rows(*ids) == before


def span_of(trace_id: str, attributes=None, of_resource=None) -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    of = message.resource_spans.add()
    for key, value in (of_resource or {}).items():
        of.resource.attributes.add(key=key).value.string_value = value
    span = of.scope_spans.add().spans.add(name="added", trace_id=bytes.fromhex(trace_id.removeprefix("tr-")), span_id=b"\1" * 8)
    span.start_time_unix_nano, span.end_time_unix_nano = 1_700_000_000_000_000_000, 1_700_000_001_000_000_000
    for key, value in (attributes or {}).items():
        span.attributes.add(key=key).value.string_value = value
    return message


def in_json(message: ExportTraceServiceRequest) -> bytes:
    """As exporters write it: ids in hex."""
    told = MessageToDict(message)
    for span, of in zip(
        (span for of in told["resourceSpans"] for scope in of["scopeSpans"] for span in scope["spans"]),
        (span for of in message.resource_spans for scope in of.scope_spans for span in scope.spans),
        strict=True,
    ):
        span |= {"traceId": of.trace_id.hex(), "spanId": of.span_id.hex()}
    return json.dumps(told).encode()


# How spans are written: the headers and the body.
WRITTEN = {
    "protobuf": lambda message: ({"Content-Type": "application/x-protobuf"}, message.SerializeToString()),
    "gzip": lambda message: (
        {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"},
        gzip.compress(message.SerializeToString()),
    ),
    "JSON": lambda message: ({"Content-Type": "application/json"}, in_json(message)),
}


def export(house, message, written="protobuf", **more) -> requests.Response:
    headers, body = WRITTEN[written](message)
    headers |= {"x-mlflow-experiment-id": house.bob["experiment_id"]} | more
    return house.ask("bob", "POST", "/v1/traces", headers, data=body)


@pytest.mark.parametrize("written", WRITTEN)
def test_spans_are_not_added_to_a_trace_of_another(house, untouched, written):
    answer = export(house, span_of(house.ada["trace_id"]), written)
    assert (answer.status_code, answer.json()["reason"]) == (403, "not_owner"), answer.text


def test_one_span_of_another_trace_refuses_them_all(house, untouched):
    both = span_of("c0" * 16)
    both.resource_spans.extend(span_of(house.ada["trace_id"]).resource_spans)
    assert export(house, both).status_code == 403
    assert house.rows("c0" * 16) == set()


@pytest.mark.parametrize("written", WRITTEN)
def test_ones_own_spans_are_stored(house, written):
    trace_id = f"{len(written):02x}" * 16
    for message in (span_of(trace_id), span_of(trace_id, {"again": "a"})):
        answer = export(house, message, written)
        assert answer.status_code == 200, answer.text
    tables = {table for table, _ in house.rows(f"tr-{trace_id}")}
    assert {"trace_info", "spans"} <= tables


@pytest.mark.parametrize("headers", [{"x-mlflow-experiment-id": "ada"}, {"x-mlflow-run-id": "ada"}], ids=str)
def test_spans_go_into_no_experiment_and_no_run_of_another(house, untouched, headers):
    headers = {name: house.ada[name.removeprefix("x-mlflow-").replace("-", "_")] for name in headers}
    assert export(house, span_of("c1" * 16), **headers).status_code == 403
    assert house.rows("c1" * 16) == set()


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize(
    "attributes, of_resource",
    [({"mlflow.traceTag.hokusai.user": "ada"}, {}), ({}, {"hokusai.user": "ada"})],
    ids=["attribute", "resource"],
)
def test_spans_set_no_tag_of_the_gateways(house, written, attributes, of_resource):
    message = span_of("c2" * 16, attributes, of_resource)
    assert export(house, message, written).status_code == 403
    assert house.rows("c2" * 16) == set()
    # The same as an administrator: so these are the places that MLflow reads.
    headers, body = WRITTEN[written](message)
    headers |= {"x-mlflow-experiment-id": house.bob["experiment_id"]}
    direct = requests.post(f"{house.stack.mlflow_url}/v1/traces", data=body, headers=headers, timeout=60)
    assert direct.status_code == 200, direct.text
    assert any(table == "trace_tags" and "hokusai.user" in row for table, row in house.rows("c2" * 16))
    delete = {"experiment_id": house.bob["experiment_id"], "request_ids": [f"tr-{'c2' * 16}"]}
    requests.post(f"{house.stack.mlflow_url}/api/2.0/mlflow/traces/delete-traces", json=delete, timeout=60).raise_for_status()


def start(house, info: dict) -> requests.Response:
    """A trace of bob's, with what `info` says of it."""
    location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": house.bob["experiment_id"]}}
    info = {"trace_location": location, "request_time": "2026-01-01T00:00:00Z", "state": "OK"} | info
    return house.ask("bob", "POST", "/api/3.0/mlflow/traces", json={"trace": {"trace_info": info}})


def test_a_trace_of_another_is_not_started_again_in_ones_own_experiment(house, untouched):
    for name in ("trace_id", "traceId"):
        answer = start(house, {name: house.ada["trace_id"]})
        assert (answer.status_code, answer.json()["reason"]) == (403, "not_owner"), answer.text


def test_an_assessment_of_another_is_neither_moved_nor_overridden(house, untouched):
    # An own assessment passes.
    own = {"assessment_name": "mine", "feedback": {"value": True}, "source": {"source_type": "HUMAN", "source_id": "bob"}}
    own |= {"create_time": "2026-01-01T00:00:00Z", "last_update_time": "2026-01-01T00:00:00Z"}
    answer = start(house, {"trace_id": f"tr-{'c3' * 16}", "assessments": [own]})
    assert answer.status_code == 200, answer.text
    for number, more in enumerate([{"assessment_id": None}, {"assessmentId": None}, {"overrides": None}]):
        more = dict.fromkeys(more, house.ada["assessment_id"])
        answer = start(house, {"trace_id": f"tr-{number:032x}", "assessments": [own | more]})
        assert (answer.status_code, answer.json()["reason"]) == (403, "not_owner"), answer.text


def test_a_trace_of_another_is_changed_by_no_other_route(house, untouched):
    ada, bob = house.ada, house.bob
    trace, assessment = ada["trace_id"], ada["assessment_id"]
    feedback = {"assessment_name": "bad", "feedback": {"value": False}, "source": {"source_type": "HUMAN", "source_id": "b"}}
    prompts = [{"name": "p", "version": "1"}]
    of_ada = {"experiment_id": ada["experiment_id"]}
    for method, path, body in [
        ("PATCH", f"2.0/mlflow/traces/{trace}", {"timestamp_ms": 1, "status": "ERROR", "tags": [{"key": "a", "value": "b"}]}),
        *(
            attempt
            for version in ("2.0", "3.0")
            for attempt in [
                ("PATCH", f"{version}/mlflow/traces/{trace}/tags", {"key": "a", "value": "b"}),
                ("DELETE", f"{version}/mlflow/traces/{trace}/tags", {"key": "mlflow.traceName"}),
                ("POST", f"{version}/mlflow/traces/{trace}/assessments", {"assessment": feedback}),
                ("PATCH", f"{version}/mlflow/traces/{trace}/assessments/{assessment}", {"assessment": feedback, "update_mask": "feedback"}),
                ("DELETE", f"{version}/mlflow/traces/{trace}/assessments/{assessment}", None),
                ("POST", f"{version}/mlflow/traces/delete-traces", of_ada | {"request_ids": [trace], "trace_ids": [trace]}),
            ]
        ),
        ("POST", "2.0/mlflow/traces/link-prompts", {"trace_id": trace, "prompt_versions": prompts}),
        ("POST", "2.0/mlflow/traces/link-to-run", {"trace_ids": [bob["trace_id"]], "run_id": ada["run_id"]}),
        ("POST", "2.0/mlflow/traces", of_ada | {"timestamp_ms": 1}),
    ]:
        answer = house.ask("bob", method, f"/api/{path}", json=body)
        assert answer.status_code in (403, 405), f"{method} {path}: {answer.status_code} {answer.text}"
        # Of 3.0 MLflow has not all.
        assert answer.json()["reason"] in ("not_owner", "method_not_allowed", "route_unknown"), answer.text


def test_the_author_of_a_run_is_who_made_it(house):
    with house.as_user("bob") as client:
        run = client.create_run(house.bob["experiment_id"], tags={"mlflow.user": "ada"})
        assert (run.info.user_id, run.data.tags["mlflow.user"], run.data.tags["hokusai.user"]) == ("bob", "bob", "bob")
        run_id = run.info.run_id
        for change in (
            lambda: client.set_tag(run_id, "mlflow.user", "ada"),
            lambda: client.delete_tag(run_id, "mlflow.user"),
            lambda: client.log_batch(run_id, tags=[mlflow.entities.RunTag("mlflow.user", "ada")]),
            lambda: client.set_tag(run_id, "hokusai.user", "ada"),
            lambda: client.delete_tag(run_id, "hokusai.key_id"),
        ):
            with pytest.raises(mlflow.MlflowException, match="PERMISSION_DENIED"):
                change()
        # What the client does when a run goes on.
        with mlflow.start_run(run_id=run_id, tags={"again": "a"}):
            mlflow.log_param("hokusai.rate", "1")
            mlflow.set_tag("mlflow.user", "bob")
        tags = client.get_run(run_id).data.tags
    assert (tags["mlflow.user"], tags["hokusai.user"], tags["again"]) == ("bob", "bob", "a")


def test_a_run_of_the_prompt_lab_is_its_makers(house):
    body = {
        "experiment_id": house.bob["experiment_id"],
        "user_id": "ada",
        "prompt_template": "{{a}}",
        "prompt_parameters": [{"key": "a", "value": "b"}],
        "model_route": "m",
        "model_input": "b",
        "model_output": "c",
        "mlflow_version": "3",
    }
    answer = house.ask("bob", "POST", "/ajax-api/2.0/mlflow/runs/create-promptlab-run", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["run"]["info"]["user_id"] == "bob"


def test_logged_models_and_versions_say_who_made_them(house):
    with house.as_user("bob") as client:
        model = client.create_logged_model(house.bob["experiment_id"], name="m")
        client.create_registered_model("of-bob")
        version = client.create_model_version("of-bob", f"models:/{model.model_id}", model_id=model.model_id)
        tags = client.get_logged_model(model.model_id).tags
        assert tags["hokusai.user"] == client.get_model_version("of-bob", version.version).tags["hokusai.user"] == "bob"
        assert client.get_registered_model("of-bob").tags["hokusai.owner"] == "bob"
        for change in (
            lambda: client.set_logged_model_tags(model.model_id, {"hokusai.user": "ada"}),
            lambda: client.delete_logged_model_tag(model.model_id, "hokusai.user"),
            lambda: client.set_model_version_tag("of-bob", version.version, "hokusai.user", "ada"),
            lambda: client.delete_registered_model_tag("of-bob", "hokusai.owner"),
        ):
            with pytest.raises(mlflow.MlflowException, match="PERMISSION_DENIED"):
                change()
