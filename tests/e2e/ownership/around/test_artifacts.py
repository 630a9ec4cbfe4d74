"""Her artifacts are changed by no path and by no upload of bob's."""

import pytest
from test_artifact_paths import odd, theirs_by_other_ways

from ..enforced import reason

STORE = "/api/2.0/mlflow-artifacts"
UPLOAD = "/ajax-api/2.0/mlflow/upload-artifact"


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_her_files_are_reached_by_no_spelling(site, method):
    before, file, own = site.state(), site.alice["file"], site.bob["experiment_id"]
    folders = [file.rsplit("/", 1)[0], file.split("/files/")[0], "/".join(file.split("/")[:2]), site.alice["experiment_id"]]
    ways = [*theirs_by_other_ways(file), *(f"{own}/../{file}", f"{own}%2f..%2f{file}", f"{own}/%2e%2e/{file}", f"0/..%2f{file}")]
    for way in [*ways, *(way for folder in folders for way in odd(folder)), f"workspaces/default/{file}"]:
        answer = site.ask("bob", method, f"{STORE}/artifacts/{way}", data=b"bob's" if method == "PUT" else None)
        assert site.state() == before, (way, answer.text)
        assert answer.status_code in (400, 403, 404) and reason(answer), (way, answer.text)


def test_her_files_are_reached_by_no_upload_in_parts(site, refused):
    for call in ("create", "complete", "abort"):
        body = {"path": "seeded.txt", "num_parts": 1, "upload_id": "u", "parts": []}
        refused("bob", "POST", f"{STORE}/mpu/{call}/{site.alice['file']}", "not_owner", json=body)
    at = "/api/2.0/mlflow/artifacts/presigned-upload-url"
    for names in ({"run_id": site.alice["run_id"]}, {"modelId": site.alice["model_id"]}):
        refused("bob", "POST", at, "not_owner", json={"path": "x"} | names)
    both = {"run_id": site.bob["run_id"], "model_id": site.alice["model_id"]}
    refused("bob", "POST", at, "not_owner", json={"path": "x"} | both)


def test_an_upload_names_one_run(site, refused):
    theirs, mine = site.alice["run_id"], site.bob["run_id"]
    for expected, query in [
        ("not_owner", f"run_uuid={theirs}"),
        ("not_owner", f"run_id={theirs}"),
        ("not_owner", f"r%75n_uuid={theirs}"),
        ("ambiguous_body", f"run_uuid={mine}&run_uuid={theirs}"),
        ("ambiguous_body", f"run_uuid={theirs}&run_uuid={mine}"),
        ("ambiguous_body", f"run_uuid={mine}&run_id={theirs}"),
        ("ambiguous_body", f"run_id={mine}&run_uuid={theirs}"),
        ("ambiguous_body", f"run_uuid=%20{theirs}"),
    ]:
        refused("bob", "POST", f"{UPLOAD}?{query}&path=evil.txt", expected, data=b"bob's")
