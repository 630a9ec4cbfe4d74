"""What `make demo` shows: a model is registered, and another user's key cannot overwrite it."""

import contextlib

import demo
import pytest
from mlflow.tracking import MlflowClient
from stack import Stack


@pytest.fixture(params=["enforce", "off"])
def shown(request, tmp_path, stack):
    """The stack of the demo, with and without what it shows."""
    with contextlib.closing(Stack(tmp_path, stack.binary)) as running:
        running.mlflow_url = stack.mlflow_url
        running.key, other = running.create_key_of(demo.DEMO_USER), running.create_key_of(demo.OTHER_USER)
        running.start_gateway(HOKUSAI__POLICY__OWNERSHIP=request.param)
        yield running, other, request.param == "enforce"


def test_the_demo_fails_if_another_user_can_overwrite_the_model(shown, capfd):
    running, other, is_owned = shown
    name = "iris-classifier"
    status = demo.demonstrate(running, other)
    told = capfd.readouterr().out
    versions = len(MlflowClient(running.mlflow_url, running.mlflow_url).search_model_versions(f"name='{name}'"))
    refusal = f'refused    PERMISSION_DENIED: the model "{name}" belongs to acme; this API key is globex\'s'
    assert (status == 0, refusal in told, "NOT refused" in told) == (is_owned, is_owned, not is_owned), told
    assert versions == (1 if is_owned else 2), told
    MlflowClient(running.mlflow_url, running.mlflow_url).delete_registered_model(name)
