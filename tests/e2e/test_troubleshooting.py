"""What docs/TROUBLESHOOTING.md is keyed by is what MLflow's own client prints."""

import re

import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from stack import ROOT, free_port
from waiting import eventually

HEADINGS = re.findall(r"^### `(.*)`$", (ROOT / "docs" / "TROUBLESHOOTING.md").read_text(), re.MULTILINE)


def headings_of(printed: str) -> list[str]:
    """The entries that somebody finds who looks for what was printed."""
    patterns = {heading: ".*".join(map(re.escape, heading.split("…"))) for heading in HEADINGS}
    return [heading for heading, pattern in patterns.items() if re.search(pattern, printed, re.DOTALL)]


def printed_by(call) -> str:
    with pytest.raises(MlflowException) as failure:
        call()
    return str(failure.value)


@pytest.fixture
def of(monkeypatch):
    """MLflow's client with a key, at some address; impatient."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER", "false")

    def client(uri: str, key: str | None) -> MlflowClient:
        if key:
            monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", key)
        else:
            monkeypatch.delenv("MLFLOW_TRACKING_TOKEN", raising=False)
        return MlflowClient(tracking_uri=uri)

    return client


def test_refusals_are_found_by_what_the_client_prints(stack, of):
    reader = stack.create_key("--user", "reader", "--test", "--scope=mlflow:read")
    search = f"{stack.tracking_uri}/api/2.0/mlflow/experiments/search?max_results=1"
    eventually(lambda: requests.get(search, headers={"X-API-Key": reader}, timeout=30).status_code == 200)
    for key, call, expected in [
        (None, lambda client: client.search_experiments(), "UNAUTHENTICATED: no API key was sent"),
        ("wrong", lambda client: client.search_experiments(), "UNAUTHENTICATED: the API key, sent as …, is not valid"),
        (reader, lambda client: client.create_experiment("x"), "PERMISSION_DENIED: this API key may not …: it needs"),
    ]:
        found = headings_of(printed_by(lambda: call(of(stack.tracking_uri, key))))  # noqa: B023
        assert any(heading.startswith(expected) for heading in found), (expected, found)
    wrong_path = of(f"{stack.url}/api/mlflow/x", stack.key)
    assert any("no route of MLflow" in heading for heading in headings_of(printed_by(wrong_path.search_experiments)))


def test_outages_are_found_by_what_the_client_prints(stack, second_gateway, of):
    key = second_gateway.create_key("--user", "ada", "--test")
    second_gateway.start_gateway(HOKUSAI__LIMITS__PER_HOUR="1")
    client = of(second_gateway.tracking_uri, key)
    client.search_experiments(max_results=1)
    assert "too many 429 error responses" in headings_of(printed_by(client.search_experiments))
    # No auth service anywhere.
    unasked = type(second_gateway)(second_gateway.folder / "unasked", second_gateway.binary)
    unasked.mlflow_url = stack.mlflow_url
    try:
        unasked.start_gateway(HOKUSAI_AUTH_SERVICE_URL=f"http://127.0.0.1:{free_port()}")
        printed = printed_by(of(unasked.tracking_uri, key).search_experiments)
        assert "too many 503 error responses" in headings_of(printed)
    finally:
        unasked.stop()
