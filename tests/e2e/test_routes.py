"""The gateway's table of routes is MLflow's own, as MLflow itself tells it."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from stack import ROOT
from versions import NEXT, PINNED, TOLD, Version, covers, nameless, routes_in

# Other versions, where `make test-compat` has put them: folders with MLflow's packages in them.
COMPAT = [Version(folder, Path(folder)) for folder in os.environ.get("MLFLOW_COMPAT", "").split(":") if folder]


@pytest.fixture(scope="session")
def table(stack) -> set[tuple[str, str]]:
    """The rows of the gateway's own."""
    printed = subprocess.run([stack.binary, "routes", "--format", "json"], check=True, stdout=subprocess.PIPE).stdout
    return {(row["method"], nameless(row["path"])) for row in json.loads(printed)}


def missing(table, routes) -> set:
    return {route for route in routes if not any(covers(row, route) for row in table)}


@pytest.mark.parametrize("version", [PINNED, NEXT, *COMPAT], ids=str)
def test_every_route_of_mlflow_has_a_class(table, version):
    assert len(version.routes) > 140
    assert not missing(table, version.routes)


@pytest.mark.parametrize("version", sorted(TOLD))
def test_every_route_that_mlflow_has_told_before_has_a_class(table, version):
    assert not missing(table, routes_in(TOLD[version].read_text()))


@pytest.mark.parametrize("version", [PINNED, NEXT, *COMPAT], ids=lambda version: Path(str(version)).name)
def test_what_was_told_is_what_is_told_now(version):
    assert routes_in(TOLD[Path(version.name).name].read_text()) == version.routes


def test_every_row_of_the_table_is_a_route_of_mlflow(table):
    routes = set.union(*(routes_in(told.read_text()) for told in TOLD.values()))
    assert not {row for row in table if not any(covers(row, route) for route in routes)}


def test_every_version_that_make_can_install_has_told_its_routes():
    requirements = {path.stem.removeprefix("mlflow-") for path in (ROOT / "scripts/compat").glob("mlflow-*.txt")}
    assert TOLD.keys() == requirements | {str(PINNED)}
