"""The compose file, as far as it can be looked at without the registries that its images come from."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from commands import run
from stack import ROOT

FILE = ROOT / "deploy" / "compose.yml"
HIDDEN = ["mlflow", "postgres", "store", "redis"]


PASSPHRASE = "MLFLOW_CRYPTO_KEK_PASSPHRASE"


def read(environment: dict[str, str]) -> subprocess.CompletedProcess:
    """As compose reads it: merges resolved, shorthands written out."""
    command = [Path(sys.executable).with_name("podman-compose"), "-f", FILE, "config"]
    others = {name: value for name, value in os.environ.items() if name != PASSPHRASE}
    return subprocess.run(command, env=others | environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def compose():
    done = read({PASSPHRASE: "obviously-a-passphrase-of-a-test"})
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


def test_what_seals_the_providers_keys_is_asked_for_and_not_written_here(compose):
    """By default it is a passphrase that everybody knows."""
    assert compose["services"]["mlflow"]["environment"][PASSPHRASE] == "obviously-a-passphrase-of-a-test"
    without = read({})
    assert without.returncode != 0 or (FILE.parent / ".env").exists()
    assert "/deploy/.env" in (ROOT / ".gitignore").read_text().split()


def seconds(duration: str) -> int:
    return int(re.fullmatch(r"(\d+)s", duration)[1])


@pytest.mark.parametrize("service", HIDDEN)
def test_what_stands_behind_the_gateway_has_no_published_port(compose, service):
    assert "ports" not in compose["services"][service]


def test_what_is_published_is_published_on_loopback_only(compose):
    ports = [str(port) for service in compose["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports), ports


def test_only_the_gateway_is_on_mlflows_network(compose):
    on = [name for name, service in compose["services"].items() if "mlflow" in (service.get("networks") or {})]
    assert sorted(on) == ["gateway", "mlflow"]
    for network in ("mlflow", "redis", "data"):
        assert compose["networks"][network]["internal"] is True


@pytest.mark.parametrize("service", ["gateway", "mlflow", "key"])
def test_our_own_containers_are_read_only_and_have_no_capabilities(compose, service):
    service = compose["services"][service]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])


def test_the_gateway_gets_more_time_to_stop_than_it_takes(compose):
    defaults = (ROOT / "config" / "default.toml").read_text()
    drain = sum(seconds(re.search(rf'^{key} = "(\w+)"$', defaults, re.MULTILINE)[1]) for key in ("settle_time", "drain_grace"))
    assert seconds(compose["services"]["gateway"]["stop_grace_period"]) > drain


def test_every_image_of_others_is_of_one_version(compose):
    images = {service["image"] for service in compose["services"].values()} - {"hokusai-gateway", "hokusai-mlflow"}
    assert images and all(re.search(r":\D*\d", image.rsplit("/", 1)[1]) for image in images), images


def test_every_file_that_is_mounted_is_there(compose):
    mounts = [str(volume) for service in compose["services"].values() for volume in service.get("volumes", [])]
    files = [mount.split(":")[0] for mount in mounts if mount.startswith(".")]
    assert len(files) == 5
    assert all((FILE.parent / file).exists() for file in files), files


def test_the_key_is_made_and_printed_once_and_the_gateways_settings_are_good(compose, binary, tmp_path):
    [script] = compose["services"]["key"]["command"]
    script = script.replace("/keys/", f"{tmp_path}/").replace("hokusai-gateway", str(binary))
    first, second = (subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True) for _ in range(2))
    assert first.stdout.startswith("hk_test_") and second.stdout == ""

    settings = dict(compose["services"]["gateway"]["environment"])
    settings["HOKUSAI__AUTH__KEY_FILE__PATH"] = str(tmp_path / "keys.toml")
    report = run(binary, ["check"], tmp_path, settings)
    assert (report.code, report.said["problems"]) == (0, [])


def test_mlflow_allows_the_host_that_the_gateway_sends(compose):
    url = compose["services"]["gateway"]["environment"]["HOKUSAI__MLFLOW__URL"]
    allowed = compose["services"]["mlflow"]["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"]
    assert url.removeprefix("http://") in allowed.split(",")
