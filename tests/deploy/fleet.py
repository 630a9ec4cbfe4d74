"""MLflow, three gateways before it, and HAProxy before them; and how one of the gateways is restarted."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import requests
from haproxy import HAProxy
from manifests import DEFAULTS
from stack import PATIENCE_SECONDS, Stack, free_port
from traffic import Download, Transfer, Upload
from waiting import eventually

SETTLE_TIME = DEFAULTS["server"]["settle_time"]
# What is in the lines of its log. HAProxy's questions at /ready have lines too.
DRAINING = '"message":"no new connections, transfers in flight may finish"'
METADATA = '"path":"/api/2.0/mlflow/'


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


def lines(gateway: Stack, text: str) -> list[int]:
    """How often each process of a gateway, one after the other, has logged this."""
    processes = gateway.log("gateway").read_text().split('"message":"listening"')
    return [process.count(text) for process in processes[1:]]


def wait_for(what: str, is_so: Callable[[], object]) -> None:
    eventually(is_so, what, PATIENCE_SECONDS)


class Fleet:
    """All of them as processes; a context manager."""

    def __init__(self, folder: Path, binary: Path) -> None:
        self.mlflow = Stack(folder / "mlflow", binary)
        self.gateways = {f"gateway-{n}": Stack(folder / f"gateway-{n}", binary, gateway_port=free_port()) for n in (1, 2, 3)}
        self.running = {}
        self.numbers = itertools.count()

    def __enter__(self) -> Fleet:
        try:
            self.mlflow.start_mlflow()
            self.key = self.mlflow.create_key("--user", "ada", "--scope=mlflow:read", "--scope=mlflow:write")
            for name, gateway in self.gateways.items():
                gateway.mlflow_url, gateway.key_file = self.mlflow.mlflow_url, self.mlflow.key_file
                self.start(name)
            self.haproxy = HAProxy(self.mlflow, list(self.gateways.values()), self.mlflow.folder)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # Without the settle time, which is for balancers.
        for process in self.running.values():
            process.send_signal(signal.SIGINT)
        for stack in (*self.gateways.values(), self.mlflow):
            stack.stop()

    def start(self, name: str) -> None:
        settings = {"HOKUSAI__SERVER__SETTLE_TIME": SETTLE_TIME, "HOKUSAI__SERVER__TRUSTED_PROXIES": "127.0.0.1/32"}
        self.running[name] = self.gateways[name].start_gateway(**settings)

    def new_run(self) -> str:
        url = f"{self.haproxy.url}/api/2.0/mlflow/runs/create"
        response = requests.post(url, json={"experiment_id": "0"}, headers=self.bearer(), timeout=60)
        return response.json()["run"]["info"]["run_id"]

    def parameters(self, run_id: str) -> set[str]:
        url = f"{self.mlflow.mlflow_url}/api/2.0/mlflow/runs/get"
        found = requests.get(url, params={"run_id": run_id}, timeout=60).json()["run"]["data"]
        return {parameter["key"] for parameter in found.get("params", [])}

    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def transfers_at(self, name: str, upload: bytes, down: tuple[str, int]) -> list[Transfer]:
        """Transfers that are under way, begun one after the other until this gateway has some in either direction."""
        begun: list[Transfer] = []
        while missing := {Upload, Download} - {type(transfer) for transfer in begun if transfer.gateway == name}:
            assert len(begun) < 24, f"HAProxy gives {name} nothing"
            transfer: Transfer
            if Upload in missing:
                transfer = Upload(self.haproxy.url, self.key, f"up-{next(self.numbers)}", upload)
            else:
                transfer = Download(self.haproxy.url, self.key, *down)
            begun.append(transfer)
            transfer.start()
            wait_for("a transfer begins", lambda: transfer.moved or transfer.done.is_set())
            wait_for("HAProxy tells where it is", lambda: self.where(transfer))
        return begun

    def where(self, transfer: Transfer) -> bool:
        transfer.gateway = self.haproxy.gateway_of(transfer.port)
        return transfer.gateway is not None or transfer.done.is_set()

    def restart(self, name: str, transfers: list[Transfer]) -> Restart:
        """Restarts a gateway, and releases the transfers when it has begun to drain."""
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
