"""Where owners are not enforced yet, nobody makes himself one, for `enforce` believes what it finds; the rest is only told. MLflow's
database is the judge."""

import contextlib
import json
import sqlite3
import subprocess

import pytest
import requests
from stack import Stack
from waiting import eventually

from .enforced import SCOPES, binary, reason
from .world import Server, Things

MODES = ("off", "report")
FENCE = 'models = ["in-*"]\nexperiments = ["in/*"]\n'


class Site:
    """MLflow with things of alice, and a gateway in each of the modes that refuse nobody for the owner."""

    def __init__(self, running: Stack) -> None:
        self.running, self.keys = running, {}
        for name, user, scopes, fence in [
            ("alice", "alice", SCOPES, ""),
            ("bob", "bob", SCOPES, ""),
            ("fenced", "bob", SCOPES, FENCE),
            ("root", "root", ("mlflow:admin",), ""),
        ]:
            self.keys[name] = running.create_key("--user", user, "--test", *(f"--scope={scope}" for scope in scopes))
            with running.key_file.open("a") as file:
                file.write(fence)
        self.gateways = {mode: self._gateway(mode) for mode in MODES}
        self.things = Things(Server(running.mlflow_url, running.folder), "alice", "in")
        self.database = sqlite3.connect(f"file:{running.folder}/mlflow.db?mode=ro", uri=True, isolation_level=None)

    def _gateway(self, mode: str) -> Stack:
        gateway = Stack(self.running.folder / mode, self.running.binary)
        gateway.mlflow_url, gateway.key_file = self.running.mlflow_url, self.running.key_file
        gateway.start_gateway(HOKUSAI__LIMITS__MODE="off", HOKUSAI__POLICY__OWNERSHIP=mode)
        return gateway

    def ask(self, mode: str, who: str, call: str, /, **body) -> requests.Response:
        method, path = call.split(" ")
        url = f"{self.gateways[mode].url}/api/2.0/mlflow/{path}"
        return requests.request(method, url, json=body, headers={"Authorization": f"Bearer {self.keys[who]}"}, timeout=60)

    def tags(self) -> set:
        """Of the gateway's, with what has them."""
        tables = ("experiment_tags", "registered_model_tags")
        rows = {(table, *row) for table in tables for row in self.database.execute(f"SELECT * FROM {table}")}
        return {row for row in rows if "hokusai" in str(row).lower()}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with contextlib.ExitStack() as held:
        running = held.enter_context(contextlib.closing(Stack(tmp_path_factory.mktemp("not-enforced"), binary())))
        running.start_mlflow()
        site = Site(running)
        for gateway in site.gateways.values():
            held.callback(gateway.close)
        yield site


def planted(things: Things, tag: dict) -> list[tuple[str, dict]]:
    """Every request by which MLflow takes a tag of an experiment or a model."""
    experiment, model = things.experiment, things.model
    return [
        ("POST experiments/set-experiment-tag", {"experiment_id": experiment} | tag),
        ("POST experiments/delete-experiment-tag", {"experiment_id": experiment, "key": tag["key"]}),
        ("POST experiments/create", {"name": "in/planted", "tags": [{"key": "a", "value": "b"}, tag]}),
        ("POST registered-models/set-tag", {"name": model} | tag),
        ("DELETE registered-models/delete-tag", {"name": model, "key": tag["key"]}),
        ("POST registered-models/create", {"name": "in-planted", "tags": [tag]}),
    ]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("who", ["bob", "fenced"])
@pytest.mark.parametrize("key", ["hokusai.owner", "Hokusai.Owner", "hokusai.writers", "hokusai.anything"])
def test_nobody_says_whose_a_thing_is(site, mode, who, key):
    attempts = planted(site.things, {"key": key, "value": "bob"})
    before = site.tags()
    for call, body in attempts:
        answer = site.ask(mode, who, call, **body)
        assert (answer.status_code, reason(answer)) == (403, "not_owner"), (call, answer.text)
        assert site.tags() == before, call


def test_where_owners_are_reported_the_owner_shares_and_nobody_else(site):
    tag = {"name": site.things.model, "key": "hokusai.writers", "value": "carol"}
    assert site.ask("report", "alice", "POST registered-models/set-tag", **tag).status_code == 200
    refused = site.ask("report", "bob", "DELETE registered-models/delete-tag", **tag)
    assert (refused.status_code, reason(refused)) == (403, "not_owner"), refused.text
    assert ("registered_model_tags", "carol") in {(row[0], value) for row in site.tags() for value in row}


def test_where_nobody_is_asked_the_owner_does_not_share_either(site):
    tag = {"name": site.things.spare_model, "key": "hokusai.writers", "value": "bob"}
    assert reason(site.ask("off", "alice", "POST registered-models/set-tag", **tag)) == "not_owner"


@pytest.mark.parametrize("mode", MODES)
def test_an_administrator_says_whose_a_thing_is(site, mode):
    tag = {"name": site.things.spare_model, "key": "hokusai.owner", "value": f"given-{mode}"}
    assert site.ask(mode, "root", "POST registered-models/set-tag", **tag).status_code == 200
    assert any(f"given-{mode}" in str(row) for row in site.tags())


@pytest.mark.parametrize("mode", MODES)
def test_nothing_else_is_refused(site, mode):
    """Names of the gateway's on other things decide nothing."""
    for call, body in [
        ("POST runs/set-tag", {"run_id": site.things.run, "key": "hokusai.user", "value": "bob"}),
        ("POST experiments/set-experiment-tag", {"experiment_id": site.things.experiment, "key": "note", "value": "hokusai.owner"}),
        ("POST model-versions/set-tag", {"name": site.things.model, "version": site.things.version, "key": "hokusai.owner", "value": "b"}),
        ("POST runs/log-parameter", {"run_id": site.things.run, "key": f"hokusai.owner.{mode}", "value": "b"}),
    ]:
        answer = site.ask(mode, "bob", call, **body)
        assert answer.status_code == 200, (call, answer.text)


def test_what_was_planted_past_the_gateway_is_listed(site):
    name = Things(site.things.server, "mallory", "in").model
    listing = subprocess.run(
        [site.running.binary, "owners", "list", "--url", site.gateways["off"].url, "--format", "json"],
        env={"HOKUSAI_API_KEY": site.keys["root"]},
        check=True,
        stdout=subprocess.PIPE,
    )
    owners = {item["name"]: item["owner"] for item in json.loads(listing.stdout)}
    assert owners[name] == "mallory"


def test_a_request_is_reported_in_one_line_however_much_it_names(site):
    own = Things(site.things.server, "bob", "in").run
    models = [site.things._logged_model() for _ in range(20)]
    log = site.gateways["report"].log("gateway")
    begin = log.stat().st_size

    def told() -> list[dict]:
        lines = log.read_bytes()[begin:].splitlines()
        return [json.loads(line) for line in lines if b'"ownership would have denied this"' in line]

    for some in (models[:-1], models[-1:]):
        outputs = [{"model_id": model, "step": 0} for model in some]
        assert site.ask("report", "bob", "POST runs/outputs", run_id=own, models=outputs).status_code == 200
    eventually(lambda: len(told()) >= 2, seconds=10)
    assert [line.get("others") for line in told()] == [18, None]
    assert "belongs to alice" in told()[0]["denied"]
