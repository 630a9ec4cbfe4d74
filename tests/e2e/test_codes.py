"""What names a fault that takes a real MLflow, or nginx before it; tests/api/codes has the others, and holds the document to both."""

import re

import pytest
import requests
from commands import check
from faults import FAULTS
from faults.place import Place
from stack import ROOT
from waiting import eventually

DOCUMENT = (ROOT / "docs" / "TROUBLESHOOTING.md").read_text()
ENTRIES = re.findall(r'^<a id="(hg-\w+)"></a>\n(.*?)(?=^<a id=|^## |\Z)', DOCUMENT, re.MULTILINE | re.DOTALL)
CODES = {
    fault: anchor.upper()
    for anchor, entry in ENTRIES
    for fault in re.findall(r"^<!-- fault: (\w+) -->$", entry, re.MULTILINE)
}


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


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_by_its_code(place, fault):
    named, code = FAULTS[fault](place), CODES[fault]
    if callable(named):
        eventually(lambda: code in named())
    else:
        assert code in named.codes(), (named.codes(), named.printed)


def test_what_is_well_has_no_code(stack):
    report = check(stack, "--probe")
    assert (report.code, report.codes()) == (0, set())
    assert "codes" not in requests.get(f"{stack.url}/ready", timeout=30).json()
    assert requests.get(f"{stack.url}/health/mlflow", timeout=30).json()["codes"] == []
