"""Three gateways behind HAProxy are restarted one after the other, under load: nothing is lost."""

import hashlib
import itertools
import os
import re
import shutil
import signal
import time
from dataclasses import dataclass, field

import pytest
import requests
from haproxy import CONFIG, HAProxy
from manifests import DEFAULTS, seconds
from stack import PATIENCE_SECONDS, Stack
from traffic import Download, Metadata, Transfer, Upload

pytestmark = pytest.mark.skipif(not shutil.which("haproxy"), reason="there is no haproxy: NOT tested is a rolling restart")

MIB = 1024 * 1024
SETTLE_TIME = DEFAULTS["server"]["settle_time"]
DRAINING = "no new connections, transfers in flight may finish"


@dataclass
class Restart:
    """What was seen of the restart of one gateway."""

    gateway: str
    pids: tuple[int, int] = (0, 0)
    exit_code: int | None = None
    up_at_drain: bool = True
    # What was under way at it when it was told to stop, and still when it began to drain.
    at_sigterm: list[Transfer] = field(default_factory=list)
    at_drain: list[Transfer] = field(default_factory=list)
    # Requests for metadata that were answered from its SIGTERM to its being back.
    answered: int = 0


@dataclass
class Rolled:
    restarts: list[Restart] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)
    metadata: list[Metadata] = field(default_factory=list)
    # The parameters that MLflow has of each client's run.
    stored: list[set[str]] = field(default_factory=list)
    # What each gateway logged of its requests, before and after its restart.
    requests: dict[str, list[int]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)


def lines(gateway: Stack, message: str) -> list[int]:
    """How often each process of a gateway, one after the other, has logged this."""
    processes = gateway.log("gateway").read_text().split('"message":"listening"')
    return [process.count(f'"message":"{message}"') for process in processes[1:]]


def wait_for(what: str, is_so) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


class Site:
    """MLflow, three gateways and HAProxy."""

    def __init__(self, folder, binary, config=CONFIG):
        self.mlflow = Stack(folder / "mlflow", binary)
        self.gateways = {f"gateway-{n}": Stack(folder / f"gateway-{n}", binary) for n in (1, 2, 3)}
        self.running = {}
        self.config, self.numbers = config, itertools.count()

    def __enter__(self):
        try:
            self.mlflow.start_mlflow()
            self.key = self.mlflow.create_key("--user", "ada", "--scope=mlflow:read", "--scope=mlflow:write")
            for name, gateway in self.gateways.items():
                gateway.mlflow_url, gateway.key_file = self.mlflow.mlflow_url, self.mlflow.key_file
                self.start(name)
            self.haproxy = HAProxy(self.mlflow, list(self.gateways.values()), self.mlflow.folder, self.config)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        # Without the settle time, which is for balancers.
        for process in self.running.values():
            process.send_signal(signal.SIGINT)
        for stack in (*self.gateways.values(), self.mlflow):
            stack.stop()

    def start(self, name):
        settings = {"HOKUSAI__SERVER__SETTLE_TIME": SETTLE_TIME, "HOKUSAI__SERVER__TRUSTED_PROXIES": "127.0.0.1/32"}
        self.running[name] = self.gateways[name].start_gateway(**settings)

    def new_run(self):
        url = f"{self.haproxy.url}/api/2.0/mlflow/runs/create"
        response = requests.post(url, json={"experiment_id": "0"}, headers=self.bearer(), timeout=60)
        return response.json()["run"]["info"]["run_id"]

    def parameters(self, run_id):
        url = f"{self.mlflow.mlflow_url}/api/2.0/mlflow/runs/get"
        found = requests.get(url, params={"run_id": run_id}, timeout=60).json()["run"]["data"]
        return {parameter["key"] for parameter in found.get("params", [])}

    def bearer(self):
        return {"Authorization": f"Bearer {self.key}"}

    def transfers_at(self, name, upload, down):
        """Transfers under way, begun one after the other until this gateway has some in either direction."""
        begun = []
        while {type(transfer) for transfer in begun if transfer.gateway == name} != {Upload, Download}:
            assert len(begun) < 24, f"HAProxy gives {name} nothing"
            number = next(self.numbers)
            if number % 2:
                transfer = Upload(self.haproxy.url, self.key, f"up-{number}", upload)
            else:
                transfer = Download(self.haproxy.url, self.key, *down)
            transfer.gateway = None
            begun.append(transfer)
            transfer.start()
            wait_for("a transfer begins", lambda: transfer.moved or transfer.done.is_set())
            wait_for("HAProxy tells where it is", lambda: self.where(transfer))
        return begun

    def where(self, transfer):
        transfer.gateway = self.haproxy.gateway_of(transfer.port)
        return transfer.gateway or transfer.done.is_set()

    def restart(self, name, transfers):
        process, gateway = self.running[name], self.gateways[name]
        restart = Restart(name)
        mine = [transfer for transfer in transfers if transfer.gateway == name]
        restart.at_sigterm = [transfer for transfer in mine if transfer.is_under_way()]
        os.kill(process.pid, signal.SIGTERM)
        wait_for("the gateway drains", lambda: lines(gateway, DRAINING)[-1])
        restart.up_at_drain = self.haproxy.is_up(name)
        restart.at_drain = [transfer for transfer in mine if transfer.is_under_way()]
        for transfer in transfers:
            transfer.released.set()
        restart.exit_code = process.wait(PATIENCE_SECONDS)
        gateway.processes.remove(process)
        self.start(name)
        self.haproxy.wait_until_up(name)
        restart.pids = process.pid, self.running[name].pid
        return restart


@pytest.fixture(scope="module")
def rolled(binary, tmp_path_factory):
    upload, download = os.urandom(32 * MIB), os.urandom(64 * MIB)
    with Site(tmp_path_factory.mktemp("rolling"), binary) as site:
        done = Rolled(digests={"up": hashlib.sha256(upload).hexdigest(), "down": hashlib.sha256(download).hexdigest()})
        requests.put(
            f"{site.haproxy.url}/api/2.0/mlflow-artifacts/artifacts/down", data=download, headers=site.bearer(), timeout=60
        ).raise_for_status()
        done.metadata = [Metadata(site.haproxy.url, site.key, site.new_run(), n % 2 == 0) for n in range(4)]
        for client in done.metadata:
            client.start()
        for name in site.gateways:
            transfers = site.transfers_at(name, upload, ("down", len(download)))
            done.transfers += transfers
            before = sum(client.answered for client in done.metadata)
            restart = site.restart(name, transfers)
            restart.answered = sum(client.answered for client in done.metadata) - before
            done.restarts.append(restart)
            for transfer in transfers:
                transfer.join()
        last = site.gateways[name]
        wait_for("the last one gets requests", lambda: lines(last, "request")[-1] > 10)
        for client in done.metadata:
            client.stopping.set()
            client.join()
        done.stored = [site.parameters(client.run_id) for client in done.metadata]
        for transfer in done.transfers:
            if isinstance(transfer, Upload):
                stored = site.mlflow.folder / "artifacts" / transfer.name
                done.digests[transfer.name] = hashlib.sha256(stored.read_bytes()).hexdigest()
        for name, gateway in site.gateways.items():
            done.requests[name] = lines(gateway, "request")
        return done


def test_no_request_for_metadata_fails(rolled):
    assert [failure for client in rolled.metadata for failure in client.failures] == []


def test_each_parameter_that_was_logged_is_there_and_no_other(rolled):
    assert rolled.stored == [client.logged for client in rolled.metadata]


def test_no_transfer_fails(rolled):
    assert [(type(t).__name__, t.gateway, t.status, t.failures) for t in rolled.transfers if t.failures or t.status != 200] == []


def test_each_upload_arrives_whole(rolled):
    assert {rolled.digests[t.name] for t in rolled.transfers if isinstance(t, Upload)} == {rolled.digests["up"]}


def test_each_download_arrives_whole(rolled):
    assert {t.digest.hexdigest() for t in rolled.transfers if isinstance(t, Download)} == {rolled.digests["down"]}


def test_each_gateway_ends_well_and_another_process_takes_its_place(rolled):
    assert [restart.gateway for restart in rolled.restarts] == ["gateway-1", "gateway-2", "gateway-3"]
    assert all(restart.exit_code == 0 for restart in rolled.restarts)
    assert all(len(set(restart.pids)) == 2 for restart in rolled.restarts)


@pytest.mark.parametrize("moment", ["at_sigterm", "at_drain"])
def test_an_upload_and_a_download_are_under_way(rolled, moment):
    for restart in rolled.restarts:
        assert {type(transfer) for transfer in getattr(restart, moment)} == {Upload, Download}, restart.gateway


def test_metadata_goes_on_during_each_restart(rolled):
    assert all(restart.answered > 50 for restart in rolled.restarts), [restart.answered for restart in rolled.restarts]


def test_haproxy_spreads_requests_over_all_three_before_and_after(rolled):
    assert all(before > 10 and after > 10 for before, after in rolled.requests.values()), rolled.requests


def test_haproxy_has_noticed_when_a_gateway_stops_taking_requests(rolled):
    assert not any(restart.up_at_drain for restart in rolled.restarts)


def test_haproxy_notices_within_the_settle_time_at_the_worst():
    text = CONFIG.read_text()
    inter, fall = re.search(r"inter (\w+) fall (\d+)", text).groups()
    (patience,) = re.findall(r"timeout check (\w+)", text)
    assert int(fall) * (seconds(inter) + seconds(patience)) < seconds(SETTLE_TIME)
