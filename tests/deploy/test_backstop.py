"""The filters over the log, put to lines that the gateway writes."""

import json
import operator
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from fnmatch import fnmatchcase

import pytest
from terraform import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

from stack import free_port  # noqa: E402

TERM = re.compile(r'\$\.(\w+) (=|>=) (?:"([^"]*)"|(\d+))')


def finds(pattern: str, line: str) -> bool:
    """As "Filter pattern syntax" of CloudWatch Logs has it, as far as our patterns go: `{ $.a = "text*" && $.b >= 1 }`."""
    terms = pattern.removeprefix("{ ").removesuffix(" }").split(" && ")
    try:
        event = json.loads(line)
    except ValueError:
        return False
    for term in terms:
        name, sign, text, number = TERM.fullmatch(term).groups()
        value = event.get(name)
        if text is not None:
            if not isinstance(value, str) or not fnmatchcase(value, text):
                return False
        elif not isinstance(value, int) or not {"=": operator.eq, ">=": operator.ge}[sign](value, int(number)):
            return False
    return True


@pytest.fixture(scope="module")
def filters(planned):
    return {key.split('"')[1]: one["pattern"] for key, one in planned.resources("aws_cloudwatch_log_metric_filter").items()}


@pytest.fixture(scope="module")
def lines(tmp_path_factory, binary):
    """What a gateway writes whose auth service cannot be reached, asked once with a key and once without."""
    port, nobody = free_port(), free_port()
    environment = os.environ | {
        "HOKUSAI__SERVER__BIND": f"127.0.0.1:{port}",
        "HOKUSAI__METRICS__BIND": "off",
        "HOKUSAI__SERVER__SETTLE_TIME": "0s",
        "HOKUSAI__MLFLOW__URL": f"http://127.0.0.1:{nobody}",
        "HOKUSAI__AUTH__SERVICE__URL": f"http://127.0.0.1:{nobody}",
        "HOKUSAI__TELEMETRY__LOG": "json",
    }
    log = tmp_path_factory.mktemp("gateway") / "log"
    with log.open("wb") as out:
        process = subprocess.Popen([binary, "serve"], env=environment, stdout=out, stderr=out, cwd=log.parent)
    try:
        deadline = time.monotonic() + 30
        while ask(port, "/live") != 200:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        assert ask(port, "/api/mlflow/version", Authorization="Bearer obviously-a-key-of-a-test") == 503
        assert ask(port, "/api/mlflow/version") == 401
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    return log.read_text().splitlines()


def ask(port: int, path: str, **headers: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers), timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def test_a_request_that_failed_is_counted_once_and_one_that_was_refused_is_not(filters, lines):
    assert [json.loads(line)["status"] for line in lines if finds(filters["server-errors"], line)] == [503]


def test_an_actor_that_died_is_found_as_the_gateway_says_it(filters):
    said = re.search(r'tracing::error!\([^"]*actor = name,\s*"([^"]+)"', (ROOT / "src" / "actor.rs").read_text())[1]
    assert finds(filters["actor-died"], json.dumps({"level": "ERROR", "message": said, "actor": "usage reporter"}))


def test_no_other_line_is_an_actor_that_died(filters, lines):
    assert [line for line in lines if finds(filters["actor-died"], line)] == []
