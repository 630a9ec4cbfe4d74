"""The other team's files are out of reach: by any path, and by a model version that names them."""

from .team import SECRET, Team


def test_artifacts_of_theirs_are_out_of_reach_by_any_path(ours, theirs, untouched):
    theirs_at = f"workspaces/theirs/{theirs['experiment_id']}/{theirs['run_id']}/artifacts/model/secret.txt"
    encoded = theirs_at.replace("/", "%2F")
    for path in [
        theirs_at,
        encoded,
        encoded.replace("%", "%25"),
        f"./{theirs_at}",
        f"%2e/{theirs_at}",
        f"x/../{theirs_at}",
        f"workspaces/ours/../theirs/{theirs_at.split('/', 2)[2]}",
        theirs_at.replace("workspaces", "Workspaces"),
        theirs_at.removeprefix("workspaces/theirs/"),
    ]:
        for prefix in ("/api", "/ajax-api"):
            url = f"{prefix}/2.0/mlflow-artifacts/artifacts/{path}"
            for method in ("GET", "PUT", "DELETE"):
                body = None if method == "GET" else b"changed"
                assert SECRET not in ours.ask_as_written(method, url, body).text, (method, url)
    for listed in ("workspaces", "workspaces/theirs", "./workspaces/theirs", "workspaces%2Ftheirs", "", "../theirs"):
        answer = ours.ask("GET", "/api/2.0/mlflow-artifacts/artifacts", params={"path": listed})
        assert theirs["run_id"] not in answer.text and "theirs" not in answer.text.replace("`ours`", ""), listed


def test_a_key_of_the_default_workspace_does_not_see_the_others_below_its_root(stack, theirs, untouched, monkeypatch):
    default = Team(stack, "default", monkeypatch)
    theirs_at = f"workspaces/theirs/{theirs['experiment_id']}/{theirs['run_id']}/artifacts/model/secret.txt"
    for path in [
        f"artifacts/{theirs_at}",
        f"artifacts/./{theirs_at}",
        f"artifacts/%2e/{theirs_at}",
        f"artifacts/%252e/{theirs_at}",
        f"artifacts/%25252e/{theirs_at}",
        f"artifacts%2F{theirs_at}?path=x",
        f"artifacts%2F%25252e/{theirs_at}?path=x",
        f"art%69facts/%25252e/{theirs_at}?path=x",
        f"presigned%2F{theirs_at}",
        "artifacts/workspaces",
        "artifacts?path=workspaces/theirs",
        "artifacts?path=.%2Fworkspaces",
        "artifacts?path=",
        "artifacts",
    ]:
        for method in ("GET", "DELETE"):
            answer = default.ask_as_written(method, f"/api/2.0/mlflow-artifacts/{path}")
            # A listing has no DELETE.
            assert answer.status_code in (400, 403, 404, 405), (method, path)
            assert SECRET not in answer.text and theirs["run_id"] not in answer.text, (method, path)
    made = default.ask("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/mine.txt", data=b"mine")
    assert made.status_code == 200, made.text
    assert default.ask("GET", "/api/2.0/mlflow-artifacts/artifacts/0/mine.txt").text == "mine"


def test_a_model_version_of_ours_cannot_stand_for_files_of_theirs(ours, theirs, untouched):
    ours.ask("POST", "/api/2.0/mlflow/registered-models/create", json={"name": "thief"})
    place = f"workspaces/theirs/{theirs['experiment_id']}/{theirs['run_id']}/artifacts/model"
    for source, run_id in [
        (f"runs:/{theirs['run_id']}/model", theirs["run_id"]),
        (f"runs:/{theirs['run_id']}/model", None),
        (f"mlflow-artifacts:/{place}", None),
        (f"mlflow-artifacts:/{place}", theirs["run_id"]),
        (f"models:/{theirs['model_id']}", None),
        (f"file://{ours.stack.folder}/artifacts/{place}", None),
        (f"{ours.stack.folder}/artifacts/{place}", None),
        (f"s3://bucket/{place}", None),
    ]:
        body = {"name": "thief", "source": source} | ({"run_id": run_id} if run_id else {})
        made = ours.ask("POST", "/api/2.0/mlflow/model-versions/create", json=body)
        if made.status_code == 200:
            version = made.json()["model_version"]["version"]
            for path in ("secret.txt", "model/secret.txt", ""):
                query = {"name": "thief", "version": version, "path": path}
                assert SECRET not in ours.ask("GET", "/model-versions/get-artifact", params=query).text, source
