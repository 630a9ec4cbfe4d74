"""Tags that are more than remarks: what a version promises to keep is kept, and MLflow's client works as ever."""

import ast
import fnmatch
import json
import re
import subprocess

import mlflow
import pytest
import requests
from mlflow.tracking import MlflowClient
from stack import ROOT
from versions import NEXT, PINNED, nameless
from waiting import eventually

LIST = ROOT / "src" / "policy" / "mlflow.tags"


def listed() -> dict[str, str]:
    """Every tag, with its section."""
    section, found = None, {}
    for row in map(str.strip, LIST.read_text().splitlines()):
        if row.startswith("["):
            section = row.strip("[]")
        elif row and not row.startswith("#"):
            found[row.split()[0]] = section
    return found


def tags_in(source) -> dict[str, str]:
    """Every constant of MLflow's that is a tag's key: those in its files of tags, those in classes for tags, and those
    whose names say so."""
    found = {}
    for file in source.rglob("*.py"):
        tree, name = ast.parse(file.read_text()), str(file.relative_to(source))
        of_tags = name in ("utils/mlflow_tags.py", "prompt/constants.py")
        rooms = [("", tree)] + [(node.name, node) for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        for room, node in rooms:
            for line in (line for line in node.body if isinstance(line, ast.Assign | ast.AnnAssign)):
                value = getattr(line.value, "value", None)
                targets = getattr(line, "targets", None) or [line.target]
                says_so = of_tags or "Tag" in room or any("TAG" in getattr(target, "id", "") for target in targets)
                if says_so and isinstance(value, str) and re.match(r"_?mlflow[._]", value):
                    found[value] = name
    return found


@pytest.mark.parametrize("version", [PINNED, NEXT], ids=str)
def test_every_tag_of_mlflow_is_listed(version):
    found, known = tags_in(version.source()), listed()
    assert {"mlflow.prompt.text", "mlflow.note.content", "mlflow.trace.spansLocation"} <= found.keys()
    # What another tag's key begins with.
    prefixes = {"mlflow.traceTag."}
    unknown = {tag: file for tag, file in found.items() if not any(fnmatch.fnmatchcase(tag, name) for name in known)}
    assert unknown.keys() <= prefixes, unknown


def test_every_tag_that_is_listed_is_mlflows():
    found = tags_in(PINNED.source()) | tags_in(NEXT.source())
    gone = {name for name in listed() if not any(fnmatch.fnmatchcase(tag, name) for tag in found)}
    assert not gone


@pytest.mark.parametrize("version", [PINNED, NEXT], ids=str)
def test_every_tag_that_mlflow_calls_immutable_is_content(version):
    """Its client refuses to set these; its server does not. What is left of a failure is no content."""
    tree = ast.parse((version.source() / "utils" / "mlflow_tags.py").read_text())
    names = {line.targets[0].id: line.value for line in tree.body if isinstance(line, ast.Assign)}
    immutable = {names[name.id].value for name in names["IMMUTABLE_TAGS"].elts}
    content = {name for name, section in listed().items() if section == "content"}
    assert immutable - content == {"mlflow.trace.archivalFailure"}


# What carries tags and says nothing of them in the table, by a part of its path, and why.
REMARKS_ONLY = {
    "/runs/": "a run has no content in tags",
    "/logged-models": "nor has a logged model",
    "/datasets/": "nor a dataset",
    "/gateway/endpoints/": "administration",
    "/prompt-optimization/": "administration",
    "/skills/": "MLflow has no tags of its own there",
    "/mcp-servers/": "likewise",
    "/registered-models/create": "content is written when a thing is made",
    "/model-versions/create": "likewise",
    "/model-versions/transition-stage": "its answer has tags, it has none",
    "/mlflow/traces": "what begins and ends a trace has all of its tags in it",
    "/mlflow/traces/{}": "likewise",
}


def routes_of_tags() -> set[tuple[str, str]]:
    """What MLflow's descriptors say: requests that change something and have tags somewhere in them, or in their names."""
    from mlflow.protos import databricks_pb2, model_registry_pb2, service_pb2

    def has_tags(message, within=()) -> bool:
        inner = (field.message_type for field in message.fields if field.message_type and field.message_type not in within)
        return "tags" in message.fields_by_name or any(has_tags(each, (*within, message)) for each in inner)

    methods = [method for file in (service_pb2, model_registry_pb2) for service in file.DESCRIPTOR.services_by_name.values() for method in service.methods]
    carrying = [method for method in methods if "Tag" in method.input_type.name or has_tags(method.input_type)]
    endpoints = [each for method in carrying for each in method.GetOptions().Extensions[databricks_pb2.rpc].endpoints]
    return {(each.method, nameless(each.path)) for each in endpoints if each.method != "GET" and "search" not in each.path}


def test_every_route_of_tags_says_what_it_does(stack):
    printed = subprocess.run([stack.binary, "routes", "--format", "json"], check=True, stdout=subprocess.PIPE).stdout
    carrying = routes_of_tags()
    assert len(carrying) > 25
    silent, saying = set(), 0
    for row in json.loads(printed):
        path = nameless(row["path"])
        after = "/mlflow/" + path.partition("/mlflow/")[2]
        named = re.search(r"tags?\b", path) is not None
        saying += row["tags"] is not None
        if row["tags"] or row["method"] == "GET" or not (named or (row["method"], after) in carrying):
            continue
        parts = {part for part in REMARKS_ONLY if (after == part if part.startswith("/mlflow") else part in after)}
        if not parts:
            silent.add((row["method"], path))
    assert not silent
    assert saying == 22


class Key:
    """Somebody with a key, with MLflow's client and with plain requests."""

    def __init__(self, stack, monkeypatch, *scopes: str) -> None:
        self.stack, self.monkeypatch = stack, monkeypatch
        self.key = stack.create_key("--user", "ada", "--test", *(f"--scope=mlflow:{scope}" for scope in scopes))
        eventually(lambda: self.ask("GET", "/version", {}) != 401, "the gateway has read the new key")

    def client(self) -> MlflowClient:
        for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
            self.monkeypatch.delenv(name, raising=False)
        self.monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", self.key)
        self.monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        mlflow.set_tracking_uri(self.stack.tracking_uri)
        return MlflowClient()

    def ask(self, method: str, path: str, body: dict) -> int:
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = requests.request(method, f"{self.stack.tracking_uri}{path}", headers=headers, json=body or None, timeout=60)
        return answer.status_code


@pytest.fixture
def as_key(stack, monkeypatch):
    return lambda *scopes: Key(stack, monkeypatch, *scopes)


def at_mlflow(stack, path: str, **query) -> dict:
    answer = requests.get(f"{stack.mlflow_url}/api/{path}", params=query, timeout=60)
    answer.raise_for_status()
    return answer.json()


def version_at_mlflow(stack, name: str) -> dict[str, str]:
    told = at_mlflow(stack, "2.0/mlflow/model-versions/get", name=name, version="1")["model_version"]
    return {tag["key"]: tag["value"] for tag in told["tags"]}


CONTENT = ("mlflow.prompt.text", "_mlflow_prompt_type", "_mlflow_prompt_response_format", "mlflow.prompt.is_prompt")


def test_a_deployer_changes_nothing_of_a_prompts_text(stack, as_key):
    trainer = as_key("read", "write")
    trainer.client().register_prompt("kept", "Hello {{name}}", response_format={"type": "object"})
    before = version_at_mlflow(stack, "kept")
    assert before.keys() >= set(CONTENT)
    for key in (as_key("read", "registry_write", "promote"), trainer):
        for tag in CONTENT:
            for spelt in (tag, tag.upper(), f"{tag} ", tag.replace("e", "\u00e9")):
                for prefix in ("/api/2.0", "/ajax-api/2.0"):
                    about = {"name": "kept", "version": "1", "key": spelt}
                    path = f"{prefix}/mlflow/model-versions"
                    assert key.ask("POST", f"{path}/set-tag", about | {"value": "evil"}) == 403, spelt
                    assert key.ask("DELETE", f"{path}/delete-tag", about) == 403, spelt
    for change in ("set-tag", "delete-tag"):
        about = {"name": "kept", "key": "mlflow.prompt.is_prompt", "value": "false"}
        method = "POST" if change == "set-tag" else "DELETE"
        assert trainer.ask(method, f"/api/2.0/mlflow/registered-models/{change}", about) == 403
    assert version_at_mlflow(stack, "kept") == before
    assert trainer.client().get_prompt_version("kept", 1).template == "Hello {{name}}"


def test_an_administrator_sets_and_whoever_deletes_deletes(stack, as_key):
    trainer = as_key("read", "write")
    trainer.client().register_prompt("changed", "Hello {{name}}")
    about = {"name": "changed", "version": "1", "key": "mlflow.prompt.text"}
    path = "/api/2.0/mlflow/model-versions"
    assert as_key("delete").ask("DELETE", f"{path}/delete-tag", about) == 403
    assert as_key("admin").ask("POST", f"{path}/set-tag", about | {"value": "Bye"}) == 200
    assert version_at_mlflow(stack, "changed")["mlflow.prompt.text"] == "Bye"
    assert as_key("registry_write", "delete").ask("DELETE", f"{path}/delete-tag", about) == 200
    assert "mlflow.prompt.text" not in version_at_mlflow(stack, "changed")


def test_the_clients_normal_work_with_prompts_and_tags_goes_on(stack, as_key):
    client = as_key("read", "write").client()
    tags = {"team": "x"}
    for text in ("one {{a}}", "two {{a}}"):
        # MLflow adds its own tags to the dictionary, and sets them again at the second call.
        mlflow.genai.register_prompt("worked-on", text, tags=tags)
    assert mlflow.genai.load_prompt("prompts:/worked-on/2").template == "two {{a}}"
    mlflow.genai.set_prompt_version_tag("worked-on", 2, "reviewed", "yes")
    mlflow.genai.set_prompt_model_config("worked-on", 2, {"temperature": 0.1})
    mlflow.genai.delete_prompt_model_config("worked-on", 2)
    mlflow.genai.set_prompt_alias("worked-on", "champion", 2)
    client.delete_prompt_version_tag("worked-on", 2, "reviewed")
    experiment_id = client.create_experiment("tagged", tags={"mlflow.note.content": "a"})
    client.set_experiment_tag(experiment_id, "mlflow.note.content", "about")
    client.delete_experiment_tag(experiment_id, "mlflow.note.content")
    mlflow.set_experiment("tagged")
    with mlflow.start_span("traced") as span:
        pass
    mlflow.flush_trace_async_logging()
    mlflow.set_trace_tag(span.trace_id, "note", "a")
    mlflow.delete_trace_tag(span.trace_id, "note")
    run = client.create_run(experiment_id, run_name="named")
    client.set_tag(run.info.run_id, "mlflow.note.content", "about")
    client.link_prompt_version_to_run(run.info.run_id, "prompts:/worked-on/2")


def test_a_writer_gives_the_server_no_orders_and_moves_no_trace(stack, as_key):
    key = as_key("read", "write")
    experiment_id = key.client().create_experiment("ordered")
    schedule = {"key": "mlflow.issueDetection.schedule", "value": json.dumps({"cadence": "daily"})}
    path = "/api/2.0/mlflow/experiments"
    assert key.ask("POST", f"{path}/set-experiment-tag", {"experiment_id": experiment_id} | schedule) == 403
    assert key.ask("POST", f"{path}/set-experiment-tag", {"experimentId": experiment_id} | schedule) == 403
    assert key.ask("POST", f"{path}/create", {"name": "ordered-at-once", "tags": [schedule]}) == 403
    told = at_mlflow(stack, "2.0/mlflow/experiments/get", experiment_id=experiment_id)["experiment"]
    assert not any(tag["key"].startswith("mlflow.issueDetection") for tag in told.get("tags", []))
    mlflow.set_experiment("ordered")
    with mlflow.start_span("traced") as span:
        pass
    mlflow.flush_trace_async_logging()

    def tags_at_mlflow():
        told = at_mlflow(stack, f"3.0/mlflow/traces/{span.trace_id}")["trace"]["trace_info"]["tags"]
        return {tag: told[tag] for tag in told if tag in IMMUTABLE}

    before = tags_at_mlflow()
    assert before
    for version in ("2.0", "3.0"):
        for tag in IMMUTABLE:
            about = {"key": tag, "value": "s3://elsewhere"}
            assert key.ask("PATCH", f"/api/{version}/mlflow/traces/{span.trace_id}/tags", about) == 403
            assert key.ask("DELETE", f"/api/{version}/mlflow/traces/{span.trace_id}/tags", {"key": tag}) == 403
    assert tags_at_mlflow() == before


IMMUTABLE = ("mlflow.artifactLocation", "mlflow.trace.spansLocation", "mlflow.trace.archiveLocation", "mlflow.user")


def test_a_scorer_is_registered_by_administrators_alone(stack, as_key):
    experiment_id = as_key("read", "write").client().create_experiment("scored")
    body = {"experiment_id": experiment_id, "name": "s", "serialized_scorer": "{}"}
    for prefix in ("/api", "/ajax-api"):
        assert as_key("read", "write", "delete").ask("POST", f"{prefix}/3.0/mlflow/scorers/register", body) == 403
    assert at_mlflow(stack, "3.0/mlflow/scorers/list", experiment_id=experiment_id).get("scorers", []) == []
    assert as_key("admin").ask("POST", "/api/3.0/mlflow/scorers/register", body) != 403
