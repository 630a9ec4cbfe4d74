"""A request for each row that changes an experiment, its runs, logged models and traces."""

import json
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from .change import DELETES_NOTHING, KEEPS_SOME, REFUSES, UNCHECKED, Change, Request, ask, at, beside, inside, of
from .world import fresh, new_tag, new_trace

PROMPTLAB = {
    "prompt_template": "{{a}}",
    "prompt_parameters": [{"key": "a", "value": "b"}],
    "model_route": "route",
    "model_input": "b",
    "model_output": "c",
    "mlflow_version": "3.17.2",
}


def metric(**more) -> dict:
    return {"key": fresh(), "value": 1.0, "timestamp": 1, "step": 0} | more


def feedback(trace_id: str) -> dict:
    source = {"source_type": "HUMAN", "source_id": "ada"}
    return {"assessment_name": "good", "trace_id": trace_id, "source": source, "rationale": fresh(), "feedback": {"value": True}}


def model_json(run_id: str) -> str:
    return json.dumps({"artifact_path": fresh(), "flavors": {}, "utc_time_created": "2026-01-01 00:00:00", "run_id": run_id})


def a_dataset() -> dict:
    return {"dataset": {"name": "data", "digest": fresh(), "source_type": "local", "source": "{}"}}


def spans(experiment_id: str, trace_id: str = "", **headers: str) -> Request:
    export = ExportTraceServiceRequest()
    trace = bytes.fromhex(trace_id.removeprefix("tr-") or f"{time.time_ns():032x}")
    span = export.resource_spans.add().scope_spans.add().spans.add(trace_id=trace, name="span")
    span.span_id = time.time_ns().to_bytes(8, "big")
    span.start_time_unix_nano = span.end_time_unix_nano = time.time_ns()
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    headers |= {"Content-Type": "application/x-protobuf", "x-mlflow-experiment-id": experiment_id}
    return Request(data=export.SerializeToString(), headers=headers)


EXPERIMENTS = {
    "POST /api/2.0/mlflow/experiments/create": [
        of("experiment_name", lambda its, my: ask(name=its.experiment_name), "experiment_name"),
        of("nobody's", lambda its, my: ask(name=fresh("in/"), artifact_location="mlflow-artifacts:/1/x"), but=UNCHECKED),
    ],
    "POST /api/2.0/mlflow/experiments/delete": [
        inside(lambda its, my: ask(experiment_id=its.spare_experiment), "spare_experiment")
    ],
    "POST /api/2.0/mlflow/experiments/restore": [
        inside(lambda its, my: ask(experiment_id=its.deleted_experiment), "deleted_experiment")
    ],
    "POST /api/2.0/mlflow/experiments/set-experiment-tag": [inside(lambda its, my: ask(experiment_id=its.experiment, **new_tag()))],
    "POST /api/2.0/mlflow/experiments/delete-experiment-tag": [
        inside(lambda its, my: ask(experiment_id=its.experiment, key=its.experiment_tag), "experiment_tag")
    ],
    "POST /api/2.0/mlflow/experiments/update": [
        beside(lambda its, my: ask(experiment_id=its.spare_experiment, new_name=fresh("in/")), "spare_experiment"),
        of(
            "experiment_name",
            lambda its, my: ask(experiment_id=my.spare_experiment, new_name=its.experiment_name),
            *("spare_experiment", "experiment_name"),
            with_own=True,
        ),
    ],
}

RUNS = {
    "POST /api/2.0/mlflow/runs/create": [inside(lambda its, my: ask(experiment_id=its.experiment, start_time=1))],
    "POST /ajax-api/2.0/mlflow/runs/create-promptlab-run": [inside(lambda its, my: ask(experiment_id=its.experiment, **PROMPTLAB))],
    "POST /api/2.0/mlflow/runs/delete": [inside(lambda its, my: ask(run_id=its.spare_run), "spare_run")],
    "POST /api/2.0/mlflow/runs/restore": [inside(lambda its, my: ask(run_id=its.deleted_run), "deleted_run")],
    "POST /api/2.0/mlflow/runs/delete-tag": [inside(lambda its, my: ask(run_id=its.run, key=its.run_tag), "run_tag")],
    "POST /api/2.0/mlflow/runs/set-tag": [
        inside(lambda its, my: ask(run_id=its.run, **new_tag())),
        inside(lambda its, my: ask(run_uuid=its.run, **new_tag())),
    ],
    "POST /api/2.0/mlflow/runs/update": [
        inside(lambda its, my: ask(run_id=its.run, run_name=fresh())),
        inside(lambda its, my: ask(run_uuid=its.run, run_name=fresh())),
    ],
    "POST /api/2.0/mlflow/runs/log-parameter": [
        inside(lambda its, my: ask(run_id=its.run, **new_tag())),
        inside(lambda its, my: ask(run_uuid=its.run, **new_tag())),
    ],
    "POST /api/2.0/mlflow/runs/log-metric": [
        inside(lambda its, my: ask(run_id=its.run, **metric())),
        inside(lambda its, my: ask(run_uuid=its.run, **metric())),
        beside(lambda its, my: ask(run_id=my.run, **metric(model_id=its.logged_model)), listed=True),
        beside(lambda its, my: ask(run_id=my.run, **metric(model_id=its.deleted_logged_model)), listed=True),
    ],
    "POST /api/2.0/mlflow/runs/log-batch": [
        inside(lambda its, my: ask(run_id=its.run, metrics=[metric()], tags=[new_tag()])),
        beside(
            lambda its, my: ask(run_id=my.run, metrics=[metric(), metric(model_id=its.logged_model)]),
            listed=True,
            # Of metrics, MLflow keeps those of the run.
            but={"missing": KEEPS_SOME},
        ),
    ],
    "POST /api/2.0/mlflow/runs/log-inputs": [
        inside(lambda its, my: ask(run_id=its.run, datasets=[a_dataset()])),
        beside(
            lambda its, my: ask(run_id=my.run, models=[{"model_id": its.spare_logged_model}]),
            *("spare_logged_model", "run"),
            listed=True,
            but=UNCHECKED,
        ),
    ],
    "POST /api/2.0/mlflow/runs/outputs": [
        beside(lambda its, my: ask(run_id=its.run, models=[{"model_id": my.spare_logged_model, "step": 0}]), "spare_logged_model"),
        beside(
            lambda its, my: ask(run_id=my.run, models=[{"model_id": its.spare_logged_model, "step": 0}]),
            *("spare_logged_model", "run"),
            listed=True,
            but=UNCHECKED,
        ),
    ],
    "POST /api/2.0/mlflow/runs/log-model": [inside(lambda its, my: ask(run_id=its.run, model_json=model_json(its.run)))],
}

LOGGED_MODELS = {
    "POST /api/2.0/mlflow/logged-models": [inside(lambda its, my: ask(experiment_id=its.experiment, name="logged"))],
    "PATCH /api/2.0/mlflow/logged-models/{model_id}": [
        inside(lambda its, my: at({"model_id": its.logged_model}, model_id=its.logged_model, status=2))
    ],
    "DELETE /api/2.0/mlflow/logged-models/{model_id}": [
        inside(lambda its, my: at({"model_id": its.spare_logged_model}), "spare_logged_model")
    ],
    "POST /api/2.0/mlflow/logged-models/{model_id}/params": [
        inside(lambda its, my: at({"model_id": its.logged_model}, model_id=its.logged_model, params=[new_tag()]))
    ],
    "PATCH /api/2.0/mlflow/logged-models/{model_id}/tags": [
        inside(lambda its, my: at({"model_id": its.logged_model}, model_id=its.logged_model, tags=[new_tag()])),
        inside(lambda its, my: at({"model_id": its.deleted_logged_model}, model_id=its.deleted_logged_model, tags=[new_tag()])),
    ],
    "DELETE /api/2.0/mlflow/logged-models/{model_id}/tags/{tag_key}": [
        inside(lambda its, my: at({"model_id": its.logged_model, "tag_key": its.logged_model_tag}), "logged_model_tag")
    ],
}


def of_traces(version: str, name: str) -> dict[str, list[Change]]:
    """The same in two versions of the API."""
    path = f"/api/{version}/mlflow/traces"
    one = f"{path}/{{{name}}}"
    given = {"update_mask": "rationale"}
    return {
        f"POST {path}/delete-traces": [
            inside(
                lambda its, my: ask(experiment_id=its.experiment, request_ids=[its.spare_trace]),
                "spare_trace",
                but=DELETES_NOTHING,
            )
        ],
        f"PATCH {one}/tags": [inside(lambda its, my: at({name: its.trace}, **new_tag()))],
        f"DELETE {one}/tags": [inside(lambda its, my: at({name: its.trace}, key=its.trace_tag), "trace_tag")],
        f"POST {one}/assessments": [inside(lambda its, my: at({name: its.trace}, assessment=feedback(its.trace)))],
        f"PATCH {one}/assessments/{{assessment_id}}": [
            inside(
                lambda its, my: at({name: its.trace, "assessment_id": its.assessment}, assessment=feedback(its.trace), **given),
                "assessment",
            )
        ],
        f"DELETE {one}/assessments/{{assessment_id}}": [
            inside(lambda its, my: at({name: its.trace, "assessment_id": its.assessment}), "assessment", but=DELETES_NOTHING)
        ],
    }


# Since 3.18 MLflow adds nothing to a trace of another experiment.
KEPT_SINCE = {"other 3.18.0": REFUSES, "unowned 3.18.0": REFUSES}

TRACES = {
    **of_traces("2.0", "request_id"),
    **of_traces("3.0", "trace_id"),
    "POST /api/2.0/mlflow/traces": [inside(lambda its, my: ask(experiment_id=its.experiment, timestamp_ms=1))],
    "PATCH /api/2.0/mlflow/traces/{request_id}": [
        inside(lambda its, my: at({"request_id": its.old_trace}, timestamp_ms=2, status="OK"), "old_trace")
    ],
    "POST /api/2.0/mlflow/traces/link-prompts": [
        inside(lambda its, my: ask(trace_id=its.trace, prompt_versions=[{"name": fresh(), "version": "1"}]))
    ],
    "POST /api/2.0/mlflow/traces/link-to-run": [
        inside(lambda its, my: ask(run_id=its.run, trace_ids=[my.spare_trace]), "spare_trace", but=UNCHECKED)
    ],
    "POST /api/3.0/mlflow/traces": [
        inside(lambda its, my: ask(**new_trace(its.experiment))),
        beside(lambda its, my: ask(**new_trace(my.experiment, its.spare_trace)), "spare_trace", but=UNCHECKED | KEPT_SINCE),
    ],
    "POST /v1/traces": [
        inside(lambda its, my: spans(its.experiment)),
        beside(lambda its, my: spans(my.experiment, x_mlflow_run_id=its.run), but=UNCHECKED),
        beside(lambda its, my: spans(my.experiment, its.spare_trace), "spare_trace", but=UNCHECKED | KEPT_SINCE),
    ],
}
