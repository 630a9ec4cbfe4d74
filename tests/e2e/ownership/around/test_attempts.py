"""Ways around ownership: bob tries them, and MLflow has no trace of it in what is alice's."""

import pytest
import requests

from ..enforced import reason
from . import attempts
from .belongings import ODD_USERS

NAMELESS = {"run_id": "0" * 32, "experiment_id": "1"}


def named(table) -> list:
    """The names of a table, which are known before there is anything."""
    empty = dict.fromkeys(["model_id", "trace_id", "model", "prompt", "schema_id", "queue_id", "issue_id", "dataset_id"], "x")
    empty |= dict.fromkeys(["deleted_run_id", "deleted_experiment_id", "shared_dataset_id", "second_experiment_id", "assessment_id"], "x")
    return list(table(NAMELESS | empty, NAMELESS | empty))


TABLES = [attempts.of_runs, attempts.of_experiments, attempts.of_models]
ALL = [(table, at, name) for table in TABLES for at, name in enumerate(named(table))]


@pytest.mark.parametrize(("table", "at"), [(table, at) for table, at, _ in ALL], ids=[name for _, _, name in ALL])
def test_what_is_hers_is_not_changed_by(site, refused, table, at):
    attempt = list(table(site.alice, site.bob).values())[at]
    method, path = attempt.call.split(" ")
    refused("bob", method, path, attempt.reason, **attempt.request())


@pytest.mark.parametrize("mount", ["", "/mlflow", "/api/mlflow"])
@pytest.mark.parametrize("prefix", ["/api", "/ajax-api"])
def test_every_mount_and_both_prefixes_are_judged(site, refused, mount, prefix):
    at = f"{mount}{prefix}/2.0/mlflow"
    refused("bob", "POST", f"{at}/runs/set-tag", "not_owner", json={"run_id": site.alice["run_id"], "key": "k", "value": "v"})
    refused("bob", "PATCH", f"{at}/registered-models/update", "not_owner", json={"name": "model", "description": "x"})
    refused("bob", "PUT", f"{mount}{prefix}/2.0/mlflow-artifacts/artifacts/{site.alice['file']}", "not_owner", data=b"bob's")


def test_a_read_with_a_body_changes_nothing(site, refused):
    at, theirs = "/api/3.0/mlflow/label-schemas/list", site.alice["second_experiment_id"]
    own, body = site.bob["experiment_id"], {"experiment_id": theirs}
    for method, path in [("HEAD", at), ("GET", at), ("GET", f"{at}?experiment_id={own}"), ("HEAD", f"{at}?experiment_id={own}")]:
        before = site.state()
        answer = site.ask("bob", method, path, json=body)
        assert site.state() == before and answer.status_code in (400, 403), (method, path, answer.status_code)
    # A HEAD has no body that could say why.
    refused("bob", "HEAD", f"{at}?experiment_id={theirs}", None)


def test_a_route_of_an_operators_is_for_administrators(site, refused):
    refused("bob", "POST", "/api/2.0/mlflow/house/change", "not_owner", json={"run_id": site.alice["run_id"]})
    assert site.ask("root", "POST", "/api/2.0/mlflow/house/change", json={}).status_code == 404


def test_a_model_whose_name_is_too_long_to_be_asked_for_is_not_changed(site):
    """SQLite keeps a name of any length."""
    name, at = "long" + "x" * 5_000, "/api/2.0/mlflow/registered-models"
    owned = {"name": name, "tags": [{"key": "hokusai.owner", "value": "alice"}]}
    assert requests.post(f"{site.stack.mlflow_url}{at}/create", json=owned, timeout=60).ok
    before = site.state()
    for method, path, more in [
        ("POST", "set-tag", {"key": "k", "value": "v"}),
        ("POST", "rename", {"new_name": "bob's"}),
        ("PATCH", "update", {"description": "x"}),
        ("DELETE", "delete", {}),
    ]:
        answer = site.ask("bob", method, f"{at}/{path}", json={"name": name} | more)
        assert (answer.status_code, reason(answer)) == (400, "bad_request"), answer.text
    for path in ("registered-models", "experiments"):
        answer = site.ask("bob", "POST", f"/api/2.0/mlflow/{path}/create", json={"name": name + "y"})
        assert (answer.status_code, reason(answer)) == (400, "bad_request"), answer.text
    assert site.state() == before
    assert site.ask("root", "DELETE", f"{at}/delete", json={"name": name}).ok


def test_a_writer_shares_no_further(site, refused):
    second = site.alice["second_experiment_id"]
    for call, key in [("set", "hokusai.writers"), ("set", "hokusai.owner"), ("delete", "hokusai.writers")]:
        body = {"experiment_id": second, "key": key, "value": "carol,bob"}
        refused("carol", "POST", f"/api/2.0/mlflow/experiments/{call}-experiment-tag", "not_owner", json=body)
    body = {"experiment_id": second, "key": "note", "value": "carol's"}
    assert site.ask("carol", "POST", "/api/2.0/mlflow/experiments/set-experiment-tag", json=body).ok


@pytest.mark.parametrize("user", ODD_USERS)
def test_a_user_who_is_called_like_a_pattern_is_nobody_else(site, refused, user):
    for experiment in (site.alice["experiment_id"], site.alice["second_experiment_id"]):
        body = {"experiment_id": experiment, "key": "k", "value": "v"}
        refused(user, "POST", "/api/2.0/mlflow/experiments/set-experiment-tag", "not_owner", json=body)


def test_no_name_leads_into_a_fence_or_out_of_it(site, refused):
    for experiment in ("in/fenced", "out/fenced", "other/fenced"):
        assert site.ask("bob", "POST", "/api/2.0/mlflow/experiments/create", json={"name": experiment}).ok
    for model in ("in-fenced", "out-fenced"):
        assert site.ask("bob", "POST", "/api/2.0/mlflow/registered-models/create", json={"name": model}).ok
    with site.signed_in("bob") as client:
        ids = {name: client.get_experiment_by_name(f"{name}/fenced").experiment_id for name in ("in", "out")}
    before = site.state()
    for path, body in [
        ("registered-models/rename", {"name": "in-fenced", "new_name": "out-now"}),
        ("registered-models/rename", {"name": "in-fenced", "newName": "out-now"}),
        ("registered-models/rename", {"name": "out-fenced", "new_name": "in-now"}),
        ("registered-models/create", {"name": "IN-x"}),
        # The fence has it with one letter, and this is two.
        ("registered-models/create", {"name": "cafe\u0301-x"}),
        ("registered-models/create", {"name": " in-x"}),
        ("experiments/update", {"experiment_id": ids["in"], "new_name": "out/now"}),
        ("experiments/update", {"experiment_id": ids["out"], "newName": "in/now"}),
        ("experiments/create", {"name": "other/in/x"}),
        ("runs/create", {"experiment_id": ids["out"]}),
        ("runs/create", {"experiment_id": "0"}),
        ("experiments/create", {"name": "in/x", "artifact_location": "mlflow-artifacts:/x"}),
    ]:
        answer = site.ask("fenced", "POST", f"/api/2.0/mlflow/{path}", json=body)
        assert (reason(answer), answer.status_code) == ("outside_fence", 403), (path, body, answer.text)
        assert site.state() == before, (path, body)
