"""Who may speak to whom in the cluster."""

import shutil

import pytest
from manifests import Manifests
from network_policies import Peer, is_allowed, takes

pytestmark = pytest.mark.skipif(not shutil.which("kubectl"), reason="there is no kubectl: NOT tested are the NetworkPolicies")

NAME = "app.kubernetes.io/name"
HERE = "hokusai"
GATEWAY = Peer(HERE, {NAME: "hokusai-gateway"})
MLFLOW = Peer(HERE, {NAME: "mlflow"})
NEIGHBOUR = Peer(HERE, {NAME: "a-job"})
IMPOSTOR = Peer("default", {NAME: "hokusai-gateway"})
INGRESS = Peer("ingress-nginx", {NAME: "ingress-nginx"})
PROMETHEUS = Peer("monitoring", {NAME: "prometheus"})
DNS = Peer("kube-system", {"k8s-app": "kube-dns"})
NOT_DNS = Peer("kube-system", {"k8s-app": "metrics-server"})
REDIS = Peer("redis", {NAME: "redis"})
INTERNET = Peer()


@pytest.fixture(scope="module", params=["base", "production"])
def policies(request):
    return Manifests(request.param).of_kind("NetworkPolicy")


def named(cases):
    return [pytest.param(*case, id=text) for text, *case in cases]


@pytest.mark.parametrize(
    ("source", "port", "allowed"),
    named(
        [
            ("the gateway", GATEWAY, 5000, True),
            ("the gateway, another port", GATEWAY, 22, False),
            ("a pod beside it", NEIGHBOUR, 5000, False),
            ("another MLflow", MLFLOW, 5000, False),
            ("a pod with the gateway's labels elsewhere", IMPOSTOR, 5000, False),
            ("the Ingress controller", INGRESS, 5000, False),
            ("Prometheus", PROMETHEUS, 5000, False),
            ("outside", INTERNET, 5000, False),
        ]
    ),
)
def test_only_the_gateway_reaches_mlflow(policies, source, port, allowed):
    assert is_allowed(policies, source, MLFLOW, port) == allowed
    assert takes(policies, MLFLOW, source, port) == allowed


@pytest.mark.parametrize(
    ("source", "port", "allowed"),
    named(
        [
            ("the Ingress controller", INGRESS, 8001, True),
            ("a pod beside it", NEIGHBOUR, 8001, False),
            ("MLflow", MLFLOW, 8001, False),
            ("Prometheus", PROMETHEUS, 8001, False),
            ("outside", INTERNET, 8001, False),
        ]
    ),
)
def test_only_the_ingress_reaches_the_gateway(policies, source, port, allowed):
    assert is_allowed(policies, source, GATEWAY, port) == allowed
    assert takes(policies, GATEWAY, source, port) == allowed


@pytest.mark.parametrize(
    ("source", "allowed"),
    named(
        [
            ("Prometheus", PROMETHEUS, True),
            ("the Ingress controller", INGRESS, False),
            ("a pod beside it", NEIGHBOUR, False),
            ("outside", INTERNET, False),
        ]
    ),
)
def test_only_the_monitoring_namespace_reaches_the_metrics(policies, source, allowed):
    assert is_allowed(policies, source, GATEWAY, 9464) == allowed
    assert takes(policies, GATEWAY, source, 9464) == allowed


@pytest.mark.parametrize(
    ("target", "port", "protocol", "allowed"),
    named(
        [
            ("Redis", REDIS, 6379, "TCP", True),
            ("a managed Redis", INTERNET, 6379, "TCP", True),
            ("the auth service", INTERNET, 443, "TCP", True),
            ("DNS", DNS, 53, "UDP", True),
            ("long DNS", DNS, 53, "TCP", True),
            ("DNS of anybody else", INTERNET, 53, "UDP", False),
            ("another pod's port 53", NOT_DNS, 53, "UDP", False),
            ("plain HTTP, such as a cloud's metadata", INTERNET, 80, "TCP", False),
            ("MLflow's database", INTERNET, 5432, "TCP", False),
            ("QUIC", INTERNET, 443, "UDP", False),
        ]
    ),
)
def test_the_gateway_reaches_nothing_but_what_it_needs(policies, target, port, protocol, allowed):
    assert is_allowed(policies, GATEWAY, target, port, protocol) == allowed


@pytest.mark.parametrize(
    ("target", "port", "allowed"),
    named(
        [
            ("its database", INTERNET, 5432, True),
            ("the store of artifacts", INTERNET, 443, True),
            ("plain HTTP", INTERNET, 80, False),
            ("Redis", REDIS, 6379, False),
        ]
    ),
)
def test_mlflow_reaches_nothing_but_its_stores(policies, target, port, allowed):
    assert is_allowed(policies, MLFLOW, target, port) == allowed


@pytest.mark.parametrize("port", [80, 443, 5432, 6379, 9464])
def test_a_pod_without_a_policy_of_its_own_reaches_nothing(policies, port):
    assert not is_allowed(policies, NEIGHBOUR, INTERNET, port)


@pytest.mark.parametrize("source", named([("the Ingress controller", INGRESS), ("Prometheus", PROMETHEUS), ("outside", INTERNET)]))
def test_a_pod_without_a_policy_of_its_own_is_reached_by_nobody(policies, source):
    assert not takes(policies, NEIGHBOUR, source, 80)
