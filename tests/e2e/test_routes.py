"""The gateway's table of routes is MLflow's own, as MLflow itself tells it."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from versions import NEXT, PINNED, Version, covers, nameless

# Elder versions, where `make test-compat` has put them: folders with MLflow's packages in them.
COMPAT = [Version(folder, Path(folder)) for folder in os.environ.get("MLFLOW_COMPAT", "").split(":") if folder]


@pytest.fixture(scope="session")
def table(stack) -> set[tuple[str, str]]:
    """The rows of the gateway's own."""
    printed = subprocess.run([stack.binary, "routes", "--format", "json"], check=True, stdout=subprocess.PIPE).stdout
    return {(row["method"], nameless(row["path"])) for row in json.loads(printed)}


@pytest.mark.parametrize("version", [PINNED, NEXT, *COMPAT], ids=str)
def test_every_route_of_mlflow_has_a_class(table, version):
    missing = {route for route in version.routes if not any(covers(row, route) for row in table)}
    assert not missing


def test_every_row_of_the_table_is_a_route_of_mlflow(table):
    routes = PINNED.routes | NEXT.routes
    gone = {row for row in table if not any(covers(row, route) for route in routes)}
    assert not gone
