"""MLflow on an S3 store, which offers its clients to move artifacts past the gateway."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from mlflow.tracking import MlflowClient
from stack import Stack, free_port
from versions import NEXT, PINNED

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
# S3 takes no smaller parts than 5 MiB.
PARTS = {"MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": "5242880", "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": "5242880"}
FORCED = {"MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "true", "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "true"}


@contextlib.contextmanager
def mlflow_on_s3(folder, binary, version):
    with contextlib.closing(Stack(folder, binary)) as running:
        port = free_port()
        store = f"http://127.0.0.1:{port}"
        moto = running.start("moto", [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], {})
        running.wait(moto, "moto", f"{store}/moto-api/")
        requests.put(f"{store}/bucket", timeout=60).raise_for_status()
        # 3.18 tells of these transfers only where its operator wants them.
        offers = FORCED | version.environment()
        running.start_mlflow(artifacts="s3://bucket/root", MLFLOW_S3_ENDPOINT_URL=store, **CREDENTIALS, **offers)
        running.key = running.create_key("--user", "ada", "--test")
        yield running


@pytest.fixture(scope="module")
def on_s3(tmp_path_factory, stack):
    with mlflow_on_s3(tmp_path_factory.mktemp("s3"), stack.binary, PINNED) as running:
        yield running


@pytest.fixture(scope="module")
def next_on_s3(tmp_path_factory, stack):
    with mlflow_on_s3(tmp_path_factory.mktemp("s3"), stack.binary, NEXT) as running:
        yield running


def past_the_gateway(stack) -> list[str]:
    """What S3 was asked with an address that was signed for somebody else; the server's own requests have a header."""
    return [line for line in stack.log("moto").read_text().splitlines() if "X-Amz-Signature=" in line]


def moved(stack, mode: str, client: dict[str, str]) -> list[str]:
    """Moves artifacts up and down with a client; what went past the gateway."""
    gateway = stack.start_gateway(HOKUSAI__MLFLOW__DIRECT_ARTIFACTS=mode)
    before, through = len(past_the_gateway(stack)), stack.log("moto").stat().st_size
    try:
        script = Path(__file__).with_name("move_artifacts.py")
        own = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "AWS_"))}
        address = {"MLFLOW_TRACKING_URI": stack.tracking_uri, "MLFLOW_TRACKING_TOKEN": stack.key}
        limits = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
        subprocess.run([sys.executable, script], env=own | address | limits | client, check=True, timeout=300)
    finally:
        stack.halt(gateway)
    assert stack.log("moto").stat().st_size > through, "nothing reached the store at all"
    return past_the_gateway(stack)[before:]


@pytest.mark.parametrize("client", [PARTS, PARTS | FORCED], ids=["as it comes", "told to go past"])
@pytest.mark.parametrize("mode", ["deny", "allow"])
@pytest.mark.parametrize("server, version", [("on_s3", PINNED), ("next_on_s3", NEXT)], ids=["3.17.2", "3.18.0"])
def test_the_same_client_works_and_goes_past_the_gateway_only_where_that_is_allowed(request, server, version, mode, client):
    past = moved(request.getfixturevalue(server), mode, client | version.environment())
    if mode == "deny":
        assert past == []
    else:
        assert any("PUT " in line for line in past) and any("GET " in line for line in past)


@pytest.mark.parametrize("server, version", [("on_s3", NEXT), ("next_on_s3", PINNED)], ids=["newer", "elder"])
def test_a_client_of_another_version_that_is_told_to_go_past_works_too(request, server, version):
    assert moved(request.getfixturevalue(server), "deny", PARTS | FORCED | version.environment()) == []


# What MLflow, or a later one, may read as a yes.
ASKED = ["presigned=true", "pre%73igned=tr%75e", "presigned=false&presigned=true", "presigned=true&presigned=false", "presigned=True",
         "presigned=1", "presigned=+true", "presigned", "presigned=true%20", "PRESIGNED=true", "&&presigned=true", "x=1&presigned=true"]


def test_an_address_at_the_store_is_handed_out_only_where_that_is_allowed(next_on_s3, monkeypatch):
    stack, headers = next_on_s3, {"Authorization": f"Bearer {next_on_s3.key}"}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", stack.mlflow_url)
    client = MlflowClient(stack.mlflow_url)
    run = client.create_run(client.create_experiment("signed"))
    client.log_text(run.info.run_id, "bytes", "files/a.txt")
    client.create_registered_model("signed")
    client.create_model_version("signed", f"{run.info.artifact_uri}/files", run.info.run_id)
    made = client.create_logged_model(run.info.experiment_id, name="signed")
    client.log_model_artifact(made.model_id, str(stack.log("mlflow")))
    paths = [
        "/model-versions/get-artifact?name=signed&version=1&path=a.txt",
        f"/ajax-api/2.0/mlflow/logged-models/{made.model_id}/artifacts/files?artifact_file_path=mlflow.log",
    ]
    for path in paths:
        at_mlflow = requests.get(f"{stack.mlflow_url}{path}&presigned=true", timeout=60)
        assert "X-Amz-Signature" in at_mlflow.text, at_mlflow.text
    for mode in ("deny", "allow"):
        gateway = stack.start_gateway(HOKUSAI__MLFLOW__DIRECT_ARTIFACTS=mode)
        try:
            for path in paths:
                answers = {asked: requests.get(f"{stack.tracking_uri}{path}&{asked}", headers=headers, timeout=60) for asked in ASKED}
                told = {asked for asked, answer in answers.items() if "X-Amz-Signature" in answer.text}
                assert bool(told) == (mode == "allow"), told
                if mode == "deny":
                    assert {answer.status_code for answer in answers.values()} == {404, 501}
                plain = requests.get(f"{stack.tracking_uri}{path}", headers=headers, timeout=60)
                assert plain.status_code == 200 and "X-Amz-Signature" not in plain.text
            info = requests.get(f"{stack.tracking_uri}/api/3.0/mlflow/server-info", headers=headers, timeout=60).json()
            assert info["model_artifact_presigned_downloads_supported"] == (mode == "allow")
            assert info["artifact_serving_enabled"]
        finally:
            stack.halt(gateway)
