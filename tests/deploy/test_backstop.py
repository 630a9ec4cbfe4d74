"""The filters over the log, put to lines that the gateway writes."""

import contextlib
import json
import operator
import re
from fnmatch import fnmatchcase

import pytest
import requests
from stack import ROOT, Stack, free_port

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
    nobody = f"http://127.0.0.1:{free_port()}"
    gateway = Stack(tmp_path_factory.mktemp("gateway"), binary)
    environment = {
        "HOKUSAI__SERVER__BIND": gateway.url.removeprefix("http://"),
        "HOKUSAI__METRICS__BIND": "off",
        "HOKUSAI__SERVER__SETTLE_TIME": "0s",
        "HOKUSAI__MLFLOW__URL": nobody,
        "HOKUSAI__AUTH__SERVICE__URL": nobody,
        "HOKUSAI__TELEMETRY__LOG": "json",
    }
    with contextlib.closing(gateway):
        process = gateway.start("gateway", [str(binary), "serve"], environment)
        gateway.wait(process, "gateway", f"{gateway.url}/live")
        assert ask(gateway.url, Authorization="Bearer obviously-a-key-of-a-test") == 503
        assert ask(gateway.url) == 401
    return gateway.log("gateway").read_text().splitlines()


def ask(url: str, **headers: str) -> int:
    return requests.get(f"{url}/api/mlflow/version", headers=headers, timeout=10).status_code


def test_a_request_that_failed_is_counted_once_and_one_that_was_refused_is_not(filters, lines):
    assert [json.loads(line)["status"] for line in lines if finds(filters["server-errors"], line)] == [503]


def test_an_actor_that_died_is_found_as_the_gateway_says_it(filters):
    said = re.search(r'tracing::error!\([^"]*actor = name,\s*"([^"]+)"', (ROOT / "src" / "actor.rs").read_text())[1]
    assert finds(filters["actor-died"], json.dumps({"level": "ERROR", "message": said, "actor": "usage reporter"}))


def test_no_other_line_is_an_actor_that_died(filters, lines):
    assert [line for line in lines if finds(filters["actor-died"], line)] == []
