"""Every code of docs/TROUBLESHOOTING.md is told by what really has its cause: the document is the table of this test."""

import json
import os
import re
import subprocess

import pytest
import requests
from commands import check
from faults import FAULTS
from faults.place import QUICK, Place
from front import start_nginx
from stack import ROOT, free_port
from waiting import eventually

DOCUMENT = (ROOT / "docs" / "TROUBLESHOOTING.md").read_text()
ENTRIES = re.findall(r'^<a id="(hg-\w+)"></a>\n(.*?)(?=^<a id=|^## |\Z)', DOCUMENT, re.MULTILINE | re.DOTALL)
TABLE = [
    (anchor.upper(), fault)
    for anchor, entry in ENTRIES
    for fault in re.findall(r"^<!-- fault: (\w+) -->$", entry, re.MULTILINE)
]


@pytest.fixture(scope="module")
def shared():
    """What more than one fault needs, made when it is needed."""
    shared = {"ends": []}
    yield shared
    for end in shared["ends"]:
        end()


@pytest.fixture
def place(stack, tmp_path, shared):
    with Place(stack, tmp_path / "own", shared) as place:
        yield place


def test_the_table_and_the_faults_are_the_same():
    assert len(TABLE) > 80
    assert sorted(fault for _, fault in TABLE) == sorted(FAULTS)


@pytest.mark.parametrize(("code", "fault"), TABLE)
def test_a_fault_is_named_by_its_code(place, code, fault):
    named = FAULTS[fault](place)
    if callable(named):
        eventually(lambda: code in named())
    else:
        assert code in named.codes(), (named.codes(), named.printed)


def test_what_is_well_has_no_code(stack):
    report = check(stack, "--probe")
    assert (report.code, report.codes()) == (0, set())
    assert "codes" not in requests.get(f"{stack.url}/ready", timeout=30).json()
    assert requests.get(f"{stack.url}/health/mlflow", timeout=30).json()["codes"] == []


def test_what_is_over_is_told_with_the_code_that_it_began_with(place):
    lines = lambda level: {  # noqa: E731
        line.get("code") for line in map(json.loads, place.own.log("gateway").read_text().splitlines()) if line.get("level") == level
    }
    place.own.create_key("--user", "ada", "--test")
    good = place.own.key_file.read_text()
    # MLflow is there only from the second try on.
    late = free_port()
    url = f"http://127.0.0.1:{late}"
    place.serve(MLFLOW_SERVER_URL=url, HOKUSAI__AUTH__KEY_FILE__PATH=str(place.own.key_file), **QUICK)
    place.own.key_file.write_text("no key file")
    eventually(lambda: "HG-K06" in lines("ERROR") and "HG-M02" in place.ready())
    place.own.key_file.write_text(good)
    mlflow = f"location / {{ proxy_pass {place.stack.mlflow_url}; }}"
    start_nginx(place.own, mlflow, f"127.0.0.1:{late}")
    eventually(lambda: {"HG-K06", "HG-M02"} <= lines("INFO"))
    assert place.ready() == set()


def test_the_text_begins_with_the_code_and_says_where_it_is_explained(stack, place):
    command = [str(stack.binary), "check", "--probe"]
    variables = {"MLFLOW_SERVER_URL": place.closed(), "HOKUSAI__AUTH__KEY_FILE__PATH": str(stack.key_file)}
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HOKUSAI", "MLFLOW"))}
    printed = subprocess.run(command, env=clean | variables, capture_output=True, text=True, check=False).stdout
    assert re.search(r"^FAIL  mlflow.tcp +HG-M02 nothing listens at", printed, re.MULTILINE)
    assert printed.endswith("; codes: docs/TROUBLESHOOTING.md#codes\n")
    variables["MLFLOW_SERVER_URL"] = ""
    told = subprocess.run(command, env=clean | variables, capture_output=True, text=True, check=False).stderr
    assert re.search(r"^HG-S02 mlflow.url \(.*\): is required", told, re.MULTILINE)
    assert told.endswith("; codes: docs/TROUBLESHOOTING.md#codes\n")
