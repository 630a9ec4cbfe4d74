"""MLflow's own client with a key: it gives up at once instead of retrying."""

import mlflow
import pytest
from mlflow.tracking import MlflowClient


def sign_in(monkeypatch: pytest.MonkeyPatch, tracking_uri: str, key: str) -> MlflowClient:
    """For as long as the patch: a user name and a password would win over the token."""
    for variable in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", key)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    mlflow.set_tracking_uri(tracking_uri)
    return MlflowClient()
