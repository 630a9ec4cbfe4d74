"""Every row of the table that changes something, asked by bob for what is his own, another's, nobody's and not there, in every mode
of ownership, with and without a fence. MLflow's database and files are the judge: what is refused left no trace in them."""

import itertools
import json
import re
import subprocess

import pytest
from versions import NEXT

from .bodies import EXPERIMENTS, LOGGED_MODELS, RUNS, TRACES
from .change import CHANGES, KEEPS_SOME, PASSES, REFUSES, Change, Request, ask
from .review_bodies import DATASETS, REVIEWS
from .rules import BY_MLFLOW, FENCED, NOT_OWNER, Case, every_case, is_reported, outcome, the_worst_cases
from .skill_bodies import SKILLS
from .stored_bodies import ARTIFACTS, MCP_SERVERS, MODELS
from .world import filled, fresh, new_tag

ROWS = EXPERIMENTS | RUNS | LOGGED_MODELS | TRACES | DATASETS | REVIEWS | MODELS | MCP_SERVERS | SKILLS | ARTIFACTS
# Of each kind of subject.
TWINS = [
    "POST /api/2.0/mlflow/experiments/update",
    "POST /api/2.0/mlflow/runs/log-batch",
    "DELETE /api/2.0/mlflow/logged-models/{model_id}",
    "POST /api/2.0/mlflow/registered-models/rename",
    "DELETE /api/2.0/mlflow-artifacts/artifacts/{*artifact_path}",
    "POST /api/3.0/mlflow/traces",
    "POST /api/3.0/mlflow/datasets/{dataset_id}/records",
    "PATCH /api/3.0/mlflow/issues/{issue_id}",
    "PATCH /api/3.0/mlflow/label-schemas/update",
    "POST /api/3.0/mlflow/review-queues/update",
]
# Their classes are not for bob's key.
FOR_OTHERS = ("admin", "gateway_invoke")


@pytest.fixture(scope="module")
def table(stack) -> list[dict]:
    """The rows that change something, without their twins."""
    printed = subprocess.run([stack.binary, "routes", "--format", "json"], check=True, stdout=subprocess.PIPE).stdout
    rows = json.loads(printed)
    paths = {row["path"] for row in rows}
    return [row for row in rows if row["changes"] and row["path"].replace("/ajax-api/", "/api/") not in paths - {row["path"]}]


def called(row: dict) -> str:
    return f"{row['method']} {row['path']}"


def faults(world, row: str, change: Change, case: Case, request_id: str) -> list[str]:
    """What is wrong with the answer to a request."""
    its, my = world.things[case.whose, case.place], world.things["own", "in"]
    method, path = row.split(" ", 1)
    request = change.request(its, my)
    before = world.state()
    answer = world.ask(case, method, filled(path, request.names), request, request_id)
    has_changed = world.state() != before
    expected = outcome(change, case, request)
    if has_changed:
        for things in (its, my):
            things.spend(*change.spends)
    is_gateways = answer.headers.get("X-Hokusai-Error-Source") == "gateway"
    found = answer.json()["reason"] if is_gateways else BY_MLFLOW
    if found != expected:
        return [f"{found} instead of {expected}: {answer.status_code} {answer.text[:300]}" + ", CHANGED" * has_changed]
    if expected != BY_MLFLOW:
        return ["refused, and something has changed"] * has_changed + wrong_words(change, case, expected, answer.json()["message"])
    if answer.status_code >= 400:
        done = KEEPS_SOME if has_changed else REFUSES
    else:
        done = CHANGES if has_changed else PASSES
    wanted = change.by_mlflow(case.whose, str(world.version))
    return [] if done == wanted else [f"MLflow {done}, and not: {wanted}: {answer.status_code} {answer.text[:300]}"]


def wrong_words(change: Change, case: Case, reason: str, message: str) -> list[str]:
    """A refusal says whose the thing is and whose the key, or how the key is fenced."""
    words = []
    if reason == FENCED and case.fence == "nothing":
        words = ["outside this API key's fence"]
    elif reason == FENCED:
        words = [": in-*" if change.of.startswith("model") else ": in/*"]
        # Such a thing has no name.
        of_nobody = change.of in ("nobody's", "nowhere") or change.leaves_nothing
        if of_nobody or (change.of in ("artifact", "dataset") and case.whose == "missing"):
            words = ["outside this API key's fence, which has experiments and models only"]
    elif reason == NOT_OWNER:
        whose = {"other": "belongs to alice", "unowned": "belongs to nobody"}.get(case.whose)
        words = [whose, "this API key is bob's"] if whose else []
        if change.of == "nobody's" or case.whose == "missing" or (change.leaves_nothing and case.mode == "closed"):
            words = ["administrator"]
    return [f"the message has no {word!r}: {message}" for word in words if word not in message]


def judge(world, row: str, changes: list[Change], cases) -> None:
    wrong, reported = [], {}
    for number, change in enumerate(changes):
        for case in cases(change):
            request_id = fresh("matrix-")
            if is_reported(change, case):
                reported[request_id] = f"{number}: {case}"
            wrong += [f"{number}: {case}: {fault}" for fault in faults(world, row, change, case, request_id)]
    told = world.reported(set(reported))
    wrong += [f"{case}: not reported" for each, case in reported.items() if each not in told]
    wrong += [f"reported without a reason: {each}" for each in told - reported.keys()]
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong)


@pytest.mark.parametrize("row", ROWS)
def test_a_change_is_allowed_or_refused_by_the_rules(world, row):
    method, path = row.split(" ", 1)
    if not world.version.has({"method": method, "path": path}):
        pytest.skip("not a route of this version")
    judge(world, row, ROWS[row], every_case if world.version is NEXT else the_worst_cases)


@pytest.mark.parametrize("row", TWINS)
def test_a_twin_is_judged_alike(world, row):
    if world.version is not NEXT:
        pytest.skip("once is enough")
    judge(world, row.replace("/api/", "/ajax-api/", 1), ROWS[row], the_worst_cases)


def test_a_request_that_names_two_passes_where_refusals_are_only_reported(world):
    its, my = world.things["other", "in"], world.things["own", "in"]
    both = ask(run_id=my.run, run_uuid=its.run, **new_tag())
    path = "/api/2.0/mlflow/runs/set-tag"
    answers = [world.ask(Case("own", mode), "POST", path, both, fresh("matrix-")) for mode in ("report", "enforce")]
    assert [answer.status_code for answer in answers] == [200, 400], answers[0].text


def test_there_is_a_request_for_every_row(table):
    rows = {called(row) for row in table if row["class"] not in FOR_OTHERS}
    assert rows == ROWS.keys()


def test_rows_for_administrators_are_refused_by_scope(world, table):
    allowed = {}
    before = world.state()
    for row in table:
        if row["class"] not in FOR_OTHERS:
            continue
        path = row["path"].replace("{", "").replace("}", "").replace("*", "")
        answer = world.ask(Case("own", "enforce"), row["method"], path, Request(json={}), fresh("matrix-"))
        if answer.status_code != 403 or answer.json()["reason"] != "scope_missing":
            allowed[called(row)] = answer.text
    assert not allowed
    assert world.state() == before


def test_every_row_that_is_free_is_for_administrators(table):
    assert not {called(row) for row in table if row["subject"] == "free" and row["class"] not in FOR_OTHERS}


def test_what_a_request_does_not_name_is_outside_of_every_fence(world, table):
    rows = [row for row in table if row["subject"].startswith("server itself")]
    assert len(rows) > 15
    allowed = {}
    inside = Request(json={"experiment_id": world.things["own", "in"].experiment})
    before = world.state()
    for row, mode in itertools.product(rows, ("off", "enforce")):
        path = re.sub(r"[{}*]", "", row["path"])
        answer = world.ask(Case("own", mode, "in", is_administrator=True), row["method"], path, inside, fresh("matrix-"))
        if answer.status_code != 403 or answer.json()["reason"] != "outside_fence":
            allowed[called(row), mode] = answer.text
    assert not allowed
    assert world.state() == before
