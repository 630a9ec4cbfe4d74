"""The gateway's table of routes is MLflow's own, as MLflow itself tells it."""

import json
import os
import re
import subprocess
import sys

import pytest
from stack import ROOT

# Elder versions, where `make test-compat` has put them: folders with MLflow's packages in them.
COMPAT = [folder for folder in os.environ.get("MLFLOW_COMPAT", "").split(":") if folder]


def routes_of_mlflow(packages: str | None = None) -> set[tuple[str, str]]:
    """What an MLflow says of itself; its parameters' names do not count."""
    path = {"PYTHONPATH": packages} if packages else {}
    command = [sys.executable, "-W", "ignore", ROOT / "scripts" / "mlflow_routes.py"]
    told = subprocess.run(command, env=os.environ | path, check=True, text=True, stdout=subprocess.PIPE).stdout
    routes = {tuple(line.split(" ", 1)) for line in told.splitlines()}
    assert len(routes) > 400, told
    return {(method, nameless(path)) for method, path in routes}


def nameless(pattern: str) -> str:
    return re.sub(r"\{\w+\}", "{}", re.sub(r"\{\*\w+\}", "{*}", pattern))


@pytest.fixture(scope="session")
def table(stack) -> set[tuple[str, str]]:
    """The rows of the gateway's own."""
    printed = subprocess.run([stack.binary, "routes", "--format", "json"], check=True, stdout=subprocess.PIPE).stdout
    return {(row["method"], nameless(row["path"])) for row in json.loads(printed)}


def covers(row: tuple[str, str], route: tuple[str, str]) -> bool:
    """A row is a route; one that takes all that follows is every route below it."""
    if row == route:
        return True
    (method, pattern), (of_route, path) = row, route
    return method == of_route and pattern.endswith("{*}") and path.startswith(pattern.removesuffix("{*}"))


def test_every_route_of_mlflow_has_a_class(table):
    missing = {route for route in routes_of_mlflow() if not any(covers(row, route) for row in table)}
    assert not missing


def test_every_row_of_the_table_is_a_route_of_mlflow(table):
    routes = routes_of_mlflow()
    gone = {row for row in table if not any(covers(row, route) for route in routes)}
    assert not gone


@pytest.mark.parametrize("packages", COMPAT)
def test_every_route_of_an_elder_mlflow_has_a_class(table, packages):
    missing = {route for route in routes_of_mlflow(packages) if not any(covers(row, route) for row in table)}
    assert not missing
