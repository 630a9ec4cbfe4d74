"""`owners list` and `owners set` at a real MLflow with hundreds of experiments and models; its database is the judge."""

import contextlib
import json
import os
import pty
import signal
import sqlite3
import subprocess

import pytest
import requests
from commands import run
from requests.adapters import HTTPAdapter
from stack import Stack
from urllib3.util import Retry
from waiting import eventually

COUNT = 300
ODD_EXPERIMENTS = ["acme/with a space", " acme/begins with one", "acme/試験 ü", 'acme/"quoted\'', "acme/100% a+b&c=d#e?"]
ODD_MODELS = ["acme-with a space", "acme-試験 ü", "acme-100% a+b&c=d#e?"]
PROMPT = "acme-prompt"
OTHERS = ["other/1", "ACME/1", "xacme/1"]
DELETED = "acme/deleted"


@pytest.fixture(scope="module")
def stack(tmp_path_factory, stack):
    """The experiments and models are older than ownership: nothing has an owner but what a test gives one."""
    with contextlib.closing(Stack(tmp_path_factory.mktemp("owners"), stack.binary)) as running:
        running.start_mlflow()
        running.admin = running.create_key("--user", "operator", "--test", "--scope", "mlflow:admin")
        running.bob = running.create_key("--user", "bob", "--test", "--scope", "mlflow:read", "--scope", "mlflow:write")
        running.audit = running.folder / "audit.jsonl"
        running.start_gateway(
            HOKUSAI__LIMITS__MODE="off", HOKUSAI__POLICY__OWNERSHIP="enforce", HOKUSAI__AUDIT__OUTPUT=str(running.audit)
        )
        seed(running)
        yield running


def seed(stack) -> None:
    with requests.Session() as session:
        # A busy SQLite is a 503.
        busy = Retry(total=20, backoff_factor=0.1, status_forcelist=[503], allowed_methods=None)
        session.mount("http://", HTTPAdapter(max_retries=busy))

        def create(path: str, body: dict) -> dict:
            made = session.post(f"{stack.mlflow_url}/api/2.0/mlflow/{path}", json=body, timeout=60)
            made.raise_for_status()
            return made.json()

        for name in [f"acme/{n}" for n in range(COUNT)] + [*ODD_EXPERIMENTS, *OTHERS, DELETED]:
            made = create("experiments/create", {"name": name})
        create("experiments/delete", made)
        for name in [f"acme-{n}" for n in range(COUNT)] + [*ODD_MODELS, "other-1"]:
            create("registered-models/create", {"name": name})
        prompt = {"key": "mlflow.prompt.is_prompt", "value": "true"}
        create("registered-models/create", {"name": PROMPT, "tags": [prompt]})


TARGETS = ["--experiments", "acme/*", "--experiments", " acme/*", "--models", "acme-*"]
WANTED = 2 * COUNT + len(ODD_EXPERIMENTS) + len(ODD_MODELS) + 1


def owners(stack, *arguments: str):
    return run(stack.binary, ["owners", *arguments, "--url", stack.url], stack.folder, {"HOKUSAI_API_KEY": stack.admin})


def rows(stack) -> set:
    """Everything in MLflow's database."""
    with contextlib.closing(sqlite3.connect(f"file:{stack.folder}/mlflow.db?mode=ro", uri=True)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {(table, row) for table in tables for row in database.execute(f'SELECT * FROM "{table}"')}


def owned(stack, tag: str = "hokusai.owner") -> dict[str, str]:
    """The owner of each experiment and model that has one."""
    with contextlib.closing(sqlite3.connect(f"file:{stack.folder}/mlflow.db?mode=ro", uri=True)) as database:
        experiments = "SELECT e.name, t.value FROM experiment_tags t JOIN experiments e USING (experiment_id) WHERE t.key = ?"
        models = "SELECT name, value FROM registered_model_tags WHERE key = ?"
        return dict([*database.execute(experiments, (tag,)), *database.execute(models, (tag,))])


def outcomes(report) -> dict[str, str]:
    return {item["name"]: item["outcome"] for item in report.said}


def targets() -> set[str]:
    experiments = [f"acme/{n}" for n in range(COUNT)] + ODD_EXPERIMENTS
    return {*experiments, *(f"acme-{n}" for n in range(COUNT)), *ODD_MODELS, PROMPT}


def start(stack, *arguments: str, **more) -> subprocess.Popen:
    command = [str(stack.binary), "owners", "set", "acme", *TARGETS, "--apply", "--url", stack.url, *arguments]
    environment = os.environ | {"HOKUSAI_API_KEY": stack.admin}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, **more)


def test_a_dry_run_says_what_it_would_set_and_changes_nothing(stack):
    before = rows(stack)
    report = owners(stack, "set", "acme", *TARGETS)
    assert report.code == 0, report.printed
    would = {name for name, outcome in outcomes(report).items() if outcome == "would set"}
    assert would == targets()
    assert outcomes(report)[DELETED] == "kept"
    assert rows(stack) == before


def test_list_shows_everything_with_its_kind(stack):
    report = owners(stack, "list")
    assert report.code == 0, report.printed
    kinds = {item["name"]: (item["kind"], item["deleted"]) for item in report.said}
    assert targets() | {*OTHERS, "other-1", "Default", DELETED} == set(kinds)
    assert (kinds[DELETED], kinds[PROMPT]) == (("experiment", True), ("prompt", False))
    assert (kinds[ODD_EXPERIMENTS[2]], kinds[ODD_MODELS[1]]) == (("experiment", False), ("model", False))
    assert len(report.said) == len(kinds), "something is listed twice"


def test_it_can_be_ended_at_any_time_and_goes_on_where_it_was(stack):
    for number, (end, code) in enumerate([(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 1)]):
        process = start(stack, stderr=subprocess.PIPE)
        for _ in range(100):
            assert process.stdout.readline().startswith("set "), f"run {number}"
        process.send_signal(end)
        _, told = process.communicate(timeout=60)
        assert process.returncode == code, told
        assert end == signal.SIGKILL or ("interrupted" in told and "run the same command again" in told), told
        assert 0 < len(owned(stack)) < WANTED
    before = len(owned(stack))
    report = owners(stack, "set", "acme", *TARGETS, "--apply")
    assert report.code == 0, report.printed
    assert owned(stack) == dict.fromkeys(targets(), "acme")
    # One may have been under way when the command was ended.
    assert WANTED - before - sum(outcome == "set" for outcome in outcomes(report).values()) in (0, 1)

    # Again: there is nothing left to do.
    database = rows(stack)
    report = owners(stack, "set", "acme", *TARGETS, "--apply")
    assert (report.code, outcomes(report)) == (0, {DELETED: "kept"}), report.printed
    assert rows(stack) == database
    eventually(lambda: tags_recorded(stack) >= WANTED, "each change has its audit record")


def tags_recorded(stack) -> int:
    """How many requests of the administrator that set a tag are recorded; those of a command that was killed may have had no answer."""
    records = [json.loads(line) for line in stack.audit.read_text().splitlines()]
    paths = ("/set-experiment-tag", "/registered-models/set-tag")
    return sum(
        record.get("user_id") == "operator"
        and record["path"].endswith(paths)
        and record["outcome"] in ("ok", "aborted")
        for record in records
        if "path" in record
    )


def test_what_has_an_owner_is_shown_and_left_to_it(stack):
    experiment = experiment_id(stack, "other/1")
    for key, value in [("hokusai.owner", "dave"), ("hokusai.writers", "eve")]:
        tag(stack, stack.admin, experiment, key, value).raise_for_status()
    unowned = {item["name"] for item in owners(stack, "list", "--unowned").said}
    assert {"Default", "ACME/1"} <= unowned
    assert "other/1" not in unowned

    report = owners(stack, "set", "acme", "--experiments", "other/*", "--writers", "bob", "--apply")
    assert (report.code, outcomes(report)) == (0, {"other/1": "kept"})
    assert (owned(stack)["other/1"], owned(stack, "hokusai.writers")["other/1"]) == ("dave", "eve")
    report = owners(stack, "set", "acme", "--experiments", "other/*", "--writers", "bob", "--replace", "--apply")
    assert (report.code, outcomes(report)) == (0, {"other/1": "set"})
    assert (owned(stack)["other/1"], owned(stack, "hokusai.writers")["other/1"]) == ("acme", "bob")
    report = owners(stack, "set", "acme", "--experiments", "other/*", "--writers", "", "--replace", "--apply")
    assert (report.code, owned(stack, "hokusai.writers")["other/1"]) == (0, "")


def test_the_gateway_goes_by_a_new_owner_at_once(stack):
    experiment = experiment_id(stack, "xacme/1")
    assert tag(stack, stack.bob, experiment, "note", "nobody's").status_code == 200
    assert owners(stack, "set", "acme", "--experiments", "xacme/1", "--apply").code == 0
    refused = tag(stack, stack.bob, experiment, "note", "bob's")
    assert (refused.status_code, refused.json()["reason"]) == (403, "not_owner")
    assert owners(stack, "set", "acme", "--experiments", "xacme/1", "--writers", "bob", "--apply").code == 0
    assert tag(stack, stack.bob, experiment, "note", "shared").status_code == 200


def test_a_key_that_may_not_set_owners_is_told_so(stack):
    before = rows(stack)
    command = ["owners", "set", "bob", "--experiments", "ACME/*", "--apply", "--url", stack.url]
    report = run(stack.binary, command, stack.folder, {"HOKUSAI_API_KEY": stack.bob})
    assert report.code == 1
    assert "403 not_owner" in report.printed, report.printed
    assert rows(stack) == before


def test_progress_is_shown_on_a_terminal_and_nowhere_else(stack):
    leader, follower = pty.openpty()
    process = start(stack, stderr=follower)
    os.close(follower)
    shown = b""
    with contextlib.suppress(OSError):
        while piece := os.read(leader, 65536):
            shown += piece
    process.communicate(timeout=60)
    os.close(leader)
    assert process.returncode == 0
    assert f"… {WANTED} looked at".encode() in shown
    told = owners(stack, "list", "--models", "acme-*").printed
    assert "\r" not in told
    assert "…" not in told


def experiment_id(stack, name: str) -> str:
    found = requests.get(
        f"{stack.mlflow_url}/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": name}, timeout=60
    )
    return found.json()["experiment"]["experiment_id"]


def tag(stack, key: str, experiment: str, name: str, value: str) -> requests.Response:
    return requests.post(
        f"{stack.tracking_uri}/api/2.0/mlflow/experiments/set-experiment-tag",
        json={"experiment_id": experiment, "key": name, "value": value},
        headers={"Authorization": f"Bearer {key}"},
        timeout=60,
    )
