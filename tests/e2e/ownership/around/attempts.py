"""Requests of bob's that are meant to change what is alice's. Each is refused: by the gateway with the reason that is said, or by
MLflow where none is."""

import json
from dataclasses import dataclass

NOT_OWNER, AMBIGUOUS, NAMELESS, MISSING = "not_owner", "ambiguous_body", "bad_request", "not_found"


@dataclass
class Attempt:
    call: str
    # The JSON, or a text as it is sent.
    body: object = None
    reason: str | None = NOT_OWNER
    query: dict | None = None

    def request(self) -> dict:
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        data = None if self.body is None else text.encode()
        return {"data": data, "params": self.query, "headers": {"Content-Type": "application/json"}}


TAG = {"key": "k", "value": "v"}
METRIC = {"key": "k", "value": 1.0, "timestamp": 1}
SET_TAG, LOG_BATCH = "POST /api/2.0/mlflow/runs/set-tag", "POST /api/2.0/mlflow/runs/log-batch"
LOG_METRIC, CREATE_RUN = "POST /api/2.0/mlflow/runs/log-metric", "POST /api/2.0/mlflow/runs/create"
NEW_EXPERIMENT, NEW_MODEL = "POST /api/2.0/mlflow/experiments/create", "POST /api/2.0/mlflow/registered-models/create"
REGISTRY, EXPERIMENTS = "/api/2.0/mlflow/registered-models", "/api/2.0/mlflow/experiments"


def of_runs(a: dict, b: dict) -> dict[str, Attempt]:
    theirs, mine = a["run_id"], b["run_id"]
    text = json.dumps
    return {
        "run_uuid beside run_id": Attempt(SET_TAG, {"run_id": mine, "run_uuid": theirs} | TAG, AMBIGUOUS),
        "run_id behind run_uuid": Attempt(SET_TAG, {"run_uuid": theirs} | TAG | {"run_id": mine}, AMBIGUOUS),
        "runUuid beside run_id": Attempt(SET_TAG, {"run_id": mine, "runUuid": theirs} | TAG, AMBIGUOUS),
        "runId beside run_id": Attempt(SET_TAG, {"run_id": mine, "runId": theirs} | TAG, AMBIGUOUS),
        "run_id twice": Attempt(SET_TAG, f'{{"run_id": "{mine}", "run_id": "{theirs}", "key": "k", "value": "v"}}', AMBIGUOUS),
        "run_id twice, once escaped": Attempt(SET_TAG, f'{{"run_id": "{mine}", "run\\u005fid": "{theirs}", "key": "k"}}', AMBIGUOUS),
        "runUuid alone": Attempt(SET_TAG, {"runUuid": theirs} | TAG),
        "run_uuid and no run_id": Attempt(LOG_METRIC, {"run_id": None, "run_uuid": theirs} | METRIC),
        "run_uuid and an empty run_id": Attempt(LOG_METRIC, {"run_id": "", "run_uuid": theirs} | METRIC),
        "JSON in JSON": Attempt(SET_TAG, text(text({"run_id": theirs} | TAG))),
        "JSON in JSON with two": Attempt(SET_TAG, text(text({"run_id": mine, "run_uuid": theirs} | TAG)), AMBIGUOUS),
        "JSON in JSON in JSON": Attempt(SET_TAG, text(text(text({"run_id": theirs} | TAG))), AMBIGUOUS),
        "a mark before the JSON": Attempt(SET_TAG, "\ufeff" + text({"run_id": theirs} | TAG), AMBIGUOUS),
        "a list": Attempt(SET_TAG, [{"run_id": theirs} | TAG], AMBIGUOUS),
        "no body": Attempt(SET_TAG, None, NAMELESS, {"run_id": theirs} | TAG),
        "an own run in the query": Attempt(SET_TAG, {"run_id": theirs} | TAG, query={"run_id": mine}),
        "a run in the query alone": Attempt(SET_TAG, TAG, NAMELESS, {"run_id": theirs, "run_uuid": theirs}),
        "a fault behind the id": Attempt(LOG_METRIC, {"run_uuid": theirs} | METRIC | {"step": "x", "run_id": mine}, AMBIGUOUS),
        "a fault before the id": Attempt(LOG_METRIC, {"step": [], "run_uuid": theirs} | METRIC),
        "a list as the own id": Attempt(LOG_METRIC, {"run_uuid": theirs, "run_id": [mine]} | METRIC, AMBIGUOUS),
        "a number as the own id": Attempt(LOG_METRIC, {"run_uuid": theirs} | METRIC | {"run_id": 7}, AMBIGUOUS),
        "a list with the id": Attempt(SET_TAG, {"run_id": [theirs]} | TAG, AMBIGUOUS),
        "an object as the id": Attempt(SET_TAG, {"run_id": {"run_id": theirs}} | TAG, AMBIGUOUS),
        "a blank before the id": Attempt(SET_TAG, {"run_id": f" {theirs}"} | TAG, AMBIGUOUS),
        "a blank behind the id": Attempt(SET_TAG, {"run_id": f"{theirs} "} | TAG, AMBIGUOUS),
        "a nothing behind the id": Attempt(SET_TAG, {"run_id": f"{theirs}\0"} | TAG, AMBIGUOUS),
        "an id in capitals": Attempt(SET_TAG, {"run_id": theirs.upper()} | TAG, None),
        "another experiment for the run": Attempt("POST /api/2.0/mlflow/runs/update", {"run_id": theirs, "experiment_id": b["experiment_id"]}),
        "a run that is restored": Attempt("POST /api/2.0/mlflow/runs/restore", {"run_id": a["deleted_run_id"]}),
        "a run that is deleted": Attempt("POST /api/2.0/mlflow/runs/delete", {"run_id": theirs}),
        "an experiment that is restored": Attempt(f"POST {EXPERIMENTS}/restore", {"experiment_id": a["deleted_experiment_id"]}),
        "its logged model in a batch": Attempt(LOG_BATCH, {"run_id": mine, "metrics": [METRIC, METRIC | {"model_id": a["model_id"]}]}),
        "its logged model in a batch, as modelId": Attempt(LOG_BATCH, {"run_id": mine, "metrics": [METRIC | {"modelId": a["model_id"]}]}),
        "its logged model in a metric": Attempt(LOG_METRIC, {"run_id": mine, "model_id": a["model_id"]} | METRIC),
        "its logged model as an output": Attempt(
            "POST /api/2.0/mlflow/runs/outputs", {"run_id": mine, "models": [{"model_id": b["model_id"]}, {"modelId": a["model_id"]}]}
        ),
        "its logged model as an input": Attempt(
            "POST /api/2.0/mlflow/runs/log-inputs", {"run_id": mine, "models": [{"model_id": a["model_id"]}]}
        ),
        "a reserved tag in a batch": Attempt(LOG_BATCH, {"run_id": mine, "tags": [TAG, {"key": "hokusai.user", "value": "alice"}]}),
        "a link from her run": Attempt("POST /api/2.0/mlflow/traces/link-to-run", {"run_id": theirs, "trace_ids": [b["trace_id"]]}),
        "an own model's id in the body": Attempt(
            f"PATCH /api/2.0/mlflow/logged-models/{a['model_id']}/tags", {"model_id": b["model_id"], "tags": [TAG]}
        ),
        "a run by a mutation of GraphQL": Attempt("POST /graphql", {"query": "mutation { testMutation(input: {}) { output } }"}, NOT_OWNER),
    }


def of_experiments(a: dict, b: dict) -> dict[str, Attempt]:
    theirs, mine = a["experiment_id"], b["experiment_id"]
    digits = theirs.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
    spellings = [f" {theirs}", f"{theirs} ", f"+{theirs}", f"0{theirs}", digits, f"{theirs}.0", f"\n{theirs}", f"0_{theirs}", f"-{theirs}"]
    attempts = {f"a run in {id!r}": Attempt(CREATE_RUN, {"experiment_id": id}, AMBIGUOUS) for id in [*spellings, int(theirs), [theirs], True]}
    # MLflow's own default for none is the experiment 0.
    attempts |= {f"a run in {id!r}": Attempt(CREATE_RUN, {"experiment_id": id}, NAMELESS) for id in ("", None)}
    location = f"mlflow-artifacts:/{theirs}/{a['run_id']}/artifacts"
    schema = {"schema_id": a["schema_id"], "title": "x", "instruction": "x"}
    return attempts | {
        "a run in her experiment": Attempt(CREATE_RUN, {"experiment_id": theirs}),
        "a run in one that is to come": Attempt(CREATE_RUN, {"experiment_id": "987654"}, MISSING),
        "a tag of one that is to come": Attempt(f"POST {EXPERIMENTS}/set-experiment-tag", {"experiment_id": "987654"} | TAG, MISSING),
        "traces deleted in one that is to come": Attempt(
            "POST /api/3.0/mlflow/traces/delete-traces", {"experiment_id": "987654", "request_ids": [a["trace_id"]]}, MISSING
        ),
        "a run in hers and an own one": Attempt(CREATE_RUN, {"experiment_id": mine, "experimentId": theirs}, AMBIGUOUS),
        "a logged model in it": Attempt("POST /api/2.0/mlflow/logged-models", {"experimentId": theirs, "name": "m"}),
        "files in her run": Attempt(NEW_EXPERIMENT, {"name": "x1", "artifact_location": location}),
        "files in her run, as artifactLocation": Attempt(NEW_EXPERIMENT, {"name": "x2", "artifactLocation": location}),
        "files in her experiment by dots": Attempt(NEW_EXPERIMENT, {"name": "x3", "artifact_location": f"mlflow-artifacts:/9/../{theirs}"}),
        "files on the server": Attempt(NEW_EXPERIMENT, {"name": "x4", "artifact_location": f"file:///tmp/{theirs}"}),
        "an owner at create": Attempt(NEW_EXPERIMENT, {"name": "x5", "tags": [{"key": "hokusai.owner", "value": "alice"}]}),
        "an owner at create, in capitals": Attempt(NEW_EXPERIMENT, {"name": "x6", "tags": [{"key": "Hokusai.OWNER", "value": "alice"}]}),
        "an owner at create of a model": Attempt(NEW_MODEL, {"name": "x7", "tags": [TAG, {"key": "hokusai.owner", "value": "alice"}]}),
        "the owner as a tag": Attempt(
            f"POST {EXPERIMENTS}/set-experiment-tag", {"experiment_id": theirs, "key": "hokusai.owner", "value": "bob"}
        ),
        "the owner's tag deleted": Attempt(f"POST {EXPERIMENTS}/delete-experiment-tag", {"experiment_id": theirs, "key": "hokusai.owner"}),
        "a writer of hers": Attempt(
            f"POST {EXPERIMENTS}/set-experiment-tag", {"experiment_id": theirs, "key": "hokusai.writers", "value": "bob"}
        ),
        "her experiment renamed": Attempt(f"POST {EXPERIMENTS}/update", {"experiment_id": theirs, "new_name": "bob's now"}),
        # What is taken is MLflow's to say.
        "an own one with her name": Attempt(f"POST {EXPERIMENTS}/update", {"experiment_id": mine, "new_name": "seeded"}, None),
        "her experiment deleted": Attempt(f"POST {EXPERIMENTS}/delete", {"experimentId": theirs}),
        "her scorer deleted": Attempt("DELETE /api/3.0/mlflow/scorers/delete", {"experiment_id": theirs, "name": "scorer"}),
        "her scorer, by the query": Attempt("DELETE /api/3.0/mlflow/scorers/delete", None, NAMELESS, {"experiment_id": theirs, "name": "scorer"}),
        "her schemas, made by a list": Attempt("GET /api/3.0/mlflow/label-schemas/list", query={"experiment_id": a["second_experiment_id"]}),
        "a prompt of the lab": Attempt("POST /ajax-api/2.0/mlflow/runs/create-promptlab-run", {"experiment_id": theirs, "experimentId": mine}, AMBIGUOUS),
        "her schema changed": Attempt("PATCH /api/3.0/mlflow/label-schemas/update", schema),
        "her schema deleted": Attempt("DELETE /api/3.0/mlflow/label-schemas/delete", {"schemaId": a["schema_id"]}),
        "her queue changed": Attempt("POST /api/3.0/mlflow/review-queues/update", {"queue_id": a["queue_id"], "users": ["bob"]}),
        "her queue filled": Attempt(
            "POST /api/3.0/mlflow/review-queues/items/add", {"queue_id": a["queue_id"], "item_ids": [b["trace_id"]], "item_type": "TRACE"}
        ),
        "her queue deleted": Attempt("POST /api/3.0/mlflow/review-queues/delete", {"queue_id": a["queue_id"]}),
        "her issue changed": Attempt(f"PATCH /api/3.0/mlflow/issues/{a['issue_id']}", {"issue_id": a["issue_id"], "name": "x"}),
        "her dataset changed": Attempt(f"PATCH /api/3.0/mlflow/datasets/{a['dataset_id']}/tags", {"tags": '{"a": "b"}'}),
        "a dataset of both changed": Attempt(f"PATCH /api/3.0/mlflow/datasets/{b['shared_dataset_id']}/tags", {"tags": '{"c": "d"}'}),
        "a dataset of both deleted": Attempt(f"DELETE /api/3.0/mlflow/datasets/{b['shared_dataset_id']}"),
        "hers taken from a dataset of both": Attempt(
            f"POST /api/3.0/mlflow/datasets/{b['shared_dataset_id']}/remove-experiments", {"experiment_ids": [theirs]}
        ),
        "the own one added to her dataset": Attempt(f"POST /api/3.0/mlflow/datasets/{a['dataset_id']}/add-experiments", {"experiment_ids": [mine]}),
        "hers added to an own dataset": Attempt(f"POST /api/3.0/mlflow/datasets/{b['dataset_id']}/add-experiments", {"experimentIds": [mine, theirs]}),
        "a dataset in hers": Attempt("POST /api/3.0/mlflow/datasets/create", {"name": "x", "experiment_ids": [mine, theirs]}),
        "a dataset in hers, by a blank": Attempt("POST /api/3.0/mlflow/datasets/create", {"name": "x", "experiment_ids": [mine, f" {theirs}"]}, AMBIGUOUS),
        "a dataset in one that is to come": Attempt("POST /api/3.0/mlflow/datasets/create", {"name": "x", "experiment_ids": ["987654"]}, NAMELESS),
        "a reserved tag of a dataset in nothing": Attempt(
            "POST /api/3.0/mlflow/datasets/create", {"name": "x", "tags": '{"hokusai.owner": "alice"}'}
        ),
        "her traces deleted": Attempt(
            "POST /api/3.0/mlflow/traces/delete-traces", {"experiment_id": theirs, "request_ids": [a["trace_id"]]}
        ),
        "her assessment, by an own trace": Attempt(
            f"PATCH /api/3.0/mlflow/traces/{a['trace_id']}/assessments/{a['assessment_id']}",
            {"assessment": {"trace_id": b["trace_id"], "rationale": "x"}, "update_mask": "rationale"},
        ),
        "her assessment deleted": Attempt(f"DELETE /api/3.0/mlflow/traces/{a['trace_id']}/assessments/{a['assessment_id']}"),
        "her trace tagged": Attempt(f"PATCH /api/3.0/mlflow/traces/{a['trace_id']}/tags", TAG),
        "an MCP server": Attempt("PATCH /api/3.0/mlflow/mcp-servers/io.example/server", {"description": "x"}),
    }


def of_models(a: dict, b: dict) -> dict[str, Attempt]:
    theirs, mine = a["model"], b["model"]
    versions = "/api/2.0/mlflow/model-versions"
    return {
        "a version": Attempt(f"POST {versions}/create", {"name": theirs, "source": f"runs:/{b['run_id']}/model", "run_id": b["run_id"]}),
        "a version, with two names": Attempt(f"POST {versions}/create", f'{{"name": "{mine}", "source": "x", "name": "{theirs}"}}', AMBIGUOUS),
        "a version's text": Attempt(f"PATCH {versions}/update", {"name": theirs, "version": "1", "description": "x"}),
        "a version's tag": Attempt(f"POST {versions}/set-tag", {"name": theirs, "version": "1"} | TAG),
        "a version's stage": Attempt(f"POST {versions}/transition-stage", {"name": theirs, "version": "1", "stage": "Archived"}),
        "a version deleted": Attempt(f"DELETE {versions}/delete", {"name": theirs, "version": "1"}),
        "an alias": Attempt(f"POST {REGISTRY}/alias", {"name": theirs, "alias": "champion", "version": "1"}),
        "an alias deleted": Attempt(f"DELETE {REGISTRY}/alias", {"name": theirs, "alias": "champion"}),
        "an alias deleted by the query": Attempt(f"DELETE {REGISTRY}/alias", None, NAMELESS, {"name": theirs, "alias": "champion"}),
        "the name": Attempt(f"POST {REGISTRY}/rename", {"name": theirs, "new_name": "bob-now"}),
        # What is taken is MLflow's to say.
        "her name for an own model": Attempt(f"POST {REGISTRY}/rename", {"name": mine, "newName": theirs}, None),
        "the prompt's text": Attempt(f"PATCH {REGISTRY}/update", {"name": a["prompt"], "description": "x"}),
        "the model": Attempt(f"DELETE {REGISTRY}/delete", {"name": theirs}),
        "the owner": Attempt(f"POST {REGISTRY}/set-tag", {"name": theirs, "key": "hokusai.owner", "value": "bob"}),
        "the own model's owner": Attempt(f"POST {REGISTRY}/set-tag", {"name": mine, "key": "hokusai.owner", "value": "alice"}),
        "the own model's owner deleted": Attempt(f"DELETE {REGISTRY}/delete-tag", {"name": mine, "key": "hokusai.owner"}),
        "her name for a new model": Attempt(NEW_MODEL, {"name": theirs}, None),
        "a blank before the name": Attempt(f"PATCH {REGISTRY}/update", {"name": f" {theirs}", "description": "x"}, MISSING),
        "a name that is to come": Attempt(f"POST {REGISTRY}/set-tag", {"name": "hers-tomorrow"} | TAG, MISSING),
        "a version of a model that is to come": Attempt(f"POST {versions}/create", {"name": "hers-tomorrow", "source": f"runs:/{b['run_id']}/m"}, MISSING),
        "a new name for one that is to come": Attempt(f"POST {REGISTRY}/rename", {"name": "hers-tomorrow", "new_name": "x"}, MISSING),
        "a number as the name": Attempt(f"PATCH {REGISTRY}/update", {"name": 1, "description": "x"}, AMBIGUOUS),
    }
