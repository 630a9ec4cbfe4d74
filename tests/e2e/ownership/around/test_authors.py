"""Who made a dataset or an issue is the user of the key, by MLflow's database, whatever a request says."""

import json

import pytest

DATASETS = "/api/3.0/mlflow/datasets"


def creators(site, table: str, name: str) -> set:
    return set(site.database.execute(f"SELECT created_by FROM {table} WHERE name = ?", (name,)))


@pytest.mark.parametrize("tags", [None, "", {}, {"mlflow.user": "alice"}, {"MLflow.User": "alice", "stage": "test"}], ids=str)
def test_a_dataset_is_its_makers(site, tags):
    name = f"made with {tags}"
    body = {"name": name, "experiment_ids": [site.bob["experiment_id"]]}
    if tags is not None:
        body["tags"] = json.dumps(tags) if tags != "" else ""
    answer = site.ask("bob", "POST", f"{DATASETS}/create", json=body)
    assert answer.status_code == 200, answer.text
    assert creators(site, "evaluation_datasets", name) == {("bob",)}
    kept = json.loads(answer.json()["dataset"]["tags"])
    assert kept == {"mlflow.user": "bob"} | ({"stage": "test"} if "stage" in (tags or {}) else {})


def test_mlflows_client_makes_one_in_the_users_name(site):
    import mlflow

    with site.signed_in("bob"):
        made = mlflow.genai.datasets.create_dataset("by the client", experiment_id=site.bob["experiment_id"], tags={"mlflow.user": "alice"})
        assert made.created_by == "bob"
    assert creators(site, "evaluation_datasets", "by the client") == {("bob",)}


@pytest.mark.parametrize("tags", ["[]", "{", '"alice"', {"mlflow.user": "alice"}], ids=str)
def test_tags_that_cannot_be_stamped_make_no_dataset(site, refused, tags):
    body = {"name": "x", "experiment_ids": [site.bob["experiment_id"]], "tags": tags}
    refused("bob", "POST", f"{DATASETS}/create", "ambiguous_body", json=body)


def test_the_maker_of_a_dataset_stays(site, refused):
    at = f"{DATASETS}/{site.bob['dataset_id']}/tags"
    for tags in ({"mlflow.user": "alice"}, {"a": "b", "MLFLOW.user": "bob"}):
        refused("bob", "PATCH", at, "not_owner", json={"tags": json.dumps(tags)})
    refused("bob", "DELETE", f"{at}/mlflow.user", "not_owner")
    refused("bob", "DELETE", f"{at}/MLflow.User", "not_owner")
    own = {"tags": json.dumps({"mlflow.user": "bob"})}
    assert site.ask("bob", "PATCH", at, json=own).status_code == 200


@pytest.mark.parametrize("said", [{}, {"created_by": "alice"}, {"createdBy": "alice"}], ids=str)
def test_an_issue_is_its_makers(site, said):
    body = {"experiment_id": site.bob["experiment_id"], "name": f"issue {said}", "description": "made"} | said
    answer = site.ask("bob", "POST", "/api/3.0/mlflow/issues", json=body)
    assert answer.status_code == 200, answer.text
    assert creators(site, "issues", f"issue {said}") == {("bob",)}
