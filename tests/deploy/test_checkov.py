"""checkov over deploy/terraform: nothing fails, and each exception has its reason beside the resource."""

import json
import os
import subprocess

import pytest
from terraform import MODULES, ROOT

CHECKOV = ROOT / ".venv" / "checkov" / "bin" / "checkov"


@pytest.fixture(scope="module")
def report():
    if not CHECKOV.is_file():
        pytest.skip(f"NOT TESTED: checkov is not at {CHECKOV.relative_to(ROOT)}; run `make checkov`")
    # Offline: it would ask its maker for guidelines and for modules of others.
    command = [CHECKOV, "--directory", MODULES, "--framework", "terraform", "--skip-download", "--output", "json", "--compact"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("BC_", "CKV_", "PRISMA_"))}
    done = subprocess.run(command, env=environment, text=True, capture_output=True, timeout=300, check=False)
    return json.loads(done.stdout)["results"]


def test_the_modules_are_looked_at(report):
    assert len(report["passed_checks"]) > 100 and report["parsing_errors"] == []


def test_nothing_fails(report):
    assert {f"{one['check_id']} {one['resource']}: {one['check_name']}" for one in report["failed_checks"]} == set()


def test_each_exception_has_a_reason(report):
    bare = [
        f"{one['check_id']} {one['resource']}"
        for one in report["skipped_checks"]
        if len(one["check_result"]["suppress_comment"].split()) < 4
    ]
    assert len(report["skipped_checks"]) > 0 and bare == []
