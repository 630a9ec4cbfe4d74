"""The MLflow that is pinned, the newest, which `make test-e2e` has put beside it, and what elder ones say of themselves."""

import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from stack import ROOT


class Version:
    """An MLflow by where its packages are; none: those of this interpreter."""

    def __init__(self, name: str, packages: Path | None = None) -> None:
        self.name, self.packages = name, packages

    def __str__(self) -> str:
        return self.name

    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self.packages)} if self.packages else {}

    def source(self) -> Path:
        if self.packages:
            return self.packages / "mlflow"
        import mlflow

        return Path(mlflow.__file__).parent

    def tells(self, script: str) -> str:
        command = [sys.executable, "-W", "ignore", ROOT / "scripts" / script]
        return subprocess.run(command, env=os.environ | self.environment(), check=True, text=True, stdout=subprocess.PIPE).stdout

    @functools.cached_property
    def routes(self) -> set[tuple[str, str]]:
        """What it says of itself; its parameters' names do not count."""
        return routes_in(self.tells("mlflow_routes.py"))

    @functools.cached_property
    def fields(self) -> dict:
        """What its routes read of a request."""
        return json.loads(self.tells("mlflow_fields.py"))

    def has(self, row: dict) -> bool:
        return any(covers((row["method"], nameless(row["path"])), route) for route in self.routes)


def routes_in(told: str) -> set[tuple[str, str]]:
    routes = {tuple(line.split(" ", 1)) for line in told.splitlines()}
    assert len(routes) > 140, told
    return {(method, nameless(path)) for method, path in routes}


def nameless(pattern: str) -> str:
    # MLflow before 3.2 has `{assessment.trace_id}` in a path of Flask's, which means just that.
    return re.sub(r"\{[\w.]+\}", "{}", re.sub(r"\{\*\w+\}", "{*}", pattern))


def covers(row: tuple[str, str], route: tuple[str, str]) -> bool:
    """A row is a route; one that takes all that follows is every route below it."""
    if row == route:
        return True
    (method, pattern), (of_route, path) = row, route
    return method == of_route and pattern.endswith("{*}") and path.startswith(pattern.removesuffix("{*}"))


# What scripts/mlflow_routes.py printed for each, so that no elder version has to be installed.
TOLD = {path.stem.removeprefix("mlflow-"): path for path in Path(__file__).with_name("routes").glob("*.txt")}
PINNED = Version("3.17.2")
NEXT = Version("3.18.0", ROOT / ".venv" / "compat" / "3.18.0")
