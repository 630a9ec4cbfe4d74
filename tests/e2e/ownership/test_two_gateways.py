"""Two gateways before one MLflow, which is stopped and started again: no owner is believed for longer than is said, and nothing is
changed while MLflow does not say whose it is."""

import contextlib
import json
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from redis_server import start_redis
from stack import Stack
from waiting import eventually

from .enforced import Enforced, binary, reason

# What is changed elsewhere is in force after so long, and at once where a Redis tells of it.
FRESH_SECONDS = 5
SET_TAG = "/api/2.0/mlflow/experiments/set-experiment-tag"
MODES = {"HOKUSAI__POLICY__OWNERSHIP": "enforce", "HOKUSAI__LIMITS__MODE": "off"}


class Two:
    """The first is the site's own."""

    def __init__(self, first: Enforced, second: Enforced) -> None:
        self.first, self.second = first, second

    def tag(self, site: Enforced, name: str, experiment_id: str, key: str = "note", value: str = "v"):
        return site.ask(name, "POST", SET_TAG, json={"experiment_id": experiment_id, "key": key, "value": value})

    def new_experiment(self, user: str) -> str:
        made = self.first.ask(user, "POST", "/api/2.0/mlflow/experiments/create", json={"name": f"{user} {time.monotonic_ns()}"})
        assert made.ok, made.text
        return made.json()["experiment_id"]


@contextlib.contextmanager
def second_of(first: Enforced, folder, **settings):
    with contextlib.closing(Stack(folder, first.stack.binary)) as stack:
        stack.mlflow_url, stack.key_file = first.stack.mlflow_url, first.stack.key_file
        stack.start_gateway(**MODES | settings)
        site = Enforced.__new__(Enforced)
        site.stack, site.session, site.keys, site.state = stack, first.session, first.keys, first.state
        yield site


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory):
    with contextlib.closing(Stack(tmp_path_factory.mktemp("two"), binary())) as stack:
        stack.start_mlflow()
        site = Enforced(stack)
        for user in ("alice", "bob"):
            site.add(user)
        site.add("root", scopes=("mlflow:admin",))
        yield site


@pytest.fixture(scope="module", params=["without Redis", "with Redis"])
def two(request, mlflow, tmp_path_factory):
    settings = {}
    if request.param == "with Redis":
        redis, port = start_redis(mlflow.stack)
        settings = {"HOKUSAI__REDIS__URL": f"redis://127.0.0.1:{port}"}
    gateway = mlflow.stack.start_gateway(**MODES | settings)
    with second_of(mlflow, tmp_path_factory.mktemp("second"), **settings) as second:
        pair = Two(mlflow, second)
        pair.has_redis = bool(settings)
        yield pair
    mlflow.stack.halt(gateway)
    if settings:
        mlflow.stack.halt(redis)


def test_a_writer_who_is_taken_off_at_one_is_refused_by_the_other(two):
    experiment = two.new_experiment("alice")
    assert two.tag(two.first, "alice", experiment, "hokusai.writers", "bob").ok
    assert eventually(lambda: two.tag(two.second, "bob", experiment).ok, seconds=FRESH_SECONDS + 2)
    assert two.tag(two.first, "alice", experiment, "hokusai.writers", "carol").ok
    taken = time.monotonic()
    eventually(lambda: reason(two.tag(two.second, "bob", experiment)) == "not_owner", seconds=FRESH_SECONDS + 2)
    if two.has_redis:
        assert time.monotonic() - taken < FRESH_SECONDS / 2
    before = two.first.state()
    assert not two.tag(two.second, "bob", experiment).ok
    assert two.first.state() == before


def test_an_owner_who_is_another_now_is_refused_at_once_where_it_was_changed(two):
    experiment = two.new_experiment("alice")
    assert two.tag(two.first, "alice", experiment).ok
    assert two.tag(two.first, "root", experiment, "hokusai.owner", "bob").ok
    before = two.first.state()
    assert reason(two.tag(two.first, "alice", experiment)) == "not_owner"
    assert two.first.state() == before
    assert two.tag(two.first, "bob", experiment).ok


def test_an_owner_changes_one_thing_in_many_threads_through_both(two):
    """Each change makes what the others know of it untrue."""
    experiment = two.new_experiment("alice")

    def tag(number: int):
        site = (two.first, two.second)[number % 2]
        headers = {"Authorization": f"Bearer {two.first.keys['alice']}"}
        body = {"experiment_id": experiment, "key": f"k{number}", "value": "v"}
        return requests.post(site.stack.url + SET_TAG, headers=headers, json=body, timeout=60)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(tag, range(80)))
    assert {answer.status_code for answer in answers} == {200}


def test_a_name_that_is_given_up_and_made_anew_elsewhere_is_the_new_owners(two):
    registry = "/api/2.0/mlflow/registered-models"
    name = f"m{time.monotonic_ns()}"
    assert two.second.ask("alice", "POST", f"{registry}/create", json={"name": name}).ok
    change = {"name": name, "description": "alice's"}
    assert two.second.ask("alice", "PATCH", f"{registry}/update", json=change).ok
    assert two.first.ask("alice", "DELETE", f"{registry}/delete", json={"name": name}).ok
    assert two.first.ask("bob", "POST", f"{registry}/create", json={"name": name}).ok
    made = time.monotonic()
    late = FRESH_SECONDS + 2
    eventually(lambda: reason(two.second.ask("alice", "PATCH", f"{registry}/update", json=change)) == "not_owner", seconds=late)
    if two.has_redis:
        assert time.monotonic() - made < FRESH_SECONDS / 2


def test_nothing_is_changed_while_mlflow_does_not_say_whose_it_is(tmp_path_factory):
    """MLflow is stopped, and started again with another owner in its database."""
    with contextlib.closing(Stack(tmp_path_factory.mktemp("restarted"), binary())) as stack:
        stack.start_mlflow()
        mlflow, site = stack.processes[-1], Enforced(stack)
        for user in ("alice", "bob"):
            site.add(user)
        stack.start_gateway(**MODES)
        two = Two(site, site)
        experiment = two.new_experiment("alice")
        run = site.ask("alice", "POST", "/api/2.0/mlflow/runs/create", json={"experiment_id": experiment}).json()["run"]["info"]["run_id"]
        assert site.ask("alice", "POST", "/api/2.0/mlflow/runs/set-tag", json={"run_id": run, "key": "a", "value": "b"}).ok
        stack.halt(mlflow)
        time.sleep(FRESH_SECONDS)
        before = site.state()
        for user in ("alice", "bob"):
            for method, path, body in [
                ("POST", SET_TAG, {"experiment_id": experiment, "key": "k", "value": "v"}),
                ("POST", "/api/2.0/mlflow/runs/set-tag", {"run_id": run, "key": "k", "value": "v"}),
                ("PATCH", "/api/2.0/mlflow/registered-models/update", {"name": "m", "description": "x"}),
                ("DELETE", "/api/2.0/mlflow/registered-models/delete", {"name": "m"}),
                ("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/x", {"a": "b"}),
            ]:
                answer = site.ask(user, method, path, json=body)
                assert answer.status_code == 503 and "Retry-After" in answer.headers, (path, answer.status_code, answer.text)
        # A read is MLflow's own failure.
        assert site.ask("bob", "GET", f"/api/2.0/mlflow/runs/get?run_id={run}").status_code in (502, 503)
        assert site.state() == before
        with contextlib.closing(sqlite3.connect(f"{stack.folder}/mlflow.db")) as database, database:
            database.execute("UPDATE experiment_tags SET value = 'bob' WHERE key = 'hokusai.owner' AND experiment_id = ?", (experiment,))
        stack.start_mlflow()
        eventually(lambda: two.tag(site, "bob", experiment).ok)
        assert reason(two.tag(site, "alice", experiment)) == "not_owner"
        assert reason(site.ask("alice", "POST", "/api/2.0/mlflow/runs/set-tag", json={"run_id": run, "key": "k", "value": "v"})) == "not_owner"


def test_a_report_tells_of_what_would_be_refused_and_lets_it_pass(mlflow, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    with second_of(mlflow, folder, HOKUSAI__POLICY__OWNERSHIP="report") as site:
        two = Two(site, site)
        experiment = two.new_experiment("alice")
        assert two.tag(site, "bob", experiment, "note", "bob's").ok
        assert any("bob's" in str(row) for row in site.state())

        def told() -> list[dict]:
            lines = [json.loads(line) for line in site.stack.log("gateway").read_text().splitlines() if line.startswith("{")]
            return [line for line in lines if line.get("message") == "ownership would have denied this"]

        (line,) = eventually(told)
        assert line["user_id"] == "bob" and "belongs to alice" in line["denied"]
