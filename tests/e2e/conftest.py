"""One real MLflow server, one gateway before it, and MLflow's own client: shared by all tests."""

import json
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from stack import ROOT, Stack  # noqa: E402

CREDENTIALS = ["MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"]


class Elsewhere:
    """A stack that somebody else has started."""

    def __init__(self, told: dict) -> None:
        self.url, self.mlflow_url, self.key = told["url"], told["mlflow_url"], told["key"]
        self.tracking_uri, self.folder = f"{self.url}/api/mlflow", Path(told["folder"])


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    if elsewhere := os.environ.get("HOKUSAI_STACK"):
        yield Elsewhere(json.loads(elsewhere))
        return
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    binary = os.environ.get("HOKUSAI_GATEWAY", target / "debug" / "hokusai-gateway")
    with Stack(tmp_path_factory.mktemp("stack"), Path(binary).absolute()) as running:
        yield running


@pytest.fixture(autouse=True, scope="module")
def one_server_for_runs_and_models():
    """MLflow's client keeps a registry apart for its process: the tests after it would register at another's server."""
    yield
    assert "MLFLOW_REGISTRY_URI" not in os.environ, "give MlflowClient the registry; mlflow.set_registry_uri lasts"


@pytest.fixture(scope="session")
def seeded(stack):
    """What MLflow's pages show, made by its own client past the gateway."""
    from browser.place import Seed

    return Seed(stack)


@pytest.fixture
def client(stack, monkeypatch):
    """MLflow's client, given the gateway's address and no credential; it gives up at once instead of retrying."""
    import mlflow

    for variable in CREDENTIALS:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", stack.tracking_uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    mlflow.set_tracking_uri(stack.tracking_uri)
    return mlflow


@pytest.fixture(params=["token", "user name and password"])
def signed_in(request, client, stack, monkeypatch):
    """The same with the good key, in both ways that MLflow's client can send it."""
    if request.param == "token":
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", stack.key)
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", stack.key)
    return client


@pytest.fixture
def second_gateway(stack, tmp_path):
    """Another gateway before the same MLflow, to be started with settings of the test's own."""
    second = Stack(tmp_path / "second", stack.binary)
    second.mlflow_url = stack.mlflow_url
    yield second
    second.stop()
