"""The gateway reads the same trace ids in a body of spans as MLflow's own code does, or refuses the body."""

import contextlib
import json
import os
import random
from pathlib import Path

import pytest
import requests
from google.protobuf.json_format import Parse
from mlflow.server.otel_api import _convert_otlp_json_ids_to_base64
from mlflow.tracing.utils import generate_mlflow_trace_id_from_otel_trace_id
from mlflow.tracing.utils.otlp import _otel_proto_bytes_to_id
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from stack import ROOT, Stack

from .span_readings import Recorder

A, B = b"\xaa" * 16, b"\x0b" * 16


@pytest.fixture(scope="module")
def recorder():
    with contextlib.closing(Recorder()) as recorder:
        yield recorder


@pytest.fixture(scope="module")
def send(recorder, tmp_path_factory):
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    binary = Path(os.environ.get("HOKUSAI_GATEWAY", target / "debug" / "hokusai-gateway")).absolute()
    with contextlib.closing(Stack(tmp_path_factory.mktemp("readings"), binary)) as stack, requests.Session() as session:
        stack.mlflow_url = recorder.url
        key = stack.create_key("--user", "b", "--test", "--scope", "mlflow:write")
        stack.start_gateway(HOKUSAI__POLICY__OWNERSHIP="enforce", HOKUSAI__LIMITS__MODE="off")

        def send(body: bytes, content_type: str = "application/x-protobuf") -> tuple[int, set[str]]:
            """The status, and the traces that MLflow was asked for."""
            recorder.asked, recorder.sent = set(), []
            headers = {"Authorization": f"Bearer {key}", "Content-Type": content_type, "x-mlflow-experiment-id": "1"}
            status = session.post(f"{stack.url}/v1/traces", data=body, headers=headers, timeout=60).status_code
            assert recorder.sent == ([body] if status == 200 else [])
            return status, recorder.asked

        yield send


def traces(request: ExportTraceServiceRequest) -> set[str]:
    """As MLflow names them (mlflow/entities/span.py, `from_otel_proto`)."""
    spans = [span for of in request.resource_spans for scope in of.scope_spans for span in scope.spans]
    return {generate_mlflow_trace_id_from_otel_trace_id(_otel_proto_bytes_to_id(span.trace_id)) for span in spans}


def mlflow_reads(body: bytes) -> set[str] | None:
    try:
        return traces(ExportTraceServiceRequest.FromString(body))
    except Exception:
        return None


def mlflow_reads_json(body: bytes) -> set[str] | None:
    try:
        return traces(Parse(_convert_otlp_json_ids_to_base64(body), ExportTraceServiceRequest(), ignore_unknown_fields=True))
    except Exception:
        return None


def field(number: int, value: bytes) -> bytes:
    return bytes([number << 3 | 2, len(value)]) + value


def request_of(span: bytes) -> bytes:
    return field(1, field(2, field(2, span)))


# What is there, and whether the gateway takes it.
ODD = {
    "plain": (request_of(field(1, A)), True),
    "two spans": (field(1, field(2, field(2, field(1, A)) + field(2, field(1, B)))), True),
    "two messages": (request_of(field(1, A)) + request_of(field(1, B)), True),
    "the id twice": (request_of(field(1, A) + field(1, B)), True),
    "the id twice, the last empty": (request_of(field(1, A) + field(1, b"")), False),
    "a longer id of the same number": (request_of(field(1, b"\0\0" + A)), False),
    "a shorter id": (request_of(field(1, A[:8])), False),
    "unknown fields": (field(15, b"x") + field(1, field(14, b"y") + field(2, b"\x78\x01" + field(2, b"\x7d\0\0\0\0" + field(1, A)))), True),
    "a group around it": (request_of(b"\x7b" + field(1, A) + b"\x7c"), False),
    "a group beside it": (request_of(b"\x7b\x78\x01\x7c" + field(1, A)), False),
    "an id that is a number": (request_of(b"\x08\x01" + field(1, A)), False),
    "a tag in more bytes than it needs": (b"\x8a\x80\x00" + request_of(field(1, A))[1:], True),
    "a length in more bytes than it needs": (request_of(b"\x0a\x90\x80\x80\x00" + A), True),
    "a length of eleven bytes": (request_of(b"\x0a" + b"\x90" + b"\x80" * 10 + b"\x00" + A), False),
    "cut off": (request_of(field(1, A))[:-1], False),
    "behind it a byte": (request_of(field(1, A)) + b"\x0a", False),
    "the end of a group": (request_of(field(1, A)) + b"\x0c", False),
    "field 0": (b"\x02\x00" + request_of(field(1, A)), False),
}


@pytest.mark.parametrize("what", ODD)
def test_odd_protobuf_is_read_as_mlflow_reads_it_or_refused(send, what):
    body, is_taken = ODD[what]
    status, asked = send(body)
    assert status == (200 if is_taken else 400)
    if is_taken:
        assert asked == mlflow_reads(body)


def test_damaged_protobuf_is_read_as_mlflow_reads_it_or_refused(send):
    random.seed(18)
    message = ExportTraceServiceRequest()
    of = message.resource_spans.add()
    of.resource.attributes.add(key="service.name").value.string_value = "a"
    for trace_id in (A, B):
        span = of.scope_spans.add().spans.add(trace_id=trace_id, span_id=b"\1" * 8, name="a")
        span.attributes.add(key="b").value.int_value = 7
    good, both = message.SerializeToString(), 0
    for _ in range(1500):
        body = bytearray(good)
        for _ in range(random.randint(1, 3)):
            at = random.randrange(len(body))
            match random.randrange(3):
                case 0:
                    body[at] = random.randrange(256)
                case 1:
                    del body[at]
                case 2:
                    body.insert(at, random.randrange(256))
        expected = mlflow_reads(bytes(body))
        status, asked = send(bytes(body))
        if status == 200 and expected is not None:
            assert asked == expected, body.hex()
            both += 1
    assert both > 100


@pytest.mark.parametrize(
    "text, is_taken",
    [
        ('{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "%s"}]}]}]}' % A.hex(), True),
        ('{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "%s"}]}]}]}' % A.hex().upper(), True),
        ('{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "%s"}]}]}]}' % A.hex(" "), False),
        ('{"resourceSpans": [{"scopeSpans": [{"spans": [{"trace_id": "qqqqqqqqqqqqqqqqqqqqqg=="}]}]}]}', False),
        ('{"resource_spans": [{"scopeSpans": [{"spans": [{"traceId": "qqqqqqqqqqqqqqqqqqqqqg=="}]}]}]}', False),
        ('{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "%s", "traceId": "%s"}]}]}]}' % (B.hex(), A.hex()), False),
        ('{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "%s", "trace_id": "%s"}]}]}]}' % (B.hex(), A.hex()), False),
        ('\ufeff{"resourceSpans": []}', False),
        ('{"resourceSpans": [], "x": NaN}', False),
        (json.dumps('{"resourceSpans": []}'), False),
    ],
)
def test_odd_json_is_read_as_mlflow_reads_it_or_refused(send, text, is_taken):
    status, asked = send(text.encode(), "application/json")
    assert status == (200 if is_taken else 400)
    if is_taken:
        assert asked == mlflow_reads_json(text.encode()) == {f"tr-{A.hex()}"}
