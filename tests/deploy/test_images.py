"""Both images, built as their Dockerfiles say, and MLflow's client against them while they run."""

import json
import os
import subprocess
import sys
import uuid

import pytest
import requests
from commands import run
from containers import DEBIAN, PYTHON, RUST, Container, build, command, ensure_base, has, lacking
from stack import ROOT, Stack, free_port

pytestmark = pytest.mark.skipif(bool(lacking()), reason=lacking() or "images can be built")

GATEWAY, MLFLOW = "localhost/hokusai-gateway:test", "localhost/hokusai-mlflow:test"
AWS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="session")
def sha():
    return command("git", "-C", ROOT, "rev-parse", "HEAD")


@pytest.fixture(scope="session")
def images(tmp_path_factory, sha):
    folder = tmp_path_factory.mktemp("images")
    for image in (DEBIAN, RUST, PYTHON):
        ensure_base(image, folder)
    build(GATEWAY, ROOT, "--build-arg", f"GIT_SHA={sha}")
    build(MLFLOW, ROOT / "deploy" / "mlflow")
    assert has(GATEWAY) and has(MLFLOW)


class Running:
    """The gateway and MLflow in containers, on S3 as moto has it."""


@pytest.fixture(scope="session")
def running(images, binary, tmp_path_factory):
    folder = tmp_path_factory.mktemp("containers")
    host = Stack(folder / "host", binary)
    suffix, mlflow_port, port, store = uuid.uuid4().hex[:8], free_port(), free_port(), f"http://127.0.0.1:{free_port()}"
    data, keys = folder / "data", folder / "keys"
    data.mkdir(mode=0o777)
    data.chmod(0o777)
    keys.mkdir()
    host.key_file = keys / "keys.toml"
    key = host.create_key("--user", "ada", "--test", *(f"--scope=mlflow:{scope}" for scope in ("read", "write", "delete")))
    host.key_file.chmod(0o644)
    try:
        moto = host.start("moto", [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", store.rsplit(":", 1)[1]], {})
        host.wait(moto, "moto", f"{store}/moto-api/")
        requests.put(f"{store}/bucket", timeout=60).raise_for_status()
        of_mlflow = AWS | {
            "MLFLOW_BACKEND_STORE_URI": "sqlite:////data/mlflow.db",
            "MLFLOW_ARTIFACTS_DESTINATION": "s3://bucket/root",
            "MLFLOW_S3_ENDPOINT_URL": store,
            "MLFLOW_WORKERS": "1",
        }
        of_gateway = {
            "MLFLOW_SERVER_URL": f"http://127.0.0.1:{mlflow_port}",
            "HOKUSAI__SERVER__BIND": f"127.0.0.1:{port}",
            "HOKUSAI__METRICS__BIND": "off",
            "HOKUSAI__AUTH__KEY_FILE__PATH": "/keys/keys.toml",
        }
        # The host's network has one port 5000 for all; the last --port counts.
        mlflow = Container(MLFLOW, f"mlflow-{suffix}", of_mlflow, {data: "/data"}, "--port", str(mlflow_port))
        with mlflow, Container(GATEWAY, f"gateway-{suffix}", of_gateway, {keys: "/keys:ro"}) as gateway:
            it = Running()
            it.mlflow, it.gateway, it.key, it.folder, it.binary = mlflow, gateway, key, folder, binary
            it.url, it.mlflow_url, it.store = f"http://127.0.0.1:{port}", of_gateway["MLFLOW_SERVER_URL"], store
            gateway.wait(lambda: answers(f"{it.url}/ready"))
            yield it
    finally:
        host.stop()


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).status_code == 200
    except requests.RequestException:
        return False


def test_the_images_tell_what_they_are(images, sha):
    image = json.loads(command("podman", "image", "inspect", GATEWAY))[0]
    labels = image["Labels"]
    version = next(line for line in (ROOT / "Cargo.toml").read_text().splitlines() if line.startswith("version = "))
    assert labels["org.opencontainers.image.revision"] == sha
    assert f'version = "{labels["org.opencontainers.image.version"]}"' == version
    assert image["Config"]["User"] == "65532:65532"
    assert image["Healthcheck"]["Test"] == ["CMD", "hokusai-gateway", "healthcheck"]


def test_the_gateways_image_has_little_more_than_the_gateway(images):
    size = lambda image: int(command("podman", "image", "inspect", "--format", "{{.Size}}", image))  # noqa: E731
    assert size(GATEWAY) - size(DEBIAN) < 60_000_000


def test_the_containers_are_read_only_and_run_as_nobody(running):
    for container in (running.gateway, running.mlflow):
        assert container.inspect("{{.HostConfig.ReadonlyRootfs}}") == "true"
        assert container.run("id", "-u") == "65532"
        with pytest.raises(RuntimeError, match="Read-only file system"):
            container.run("touch", "/usr/local/bin/x")


def test_the_health_checks_of_both_images_work(running):
    running.gateway.run("hokusai-gateway", "healthcheck")
    # As in its Dockerfile, at the port that it has here.
    port = running.mlflow_url.rsplit(":", 1)[1]
    ask = f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{port}/health', timeout=4)"
    running.mlflow.run("python3", "-c", ask)


def test_mlflows_image_has_the_driver_that_a_postgresql_address_wants(running):
    # Which one that is changes with SQLAlchemy: it is imported here.
    engine = "import sqlalchemy; print(sqlalchemy.create_engine('postgresql://mlflow@database/mlflow').driver)"
    assert running.mlflow.run("python3", "-c", engine) == "psycopg"


def test_the_version_is_the_commit_that_the_image_was_built_from(running, sha):
    assert requests.get(f"{running.url}/version", timeout=10).json()["git_sha"] == sha


def test_doctor_finds_nothing_wrong(running):
    report = run(running.binary, ["doctor", "--url", running.url], running.folder, {"HOKUSAI_API_KEY": running.key})
    assert (report.code, report.failed()) == (0, {})


def test_mlflows_client_does_through_the_containers_what_it_does_without(running):
    stack = {"url": running.url, "mlflow_url": running.mlflow_url, "key": running.key, "folder": str(running.folder)}
    does = "created_found or params_metrics or registered_named or artifact_names or no_key or wrong_key"
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(ROOT / "tests/e2e/test_mlflow_client.py"), "-k", does]
    done = subprocess.run(tests, env=os.environ | {"HOKUSAI_STACK": json.dumps(stack)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout and "skipped" not in done.stdout
    objects = requests.get(f"{running.store}/bucket", params={"prefix": "root/"}, timeout=30).text
    assert "<Key>root/" in objects, "nothing is in the store"


def test_the_gateway_ends_with_0_when_it_is_stopped(running, images):
    environment = {"MLFLOW_SERVER_URL": running.mlflow_url, "HOKUSAI__SERVER__BIND": f"127.0.0.1:{free_port()}", "HOKUSAI__METRICS__BIND": "off"}
    environment |= {"HOKUSAI__AUTH__KEY_FILE__PATH": "/keys/keys.toml", "HOKUSAI__SERVER__SETTLE_TIME": "0s"}
    with Container(GATEWAY, f"stopped-{uuid.uuid4().hex[:8]}", environment, {running.folder / "keys": "/keys:ro"}) as container:
        container.wait(lambda: answers(f"http://{environment['HOKUSAI__SERVER__BIND']}/live"))
        assert container.stop() == 0
