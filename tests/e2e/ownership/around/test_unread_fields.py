"""MLflow goes on with the fields before one that it cannot read, and takes an experiment that it has not read for its default one:
what was judged, and what the gateway writes, come before whatever a client puts there."""

import pytest
import requests

# No name of a field, for protobuf.
FAULT = {"[fault]": 1}


@pytest.fixture
def own(site):
    """A new experiment of bob's."""
    numbers = getattr(site, "numbers", 0)
    site.numbers = numbers + 1
    answer = site.ask("bob", "POST", "/api/2.0/mlflow/experiments/create", json={"name": f"unread {numbers}"})
    return answer.json()["experiment_id"]


def of_default(site) -> list:
    """All that is of MLflow's default experiment, in every table."""
    tables = "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) p ON p.name = 'experiment_id' WHERE m.type = 'table'"
    names = sorted(name for (name,) in site.database.execute(tables))
    return [(name, row) for name in names for row in site.database.execute(f'SELECT * FROM "{name}" WHERE experiment_id = 0')]


def at_mlflow(site, path: str, **body) -> None:
    answer = requests.post(f"{site.stack.mlflow_url}/api/{path}", json=body, timeout=60)
    assert answer.ok, answer.text


CALLS = {
    "POST 2.0/mlflow/experiments/update": {"new_name": "bob's now"},
    "DELETE 3.0/mlflow/scorers/delete": {"name": "of-default"},
    "POST 2.0/mlflow/experiments/set-experiment-tag": {"key": "hokusai.writers", "value": "bob"},
    "POST 2.0/mlflow/runs/create": {},
    "POST 2.0/mlflow/experiments/restore": {},
}


@pytest.mark.parametrize("call", CALLS)
def test_a_field_that_cannot_be_read_makes_an_own_experiment_no_other(site, own, call):
    scorer = '{"name": "of-default", "mlflow_version": "3", "serialization_version": 1, "builtin_scorer_class": "Safety"}'
    at_mlflow(site, "3.0/mlflow/scorers/register", experiment_id="0", name="of-default", serialized_scorer=scorer)
    if "restore" in call:
        at_mlflow(site, "2.0/mlflow/experiments/delete", experiment_id="0")
        at_mlflow(site, "2.0/mlflow/experiments/delete", experiment_id=own)
    before = of_default(site)
    assert len(before) > 1
    method, path = call.split(" ")
    for name in ("experiment_id", "experimentId"):
        answer = site.ask("bob", method, f"/api/{path}", json=CALLS[call] | FAULT | {name: own})
        assert of_default(site) == before, answer.text
    if "restore" in call:
        at_mlflow(site, "2.0/mlflow/experiments/restore", experiment_id="0")


# The path, the body, a field with a value of another type, and in which table who made it is said.
CREATES = {
    "an experiment": ("2.0/mlflow/experiments/create", {"name": "{}"}, "artifactLocation", "experiment_tags"),
    "a model": ("2.0/mlflow/registered-models/create", {"name": "{}"}, "deploymentJobId", "registered_model_tags"),
    "a run": ("2.0/mlflow/runs/create", {"experiment_id": "own"}, "startTime", "tags"),
    "the user of a run": ("2.0/mlflow/runs/create", {"experiment_id": "own"}, "runName", "runs"),
    "a logged model": ("2.0/mlflow/logged-models", {"experimentId": "own"}, "modelType", "logged_model_tags"),
    "a version": ("2.0/mlflow/model-versions/create", {"name": "bob-model", "source": "s3://bucket/model"}, "runLink", "model_version_tags"),
    "a dataset": ("3.0/mlflow/datasets/create", {"name": "{}", "experiment_ids": ["own"]}, "sourceType", "evaluation_datasets"),
    "an issue": ("3.0/mlflow/issues", {"name": "{}", "description": "d", "experiment_id": "own"}, "severity", "issues"),
}
FAULTS = {"a name": FAULT, "a tag": {"tags": [{"key": "k", "value": []}]}, "a tag and a name": {"tags": [{"key": 1}]} | FAULT}


@pytest.mark.parametrize("fault", ["a value", *FAULTS])
@pytest.mark.parametrize("kind", CREATES)
def test_what_is_made_says_who_made_it_whatever_else_cannot_be_read(site, own, kind, fault):
    path, body, typed, table = CREATES[kind]
    values = {"{}": f"{kind} {fault}", "own": own}
    body = {name: [own] if isinstance(value, list) else values.get(value, value) for name, value in body.items()}
    before, default = site.state(), of_default(site)
    answer = site.ask("bob", "POST", f"/api/{path}", json=body | FAULTS.get(fault, {typed: {"a": 1}}))
    made = site.state() - before
    assert any(name == table and "bob" in row for name, row in made) == answer.ok, (answer.text, made)
    assert answer.ok or not made, (answer.text, made)
    assert of_default(site) == default


def test_most_of_what_cannot_be_read_whole_is_made(site, own):
    """The test above would be nothing without."""
    answer = site.ask("bob", "POST", "/api/2.0/mlflow/runs/create", json={"experiment_id": own} | FAULT)
    assert answer.ok, answer.text
