"""What the manifests promise; who may speak to whom is in test_network_policies.py."""

import re
import shutil
import subprocess
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import requests
import yaml
from manifests import Manifests, matches
from stack import ROOT, Stack

pytestmark = pytest.mark.skipif(not shutil.which("kubectl"), reason="there is no kubectl: NOT tested is deploy/kubernetes")

KUBERNETES = "1.36"
CUSTOM = {"ServiceMonitor", "PrometheusRule"}
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
# For audit records, usage reports and the last lines of the log, after the drain: three times 2s and 1.5s.
LAST_WORDS = 7.5


@pytest.fixture(scope="module", params=["base", "production"])
def manifests(request):
    return Manifests(request.param)


def test_kubernetes_takes_every_object(manifests):
    for item in manifests:
        if item["kind"] not in CUSTOM:
            kubernetes_validate.validate(item, KUBERNETES, strict=True)


def test_everything_is_in_the_one_namespace(manifests):
    homeless = [item["metadata"]["name"] for item in manifests if item["metadata"].get("namespace") != "hokusai"]
    assert homeless == ["hokusai"], "the Namespace itself"


def test_the_rules_are_those_of_the_one_file(manifests):
    (rule,) = manifests.of_kind("PrometheusRule")
    assert rule["apiVersion"] == "monitoring.coreos.com/v1"
    assert set(rule) == {"apiVersion", "kind", "metadata", "spec"}
    assert rule["spec"] == yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text())


def test_the_service_monitor_finds_the_metrics_service_alone(manifests):
    (monitor,) = manifests.of_kind("ServiceMonitor")
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    services = manifests.of_kind("Service")
    found = [item for item in services if matches(monitor["spec"]["selector"], item["metadata"]["labels"])]
    assert [item["metadata"]["name"] for item in found] == ["hokusai-gateway-metrics"]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"]) == (found[0]["spec"]["ports"][0]["name"], "/metrics")
    job = found[0]["metadata"]["labels"][monitor["spec"]["jobLabel"]]
    assert re.fullmatch(".*hokusai-gateway.*", job), "the alerts look for it by this name"


def test_the_grace_period_outlasts_the_drain(manifests):
    pod = manifests.pods()["hokusai-gateway"]["spec"]
    sleep = pod["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    drain = manifests.duration("server.settle_time") + manifests.duration("server.drain_grace")
    assert pod["terminationGracePeriodSeconds"] > sleep + drain + LAST_WORDS


def test_no_secret_is_in_a_manifest(manifests):
    assert not manifests.of_kind("Secret")
    for name, pod in manifests.pods().items():
        variables = manifests.environment(name)
        named = [item for item in variables if re.search("TOKEN|PASSWORD|PEPPER|SECRET|REDIS__URL|STORE_URI", item)]
        assert all(item.endswith("_FILE") for item in named), named
    assert not re.search(r"://[^/\s]*:[^/\s]*@|hk_(live|test)_\w|PRIVATE KEY", manifests.text)


def test_what_seals_the_providers_keys_comes_from_a_secret(manifests):
    """By default it is a passphrase that everybody knows."""
    (container,) = manifests.pods()["mlflow"]["spec"]["containers"]
    sources = {item["name"]: item.get("valueFrom", {}).get("secretKeyRef") for item in container["env"]}
    assert sources["MLFLOW_CRYPTO_KEK_PASSPHRASE"] == {"name": "hokusai-mlflow", "key": "kek-passphrase"}
    assert "KEK" not in str(manifests.environment("mlflow"))


def test_secrets_are_mounted_for_the_group_alone(manifests):
    """What everybody may read is no private key to the gateway."""
    for pod in manifests.pods().values():
        for volume in pod["spec"]["volumes"]:
            assert "secret" not in volume or volume["secret"]["defaultMode"] in (0o440, 0o400), volume


def test_each_secret_that_is_read_from_a_file_is_mounted_there(manifests):
    pod = manifests.pods()["hokusai-gateway"]["spec"]
    mounts = {item["name"]: item["mountPath"] for item in pod["containers"][0]["volumeMounts"]}
    mounted = {
        f"{mounts[volume['name']]}/{item['path']}"
        for volume in pod["volumes"]
        for item in volume.get("secret", {}).get("items", [])
    }
    read = {path for name, path in manifests.environment("hokusai-gateway").items() if name.endswith("_FILE")}
    assert read == mounted


def probes(manifests, pod):
    (container,) = manifests.pods()[pod]["spec"]["containers"]
    assert {container[probe]["httpGet"]["port"] for probe in PROBES} == {"http"}
    return {probe: container[probe]["httpGet"]["path"] for probe in PROBES}


def test_the_gateway_answers_its_probes_without_a_key(manifests, binary, tmp_path):
    gateway = Stack(tmp_path, binary)
    gateway.create_key("--user", "ada")
    settings = {"HOKUSAI__SERVER__BIND": gateway.url.removeprefix("http://"), "HOKUSAI__METRICS__BIND": "off", "MLFLOW_SERVER_URL": "http://127.0.0.1:1"}
    process = gateway.start("gateway", [str(binary), "serve"], settings)
    try:
        gateway.wait(process, "gateway", f"{gateway.url}/live")
        answers = {path: requests.get(gateway.url + path, timeout=10).status_code for path in probes(manifests, "hokusai-gateway").values()}
        assert answers == {"/live": 200, "/ready": 503}, "MLflow is not there"
    finally:
        process.kill()
        gateway.stop()


def test_mlflow_is_asked_where_it_takes_any_host(manifests):
    """The probes' Host is the pod's address, which only its /health and /version allow."""
    assert set(probes(manifests, "mlflow").values()) == {"/health"}


def test_only_readiness_depends_on_mlflow(manifests):
    """A gateway must not be killed for MLflow's absence."""
    assert probes(manifests, "hokusai-gateway") == {"startupProbe": "/live", "livenessProbe": "/live", "readinessProbe": "/ready"}


def test_no_container_can_become_more_than_it_is(manifests):
    for pod in manifests.pods().values():
        spec, security = pod["spec"], pod["spec"]["securityContext"]
        assert (security["runAsNonRoot"], security["runAsUser"]) == (True, 65532)
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        for container in spec["containers"] + spec.get("initContainers", []):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_no_service_puts_its_variables_among_the_settings(manifests):
    """Kubernetes would set MLFLOW_PORT=tcp://…, which `mlflow server` reads as its port."""
    assert all(pod["spec"]["enableServiceLinks"] is False for pod in manifests.pods().values())


def test_the_ingress_leads_to_no_port_of_the_metrics(manifests):
    ports = {}
    for item in manifests.of_kind("Ingress"):
        for path in (path for rule in item["spec"]["rules"] for path in rule["http"]["paths"]):
            service = manifests.get("Service", path["backend"]["service"]["name"])
            ports |= {port["name"]: port["targetPort"] for port in service["spec"]["ports"]}
    assert "metrics" not in ports.values() and 9464 not in ports.values()


def test_production_is_reached_by_its_ingress():
    (ingress,) = Manifests("production").of_kind("Ingress")
    (path,) = ingress["spec"]["rules"][0]["http"]["paths"]
    assert path["backend"]["service"] == {"name": "hokusai-gateway", "port": {"name": "http"}}


def test_mlflow_has_no_address_outside_the_cluster(manifests):
    assert manifests.get("Service", "mlflow")["spec"]["type"] == "ClusterIP"


def test_ports_are_those_that_the_settings_bind(manifests):
    environment = manifests.environment("hokusai-gateway")
    (container,) = manifests.pods()["hokusai-gateway"]["spec"]["containers"]
    ports = {port["name"]: f"0.0.0.0:{port['containerPort']}" for port in container["ports"]}
    assert ports == {"http": environment["HOKUSAI__SERVER__BIND"], "metrics": environment["HOKUSAI__METRICS__BIND"]}


def test_mlflow_takes_the_host_that_the_gateway_sends(manifests):
    host = urlsplit(manifests.environment("hokusai-gateway")["HOKUSAI__MLFLOW__URL"]).netloc
    assert manifests.environment("mlflow")["MLFLOW_SERVER_ALLOWED_HOSTS"] == host
    service = manifests.get("Service", "mlflow")
    assert host == f"{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"


def test_the_gateway_knows_every_setting(manifests, binary, tmp_path):
    environment = manifests.environment("hokusai-gateway")
    secrets = {"HOKUSAI__REDIS__URL_FILE": "redis://redis.example:6379", "HOKUSAI__AUTH__PEPPER_FILE": "the pepper of a test"}
    for variable, secret in secrets.items():
        (tmp_path / variable).write_text(secret)
        environment[variable] = str(tmp_path / variable)
    done = subprocess.run([binary, "check"], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_selector_selects_pods(manifests):
    pods = [pod["metadata"]["labels"] for pod in manifests.pods().values()]
    selectors = [{"matchLabels": item["spec"]["selector"]} for item in manifests.of_kind("Service")]
    selectors += [item["spec"]["selector"] for kind in ("Deployment", "PodDisruptionBudget") for item in manifests.of_kind(kind)]
    selectors += [spread["labelSelector"] for pod in manifests.pods().values() for spread in pod["spec"].get("topologySpreadConstraints", [])]
    for selector in selectors:
        assert sum(matches(selector, labels) for labels in pods) == 1, selector


def test_every_named_port_is_a_port_of_the_pods_behind_it(manifests):
    for item in manifests.of_kind("Service"):
        (pod,) = (pod for pod in manifests.pods().values() if matches({"matchLabels": item["spec"]["selector"]}, pod["metadata"]["labels"]))
        names = {port["name"] for container in pod["spec"]["containers"] for port in container["ports"]}
        assert {port["targetPort"] for port in item["spec"]["ports"]} <= names


def test_an_update_takes_no_pod_away_before_the_next_is_ready(manifests):
    for item in manifests.of_kind("Deployment"):
        assert item["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_production_has_three_gateways_or_more():
    production = Manifests("production")
    (scaler,) = production.of_kind("HorizontalPodAutoscaler")
    assert scaler["spec"]["minReplicas"] >= 3
    target = scaler["spec"]["scaleTargetRef"]
    # Its number is the autoscaler's alone.
    assert "replicas" not in production.get(target["kind"], target["name"])["spec"]
