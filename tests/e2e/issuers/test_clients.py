"""Tokens arrive in each way in which MLflow's own client sends them."""

import sqlite3

import pytest

from .issuer import Issuer
from .machine import Machine
from .site import WRITE, Site, machines, rule

POD = {"sub": "system:serviceaccount:lab:trainer", "kubernetes.io": {"namespace": "lab", "serviceaccount": {"name": "trainer"}}}
WAYS = {
    "token": lambda token: {"MLFLOW_TRACKING_TOKEN": token},
    "password": lambda token: {"MLFLOW_TRACKING_USERNAME": "trainer", "MLFLOW_TRACKING_PASSWORD": token},
    "kubernetes": lambda _: {"MLFLOW_TRACKING_AUTH": "kubernetes"},
    "kubernetes-namespaced": lambda _: {"MLFLOW_TRACKING_AUTH": "kubernetes-namespaced"},
}


@pytest.fixture(scope="module")
def cluster():
    with Issuer() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def site(mlflow, cluster, tmp_path_factory):
    rules = [
        rule({"kubernetes.io.namespace": "bound"}, WRITE, workspace="lab"),
        rule({"kubernetes.io.namespace": "*"}, WRITE),
    ]
    about = machines(cluster, *rules, user="{sub}")
    with Site(mlflow, tmp_path_factory.mktemp("clients"), about, HOKUSAI__POLICY__OWNERSHIP="enforce") as site:
        yield site


def made(site: Site, experiment: str) -> list[tuple]:
    """The workspaces and owners of experiments of this name, and the number of their metrics."""
    asked = """SELECT e.workspace, t.value, (SELECT count(*) FROM runs r JOIN metrics m USING (run_uuid) WHERE r.experiment_id = e.experiment_id)
        FROM experiments e JOIN experiment_tags t USING (experiment_id) WHERE e.name = ? AND t.key = 'hokusai.owner'"""
    with sqlite3.connect(f"file:{site.mlflow.folder}/mlflow.db?mode=ro", uri=True) as database:
        return database.execute(asked, (experiment,)).fetchall()


@pytest.mark.parametrize("way", WAYS)
def test_a_training_runs_with_a_token(way, site, cluster, tmp_path):
    machine, token = Machine(site, tmp_path / "account"), cluster.token(**POD)
    if way.startswith("kubernetes"):
        machine.mount(token)
    ran = machine.train(f"by {way}", **WAYS[way](token))
    assert ran.returncode == 0, ran.stderr[-4000:]
    # Only the last one names its workspace.
    workspace = "lab" if way == "kubernetes-namespaced" else "default"
    assert made(site, f"by {way}") == [(workspace, POD["sub"], 1)]


def test_a_pod_of_another_namespace_stays_in_the_workspace_of_its_rule(site, cluster, tmp_path):
    machine = Machine(site, tmp_path / "account")
    machine.mount(cluster.token(**POD | {"kubernetes.io": {"namespace": "bound"}}), namespace="other")
    ran = machine.train("bound", MLFLOW_TRACKING_AUTH="kubernetes-namespaced")
    assert ran.returncode == 0, ran.stderr[-4000:]
    assert made(site, "bound") == [("lab", POD["sub"], 1)]
