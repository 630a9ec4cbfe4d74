"""Every code of docs/TROUBLESHOOTING.md is told by what really has its cause: the document is the table of this test."""

import re

import pytest
from faults import FAULTS
from faults.place import Place
from stack import ROOT
from test_tls import eventually

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
