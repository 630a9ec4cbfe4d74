"""What alice has, what bob has, and a gateway between them and MLflow that enforces ownership."""

import contextlib

import pytest
from stack import Stack

from ..enforced import Enforced, binary, reason
from .belongings import ODD_USERS, alices, bobs

FENCE = 'models = ["in-*", "caf\u00e9-*"]\nexperiments = ["in/*"]\n'
# Of nothing that MLflow has.
OWN_ROUTE = "[write]\nPOST /api/2.0/mlflow/house/change\n"


@pytest.fixture(scope="package")
def site(tmp_path_factory):
    with contextlib.closing(Stack(tmp_path_factory.mktemp("around"), binary())) as stack:
        stack.start_mlflow()
        site = Enforced(stack)
        for name in ("alice", "bob", "carol", *ODD_USERS):
            site.add(name)
        site.add("root", scopes=("mlflow:admin",))
        site.add("fenced", user="bob", fence=FENCE)
        routes = stack.folder / "house.routes"
        routes.write_text(OWN_ROUTE)
        stack.start_gateway(
            HOKUSAI__POLICY__OWNERSHIP="enforce",
            HOKUSAI__LIMITS__MODE="off",
            HOKUSAI__MLFLOW__DIRECT_ARTIFACTS="allow",
            HOKUSAI__MLFLOW__ROUTES_FILE=str(routes),
        )
        site.alice = alices(site)
        site.bob = bobs(site, site.alice)
        yield site


@pytest.fixture
def refused(site):
    """Sends what must be refused, and change nothing at all."""
    before = site.state()

    def send(name: str, method: str, path: str, expected: str | None, **parts):
        answer = site.ask(name, method, path, **parts)
        assert site.state() == before, (method, path, answer.text)
        assert (reason(answer), answer.status_code < 400) == (expected, False), (method, path, answer.status_code, answer.text)

    return send
