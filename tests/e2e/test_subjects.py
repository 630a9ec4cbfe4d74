"""The subjects of the gateway's table are MLflow's own fields, and no other field can name what a route changes."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from versions import NEXT, PINNED, Version, covers, nameless

COMPAT = [Version(folder, Path(folder)) for folder in os.environ.get("MLFLOW_COMPAT", "").split(":") if folder]
EVERY = pytest.mark.parametrize("version", [PINNED, NEXT, *COMPAT], ids=lambda version: Path(str(version)).name)

# Fields that could name something.
NAMING = re.compile(r"(.*_)?(ids?|uuids?|names?|uri|location)|source|path|organization|overrides")
# Of what has an owner, which no route without a thing of its own may name.
OWNED = re.compile(r"(.*_)?(run|experiment|trace|dataset)_(ids?|uuid)|model_id")
THINGLESS = ("free", "server itself")

# Fields that name nothing of another's, with the reason. Of all routes:
NO_SUBJECT = {
    "assessment.assessment_id": "MLflow makes the id of a new one; an update takes that of the path",
    "assessment.assessment_name": "a label",
    "assessment.issue.issue_name": "a label",
    "assessment.overrides": "looked up among those of the same trace",
    "assessment.source": "who assesses, not what",
    "assessment.source.source_id": "who assesses, not what",
    "assessment.span_id": "of the same trace",
    "assessment.trace_id": "the path's is taken",
    "dataset_name": "a label of a metric",
    "dataset_record_ids[]": "of the same dataset",
    "datasets[].dataset.name": "a copy in the same experiment",
    "datasets[].dataset.source": "a label",
    "deployment_job_id": "Databricks alone reads it",
    "display_name": "a label",
    "item_id": "of the same queue",
    "item_ids[]": "traces of the same experiment, or MLflow refuses them",
    "metrics[].dataset_name": "a label of a metric",
    "metrics[].run_id": "the run of the request is taken",
    "model_configs[].model_definition_id": "read; the AI gateway is for administrators",
    "endpoint_id": "the AI gateway is for administrators",
    "endpoint_name": "the AI gateway is for administrators",
    "prompt_versions[].name": "linked, not changed",
    "run_name": "a label",
    "scorer_name": "in the experiment of the request",
    "secret_id": "the AI gateway is for administrators",
    "server_json.name": "the path's, or MLflow refuses it",
    "server_json.repository.id": "a label",
    "server_json.repository.source": "a label",
    "schema_ids[]": "of the same experiment",
    "source_prompt_uri": "the job changes it: the server itself",
    "source_run_id": "a remark: nothing is written to that run",
    "trace_ids[]": "linked to the run, not changed",
    "update_schema_ids": "a switch",
    "upload_id": "the store's, of one path",
    "user_id": "an author",
}
# Of one route:
NO_SUBJECT_OF = {
    ("assistant/message", "experiment_id"): "what a conversation is about",
    ("assistant/skills/install", "experiment_id"): "whose project gets the skills",
    ("datasets/create", "name"): "a label: datasets are told apart by id",
    ("datasets/create", "source"): "not read",
    ("delete-traces", "request_ids[]"): "looked up in the experiment of the request",
    ("gateway/endpoints/create", "name"): "the AI gateway is for administrators",
    ("gateway/endpoints/update", "name"): "the AI gateway is for administrators",
    ("genai/evaluate/invoke", "name"): "of a scorer that is in the request",
    ("issues", "issue_id"): "a new one; MLflow refuses one that exists",
    ("issues", "name"): "a label",
    ("issues/{issue_id}", "name"): "a label",
    ("label-schemas/create", "name"): "in the experiment of the request",
    ("label-schemas/update", "name"): "in the same experiment",
    ("logged-models", "name"): "a label: logged models are told apart by id",
    ("model-versions/create", "model_id"): "read; MLflow sets mlflow.modelVersions on that model",
    ("model-versions/create", "run_id"): "a remark: nothing is written to that run",
    ("model-versions/create", "source"): "read: checks=source",
    ("mpu/abort/{*artifact_path}", "path"): "a file below the artifact path: checks=local_path where it is made",
    ("mpu/complete/{*artifact_path}", "path"): "a file below the artifact path: checks=local_path where it is made",
    ("mpu/create/{*artifact_path}", "path"): "a file below the artifact path: checks=local_path",
    ("artifacts/presigned-upload-url", "path"): "an artifact of the run or the model: checks=artifact_path",
    ("prompt-optimization/jobs", "config.dataset_id"): "read",
    ("prompt-optimization/jobs/search", "experiment_id"): "read",
    ("mcp-servers/{*rest}", "source"): "a label",
    ("review-queues/create", "name"): "in the experiment of the request",
    ("review-queues/update", "name"): "in the same experiment",
    ("scorers/delete", "name"): "in the experiment of the request",
    ("scorers/online-config", "name"): "in the experiment of the request",
    ("scorers/register", "name"): "in the experiment of the request",
    ("skills/bulk-register", "skills[].source"): "read",
}
# A new trace has assessments, which checks=assessments is about, and spans, which MLflow does not read there.
OF_TRACES = re.compile(r"trace\.(spans\[\]|trace_info\.(assessments\[\]|client_request_id|trace_location$|.*\.inference_table)).*")
# MLflow does not ask for these, and fails: the database has no experiment with an empty id.
FAIL_WITHOUT = {("runs/create", "experiment_id"), ("api/2.0/mlflow/traces", "experiment_id")}


@pytest.fixture(scope="session")
def table(stack) -> list[dict]:
    printed = subprocess.run([stack.binary, "routes", "--format", "json"], check=True, stdout=subprocess.PIPE).stdout
    return [row for row in json.loads(printed) if row["changes"]]


def rows_of(table, version):
    """The rows that a version has, and what it reads of their requests; what the path names is not read from the body."""
    routes = [(*route.split(" ", 1), reads) for route, reads in version.fields["routes"].items()]
    for row in table:
        key = (row["method"], nameless(row["path"]))
        for method, path, reads in routes:
            if covers(key, (method, nameless(path))):
                in_path = re.findall(r"\{(?:\w+\.)?(\w+)\}", path)
                yield row, reads | {"body": [field for field in reads["body"] if field not in in_path]}


def names_of(row, base) -> list[tuple[list[str], bool]]:
    """The names of each subject at a base, and whether a request has to have one of them."""
    if row["subject"] in THINGLESS:
        return []
    found = []
    for subject in row["subject"].split(", "):
        *places, last = re.split(r"[ |/]+", subject.split(" ", 1)[1])
        places += [] if last == "none" else [last]
        names = [place.removeprefix(f"{base}.") for place in places if place.startswith(f"{base}.")]
        found.append((names, last != "none" and len(names) == len(places) == 1))
    return found


def has(reads, base, name) -> bool:
    return (name.removesuffix("[]") if reads["by"] == "code" else name) in reads[base]


@pytest.mark.parametrize("base", ["body", "query", "header"])
def test_every_place_of_a_subject_is_one_that_mlflow_reads(table, base):
    read, asked = set(), set()
    for version in [PINNED, NEXT]:
        for row, reads in rows_of(table, version):
            for name in (name for names, _ in names_of(row, base) for name in names):
                asked.add((row["path"], name))
                read |= {(row["path"], name)} if has(reads, base, name) else set()
    assert len(asked) > 1
    assert not asked - read


@EVERY
def test_no_other_field_of_a_body_can_name_a_subject(table, version):
    unknown = set()
    for row, reads in rows_of(table, version):
        named = {name for names, _ in names_of(row, "body") for name in names}
        # The code of a handler does not tell what is a list.
        named |= {name.removesuffix("[]") for name in named} if reads["by"] == "code" else set()
        wanted = OWNED if row["subject"] in THINGLESS else NAMING
        for field in reads["body"]:
            last = field.split(".")[-1].removesuffix("[]")
            excused = field in NO_SUBJECT or any(row["path"].endswith(path) and field == name for path, name in NO_SUBJECT_OF)
            if wanted.fullmatch(last) and field not in named and not excused and not OF_TRACES.fullmatch(field):
                unknown.add((row["method"], row["path"], field))
    assert not sorted(unknown)


@EVERY
def test_a_parameter_beside_a_body_names_nothing_unless_the_row_says_so(table, version):
    unknown = set()
    for row, reads in rows_of(table, version):
        named = {name for names, _ in names_of(row, "query") for name in names}
        naming = {name for name in reads["query"] if NAMING.fullmatch(name)} - named
        if row["method"] != "GET" and row["subject"] not in THINGLESS and "artifact" not in row["subject"]:
            unknown |= {(row["method"], row["path"], name) for name in naming - {(row["artifact"] or "").partition("?")[2]}}
    assert not sorted(unknown)


@EVERY
def test_mlflow_refuses_a_request_that_names_no_subject(table, version):
    lax = set()
    for row, reads in rows_of(table, version):
        for names, is_asked in names_of(row, "body"):
            name = names[0].split(".")[0].removesuffix("[]") if names else ""
            fails = any(row["path"].endswith(path) and name == field for path, field in FAIL_WITHOUT)
            if is_asked and not fails and name not in reads["required"]:
                lax.add((row["method"], row["path"], name))
    assert not sorted(lax)


@pytest.mark.parametrize("version", [PINNED, NEXT], ids=str)
def test_a_request_with_several_names_is_read_as_the_table_says(version):
    assert version.fields["readings"] == {
        "the query beside the body of a POST": "body",
        "the query of a POST without a field": "",
        "the query beside the body of a DELETE": "body",
        "the query beside the body of a GET": "query",
        "a repeated parameter of a GET": "first",
        "the query of a HEAD": "body",
        "the other spelling": "camel",
        "a number": "",
        "nothing": "uuid",
        "an empty text": "uuid",
        # The fields before the fault count, so two names are two names.
        "a fault behind one of two names": "uuid",
    }


def test_every_excuse_is_needed(table):
    fields = {(row["path"], field) for version in [PINNED, NEXT, *COMPAT] for row, reads in rows_of(table, version) for field in reads["body"]}
    assert not {name for name in NO_SUBJECT if not any(name == field for _, field in fields)}
    assert not {(path, name) for path, name in NO_SUBJECT_OF if not any(of.endswith(path) and name == field for of, field in fields)}
