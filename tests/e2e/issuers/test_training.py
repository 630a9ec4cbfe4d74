"""Trainings that take longer than their token lives."""

import contextlib
import threading

import pytest

from .issuer import Issuer
from .machine import Machine
from .site import WRITE, Site, machines, rule

# A busy machine may take a second or two for what should be at once.
LIFETIME, SECONDS = 8, 32


@pytest.fixture(scope="module")
def cluster():
    with Issuer() as issuer:
        yield issuer


@pytest.fixture
def machine(mlflow, cluster, tmp_path):
    with Site(mlflow, tmp_path / "gateway", machines(cluster, rule({"sub": "*"}, WRITE), user="{sub}")) as site:
        yield Machine(site, tmp_path / "account")


@contextlib.contextmanager
def rotating(machine: Machine, cluster: Issuer, until_it_is_used: bool = False):
    """The file has a new token every second."""
    over = threading.Event()

    def rotate() -> None:
        while not over.wait(1) and not (until_it_is_used and machine.site.requests()):
            machine.mount(cluster.token(seconds=LIFETIME))

    machine.mount(cluster.token(seconds=LIFETIME))
    thread = threading.Thread(target=rotate)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_training_of_several_lifetimes_never_fails_where_the_file_is_rotated(machine, cluster):
    with rotating(machine, cluster):
        # The first failure would be the last.
        variables = {"MLFLOW_TRACKING_AUTH": "kubernetes", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
        ran = machine.train("rotated", SECONDS, **variables)
    assert ran.returncode == 0, ran.stderr[-4000:]
    requests = machine.site.requests()
    assert len(requests) > SECONDS
    assert {line["status"] for line in requests} == {200}


def test_a_training_is_told_at_once_that_its_token_has_expired(machine, cluster):
    with rotating(machine, cluster, until_it_is_used=True):
        # With as many retries as MLflow makes by itself.
        ran = machine.train("expired", SECONDS, MLFLOW_TRACKING_AUTH="kubernetes")
    assert ran.returncode == 1
    error = ran.stderr.strip().splitlines()[-1]
    assert "UNAUTHENTICATED" in error and "expired at" in error, error
    *before, last = [line["status"] for line in machine.site.requests()]
    assert last == 401 and set(before) == {200}
    assert (machine.account / "token").read_text() not in machine.site.gateway.log("gateway").read_text()
