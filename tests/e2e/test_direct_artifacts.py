"""MLflow on an S3 store, which offers its clients to move artifacts past the gateway."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from stack import Stack, free_port

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
# S3 takes no smaller parts than 5 MiB.
PARTS = {"MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": "5242880", "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": "5242880"}
FORCED = {"MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "true", "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "true"}


@pytest.fixture(scope="module")
def on_s3(tmp_path_factory, stack):
    with contextlib.closing(Stack(tmp_path_factory.mktemp("s3"), stack.binary)) as running:
        port = free_port()
        store = f"http://127.0.0.1:{port}"
        moto = running.start("moto", [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], {})
        running.wait(moto, "moto", f"{store}/moto-api/")
        requests.put(f"{store}/bucket", timeout=60).raise_for_status()
        running.start_mlflow(artifacts="s3://bucket/root", MLFLOW_S3_ENDPOINT_URL=store, **CREDENTIALS)
        running.key = running.create_key("--user", "ada", "--test")
        yield running


def past_the_gateway(stack) -> list[str]:
    """What S3 was asked with an address that was signed for somebody else; the server's own requests have a header."""
    return [line for line in stack.log("moto").read_text().splitlines() if "X-Amz-Signature=" in line]


@pytest.mark.parametrize("client", [PARTS, PARTS | FORCED], ids=["as it comes", "told to go past"])
@pytest.mark.parametrize("mode", ["deny", "allow"])
def test_the_same_client_works_and_goes_past_the_gateway_only_where_that_is_allowed(on_s3, mode, client):
    gateway = on_s3.start_gateway(HOKUSAI__MLFLOW__DIRECT_ARTIFACTS=mode)
    before, through = len(past_the_gateway(on_s3)), on_s3.log("moto").stat().st_size
    try:
        script = Path(__file__).with_name("move_artifacts.py")
        own = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "AWS_"))}
        address = {"MLFLOW_TRACKING_URI": on_s3.tracking_uri, "MLFLOW_TRACKING_TOKEN": on_s3.key}
        limits = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
        subprocess.run([sys.executable, script], env=own | address | limits | client, check=True, timeout=300)
    finally:
        on_s3.halt(gateway)
    assert on_s3.log("moto").stat().st_size > through, "nothing reached the store at all"
    past = past_the_gateway(on_s3)[before:]
    if mode == "deny":
        assert past == []
    else:
        assert any("PUT " in line for line in past) and any("GET " in line for line in past)
