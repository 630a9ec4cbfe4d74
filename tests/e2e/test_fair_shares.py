"""A key that does a great deal at once keeps no other from working, and gets through itself."""

import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

THREADS, EACH = 32, 1


def test_a_noisy_key_leaves_a_quiet_one_its_requests_and_loses_nothing_itself(second_gateway, client, monkeypatch):
    noisy, quiet = (second_gateway.create_key_of(user) for user in ("noisy", "quiet"))
    # Fewer places than the noisy one has threads, and hardly more connections: both are short.
    settings = {"HOKUSAI__SERVER__WORKERS": "1", "HOKUSAI__LIMITS__CONCURRENT": "4", "HOKUSAI__MLFLOW__MAX_CONNECTIONS": "8"}
    second_gateway.start_gateway(**settings)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", quiet)
    # The quiet one does not try twice.
    people = client.MlflowClient(second_gateway.tracking_uri)

    command = [sys.executable, Path(__file__).with_name("noisy.py"), str(THREADS), str(EACH)]
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_HTTP_REQUEST_MAX_RETRIES"}
    environment |= {"MLFLOW_TRACKING_URI": second_gateway.tracking_uri, "MLFLOW_TRACKING_TOKEN": noisy}
    answered = 0
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as training:
        assert training.stdout.readline() == "begins\n"
        while training.poll() is None:
            assert people.search_experiments(max_results=1)
            answered += 1
        assert training.stdout.read() == f"{THREADS * EACH}\n", "each artifact is there"
    assert training.returncode == 0
    assert answered > 10, answered

    with urllib.request.urlopen(second_gateway.metrics_url) as metrics:
        told = metrics.read().decode()
    exceeded = re.search(r'limits_exceeded_total\{limit="concurrent_artifacts",mode="enforce"\} (\d+)', told)
    assert exceeded and int(exceeded[1]) > 0, "the client was told to come again, and did"
