"""Targets as curl and browsers send them, raw: MLflow answers through the gateway as it does directly."""

import json
import socket
from urllib.parse import urlsplit

import pytest
from mlflow.tracking import MlflowClient

# What MLflow's own server (uvicorn with h11) takes raw.
RAW = "\"<>|\\^`{}'[]"
# What it refuses itself: h11 takes visible ASCII.
NOT_ASCII = "é日"


def ask(url: str, target: bytes, key: str | None = None, body: bytes | None = None) -> tuple[int, object]:
    """Status, and the body as far as it is MLflow's words."""
    address = urlsplit(url)
    head = [(b"PUT " if body is not None else b"GET ") + target + b" HTTP/1.1", b"Host: " + address.netloc.encode(), b"Connection: close"]
    if key:
        head.append(b"Authorization: Bearer " + key.encode())
    if body is not None:
        head.append(b"Content-Length: %d" % len(body))
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(b"\r\n".join([*head, b"", body or b""]))
        answer = connection.makefile("rb").read()
    head, _, answer = answer.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    if b"transfer-encoding: chunked" in head.lower():
        answer = b"".join(answer.split(b"\r\n")[1::2])
    try:
        return status, json.loads(answer)
    except ValueError:
        return status, answer


def both(stack, target: str, mount: str = "/api/mlflow", **request) -> list[tuple[int, object]]:
    target = target.encode()
    return [ask(stack.mlflow_url, target, **request), ask(stack.url, mount.encode() + target, stack.key, **request)]


@pytest.fixture(scope="module")
def experiment(stack) -> str:
    return MlflowClient(stack.mlflow_url).create_experiment(f'raw {RAW.replace(" ", "")}{NOT_ASCII}')


@pytest.mark.parametrize("character", RAW)
@pytest.mark.parametrize("mount", ["", "/api/mlflow", "/mlflow"])
def test_a_raw_character_in_a_query_means_what_it_means_to_mlflow(stack, character, mount):
    target = f"/api/2.0/mlflow/experiments/get-by-name?experiment_name=no{character}such&x={character}"
    direct, through = both(stack, target, mount)
    assert through == direct
    assert direct[0] == 404 and f"no{character}such" in direct[1]["message"]


@pytest.mark.parametrize("character", RAW)
def test_a_raw_character_in_a_path_means_what_it_means_to_mlflow(stack, character):
    target = f"/api/2.0/mlflow-artifacts/artifacts/77/raw/a{character}b.txt"
    # Written through the gateway, read on both ways.
    put = ask(stack.url, target.encode(), stack.key, body=character.encode())
    assert put[0] == 200, put
    direct, through = both(stack, target)
    assert through == direct == (200, character.encode())
    # Outside of a name a backslash is refused, for other servers read a slash.
    unknown = both(stack, f"/no-such{character}path")
    assert [status for status, _ in unknown] == [404, 400 if character == "\\" else 404]


def test_what_mlflow_finds_by_a_raw_name_is_found(stack, experiment):
    target = f"/api/2.0/mlflow/experiments/get-by-name?experiment_name=raw%20{RAW}"
    for answer in (both(stack, target + "%C3%A9%E6%97%A5")[1], ask(stack.url, (target + NOT_ASCII).encode(), stack.key)):
        assert answer[0] == 200 and answer[1]["experiment"]["experiment_id"] == experiment, answer


@pytest.mark.parametrize("characters", NOT_ASCII)
def test_raw_utf_8_which_mlflow_itself_refuses_is_taken(stack, characters):
    direct, through = both(stack, f"/api/2.0/mlflow/experiments/get-by-name?experiment_name=no-{characters}")
    assert direct[0] == 400
    assert through[0] == 404 and f"no-{characters}" in through[1]["message"]


@pytest.mark.parametrize("runs", [1000, 1600, 3000])
def test_a_request_for_so_many_runs_is_mlflows_to_answer(stack, experiment, runs):
    client = MlflowClient(stack.mlflow_url)
    run = client.create_run(experiment).info.run_id
    client.log_metric(run, "m", 1.5)
    ids = "&".join([f"run_id={run}"] + [f"run_id={number:032x}" for number in range(runs - 1)])
    for status, words in both(stack, f"/ajax-api/2.0/mlflow/metrics/get-history-bulk?{ids}&metric_key=m"):
        # MLflow takes a hundred; but h11 takes more than 16 KiB only where they come at once, which is chance, directly too.
        told = words["message"] if isinstance(words, dict) else words.decode()
        assert "more than 100 run_ids" in told or told == "Invalid HTTP request received.", told
        assert status == 400
