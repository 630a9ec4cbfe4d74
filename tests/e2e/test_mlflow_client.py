"""What an ML engineer does with MLflow's client works through the gateway as it does without it."""

import hashlib
import os
import socket
import time
import uuid

import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from waiting import eventually

# `make soak` moves ten times as much.
SOAK_MIB = int(os.environ.get("SOAK_MIB", "1024"))
MIB = 1024 * 1024


def unique(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def run(signed_in):
    signed_in.set_experiment(unique("experiment"))
    with signed_in.start_run() as run:
        yield run


def test_experiments_are_created_found_and_deleted(signed_in):
    api = MlflowClient()
    name = unique("experiment")
    experiment_id = api.create_experiment(name, tags={"team": "ünïcode & co"})
    assert api.get_experiment_by_name(name).tags["team"] == "ünïcode & co"
    assert [e.name for e in api.search_experiments(filter_string=f"name = '{name}'")] == [name]
    api.delete_experiment(experiment_id)
    assert api.get_experiment(experiment_id).lifecycle_stage == "deleted"


def test_runs_keep_params_metrics_and_tags(signed_in, run):
    signed_in.log_params({"alpha": 0.5, "note": "a+b %20 / é"})
    for step in range(5):
        signed_in.log_metric("loss", 1 / (step + 1), step=step)
    signed_in.set_tag("stage", "dev")
    api = MlflowClient()
    data = api.get_run(run.info.run_id).data
    assert data.params == {"alpha": "0.5", "note": "a+b %20 / é"}
    assert data.tags["stage"] == "dev"
    assert [m.value for m in api.get_metric_history(run.info.run_id, "loss")] == [1 / n for n in range(1, 6)]
    found = api.search_runs([run.info.experiment_id], "metrics.loss < 0.3 and tags.stage = 'dev'")
    assert [r.info.run_id for r in found] == [run.info.run_id]


def test_a_model_is_logged_registered_named_found_and_loaded_back(signed_in, run):
    from sklearn.linear_model import LinearRegression

    name = unique("model")
    model = LinearRegression().fit([[0.0], [1.0], [2.0]], [0.0, 2.0, 4.0])
    logged = signed_in.sklearn.log_model(
        model,
        name="model",
        serialization_format="skops",
        registered_model_name=name,
        pip_requirements=["scikit-learn"],
    )
    api = MlflowClient()
    version = str(logged.registered_model_version)
    api.set_registered_model_alias(name, "champion", version)
    api.set_model_version_tag(name, version, "validated", "yes")
    assert api.get_model_version_by_alias(name, "champion").version == version
    assert api.get_model_version(name, version).tags == {"validated": "yes"}
    assert [m.name for m in api.search_registered_models(f"name = '{name}'")] == [name]
    assert [v.version for v in api.search_model_versions(f"name = '{name}'")] == [version]

    for uri in (f"models:/{name}/{version}", f"models:/{name}@champion"):
        loaded = signed_in.pyfunc.load_model(uri)
        assert loaded.predict([[3.0]]) == pytest.approx([6.0])

    # A DELETE whose subject is in its body.
    api.delete_registered_model(name)
    assert api.search_registered_models(f"name = '{name}'") == []


@pytest.mark.parametrize("name", ["model v1 50% +é.txt", "a+b c.txt", "日本語.bin", "empty.bin"])
def test_artifact_names_survive_both_ways(signed_in, run, tmp_path, name):
    content = b"" if name == "empty.bin" else f"content of {name}".encode()
    local = tmp_path / name
    local.write_bytes(content)
    signed_in.log_artifact(local, "deep/er")
    listed = MlflowClient().list_artifacts(run.info.run_id, "deep/er")
    assert [entry.path for entry in listed] == [f"deep/er/{name}"]
    downloaded = signed_in.artifacts.download_artifacts(
        run_id=run.info.run_id, artifact_path=f"deep/er/{name}", dst_path=tmp_path / "down"
    )
    with open(downloaded, "rb") as file:
        assert file.read() == content


@pytest.mark.parametrize("name", ["v1%20%232%2050%25%20%2B%C3%A9.txt", "a%23b", "a%2525b", "a%2Fb", "a%3Bb", "a%252Fb"])
def test_odd_names_over_plain_http_mean_to_mlflow_what_they_mean_without_the_gateway(stack, name):
    """MLflow's client cuts a name off at `#`; MLflow 3.17's server refuses `#` and decodes twice. That is its affair."""
    headers = {"Authorization": f"Bearer {stack.key}"}

    def put_and_get(base: str) -> list[tuple[int, bytes]]:
        url = f"{base}/api/2.0/mlflow-artifacts/artifacts/{folder}/{name}"
        answers = [requests.put(url, data=b"odd", headers=headers, timeout=60)]
        answers.append(requests.get(url, headers=headers, timeout=60))
        return [(answer.status_code, answer.content) for answer in answers]

    folder = unique("direct")
    directly = put_and_get(stack.mlflow_url)
    folder = unique("through")
    assert put_and_get(stack.url) == directly


@pytest.mark.parametrize("signed_in", ["token"], indirect=True)
def test_gigabytes_go_up_and_down_unchanged_in_little_memory(signed_in, stack, run, tmp_path):
    local = tmp_path / "large.bin"
    with open("/dev/urandom", "rb") as random, local.open("wb") as file:
        for _ in range(SOAK_MIB):
            file.write(random.read(MIB))
    # The first request of a process costs memory whatever its size.
    signed_in.log_text("warm", "warm.txt")
    before = resident_bytes(stack.gateway.pid, "VmRSS")
    reset_peak(stack.gateway.pid)

    signed_in.log_artifact(local)
    down = signed_in.artifacts.download_artifacts(
        run_id=run.info.run_id, artifact_path="large.bin", dst_path=tmp_path / "down"
    )

    growth = resident_bytes(stack.gateway.pid, "VmHWM") - before
    assert digest(down) == digest(local)
    assert growth < 32 * MIB, f"the gateway's peak grew by {growth / MIB:.1f} MiB"
    print(f"{SOAK_MIB} MiB up and down: peak memory grew by {growth / MIB:.1f} MiB over {before / MIB:.1f} MiB")


@pytest.mark.parametrize("framing", ["Content-Length: 8000000", "Transfer-Encoding: chunked"])
def test_an_upload_that_breaks_off_is_no_artifact(stack, framing):
    folder = unique("broken")
    head = f"PUT /api/2.0/mlflow-artifacts/artifacts/{folder}/model.bin HTTP/1.1\r\nHost: a\r\n"
    head += f"Authorization: Bearer {stack.key}\r\n{framing}\r\n\r\n"
    piece = b"x" * 4_000_000
    body = piece if framing.startswith("Content") else f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    host, port = stack.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + body)
    stored = stack.folder / "artifacts" / folder / "model.bin"
    # No event tells that MLflow has noticed: two seconds are far longer than it takes to store what it has.
    for _ in range(20):
        headers = {"Authorization": f"Bearer {stack.key}"}
        url = f"{stack.url}/api/2.0/mlflow-artifacts/artifacts"
        listed = requests.get(url, params={"path": folder}, headers=headers, timeout=60)
        assert listed.status_code == 200, listed.text
        assert listed.json().get("files", []) == [], "a partial artifact is listed as a whole one"
        assert not stored.exists(), "a partial artifact is stored"
        time.sleep(0.1)


def resident_bytes(pid: int, field: str) -> int:
    with open(f"/proc/{pid}/status") as status:
        line = next(line for line in status if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


def reset_peak(pid: int) -> None:
    with open(f"/proc/{pid}/clear_refs", "w") as clear:
        clear.write("5")


def digest(path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def refusal(client) -> str:
    with pytest.raises(MlflowException) as refused:
        client.search_experiments()
    return str(refused.value)


def test_no_key_is_told_in_mlflows_own_exception(client):
    message = refusal(client)
    assert "UNAUTHENTICATED: no API key was sent: set MLFLOW_TRACKING_TOKEN" in message


@pytest.mark.parametrize("key", ["hk_test_000000000000000000000000000000000", "anything-else"])
def test_a_wrong_key_is_told_in_mlflows_own_exception(client, monkeypatch, key):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", key)
    message = refusal(client)
    assert "UNAUTHENTICATED: the API key, sent as a bearer token (MLFLOW_TRACKING_TOKEN), is not valid" in message
    assert key not in message


def test_a_wrong_password_is_told_apart_from_a_wrong_token(client, stack, monkeypatch):
    # A stale credentials file silently wins over a good token: the message names what was sent.
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", stack.key)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "stale")
    assert "sent as the password of a user name (MLFLOW_TRACKING_USERNAME" in refusal(client)


def works(client) -> bool:
    try:
        client.search_experiments()
    except MlflowException:
        return False
    return True


def until_it_works(client) -> None:
    eventually(lambda: works(client), "the gateway has read the new key")


def test_an_expired_key_is_told_in_mlflows_own_exception(client, stack, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", stack.create_key("--user", "ada", "--test", "--expires-in", "3s"))
    # It works until it ends: the refusal below is for its age.
    until_it_works(client)
    eventually(lambda: not works(client), "the key expires")
    assert "is not valid: it is unknown, expired or revoked" in refusal(client)


def test_the_client_prints_what_a_key_may_not_do_and_what_it_lacks(client, stack, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", stack.create_key("--user", "ada", "--test", "--scope", "mlflow:read"))
    until_it_works(client)
    with pytest.raises(MlflowException) as error:
        client.create_experiment(unique("forbidden"))
    assert str(error.value) == (
        "PERMISSION_DENIED: this API key may not POST /api/2.0/mlflow/experiments/create: it needs the scope mlflow:write "
        "or mlflow:admin, and has mlflow:read"
    )


@pytest.mark.parametrize(
    ("name", "key", "message"),
    [
        ("x" * 140_000, "k", "the target is longer than 128 KiB"),
        ("x", "k" * 40_000, "the headers come to more than 32 KiB"),
    ],
)
def test_what_is_refused_before_it_is_a_request_is_printed(client, monkeypatch, name, key, message):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", key)
    with pytest.raises(MlflowException, match=f"BAD_REQUEST: {message}"):
        MlflowClient().get_experiment_by_name(name)
