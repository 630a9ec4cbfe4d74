"""An MLflow with things of alice, of bob and of nobody, and a gateway in each mode of ownership before it."""

import contextlib
import json
import os
import sqlite3
from pathlib import Path

import pytest
import requests
from stack import Stack
from versions import NEXT, PINNED
from waiting import eventually

from .world import Nothing, Server, Things

FENCES = {"none": "", "in": 'models = ["in-*"]\nexperiments = ["in/*"]\n', "nothing": "models = []\nexperiments = []\n"}
SETTINGS = {"HOKUSAI__LIMITS__MODE": "off", "HOKUSAI__MLFLOW__DIRECT_ARTIFACTS": "allow"}
MODES = {
    "off": {"HOKUSAI__POLICY__OWNERSHIP": "off"},
    "report": {"HOKUSAI__POLICY__OWNERSHIP": "report"},
    "enforce": {"HOKUSAI__POLICY__OWNERSHIP": "enforce"},
    "closed": {"HOKUSAI__POLICY__OWNERSHIP": "enforce", "HOKUSAI__POLICY__UNOWNED": "closed"},
}
BOBS_SCOPES = ("mlflow:read", "mlflow:write", "mlflow:delete")


class World:
    def __init__(self, running: Stack, version) -> None:
        self.running, self.version = running, version
        self.server = Server(running.mlflow_url, running.folder)
        self.keys = {
            (user, fence): self._key(user, scopes, text)
            for user, scopes in [("bob", BOBS_SCOPES), ("root", ("mlflow:admin",))]
            for fence, text in FENCES.items()
        }
        self.gateways = {mode: self._gateway(mode) for mode in MODES}
        self.session = requests.Session()
        self.database = sqlite3.connect(f"file:{running.folder}/mlflow.db?mode=ro", uri=True, isolation_level=None)
        owners = {"own": "bob", "other": "alice", "unowned": None}
        self.things = {(who, place): Things(self.server, owner, place) for who, owner in owners.items() for place in ("in", "out")}
        self.things |= {("missing", place): Nothing(self.server, None, place) for place in ("in", "out")}
        self.said_before = 0

    def _key(self, user: str, scopes: tuple[str, ...], fence: str) -> str:
        key = self.running.create_key("--user", user, "--test", *(f"--scope={scope}" for scope in scopes))
        # A new key is the last of the file.
        with self.running.key_file.open("a") as file:
            file.write(fence)
        return key

    def _gateway(self, mode: str) -> Stack:
        gateway = Stack(self.running.folder / mode, self.running.binary)
        gateway.mlflow_url, gateway.key_file = self.running.mlflow_url, self.running.key_file
        gateway.start_gateway(**SETTINGS, **MODES[mode])
        return gateway

    def ask(self, case, method: str, path: str, request, request_id: str) -> requests.Response:
        key = self.keys["root" if case.is_administrator else "bob", case.fence]
        headers = {"Authorization": f"Bearer {key}", "X-Request-Id": request_id} | request.headers
        parts = {"params": request.params, "json": request.json, "data": request.data}
        return self.session.request(method, self.gateways[case.mode].tracking_uri + path, headers=headers, timeout=60, **parts)

    def state(self) -> tuple:
        """Differs whenever MLflow has changed anything in its database, or a file."""
        files = []
        for folder, _, names in os.walk(self.server.artifacts):
            for name in names:
                about = os.stat(os.path.join(folder, name))
                files.append((folder, name, about.st_size, about.st_mtime_ns))
        return self.database.execute("PRAGMA data_version").fetchone(), sorted(files)

    def reported(self, expected: set[str]) -> set[str]:
        """The ids of the requests since the last time that the gateway in the mode `report` would have denied."""
        log: Path = self.gateways["report"].log("gateway")
        told = b'"message":"ownership would have denied this"'

        def lines() -> set[str]:
            found = (line for line in log.read_bytes()[self.said_before :].splitlines() if told in line)
            return {json.loads(line)["request_id"] for line in found}

        with contextlib.suppress(AssertionError):
            eventually(lambda: expected <= lines(), seconds=2)
        found, self.said_before = lines(), log.stat().st_size
        return found

    def close(self) -> None:
        for gateway in self.gateways.values():
            gateway.close()
        self.running.close()


@pytest.fixture(scope="module", params=[NEXT, PINNED], ids=str)
def world(request, tmp_path_factory, stack):
    with contextlib.ExitStack() as held:
        running = held.enter_context(contextlib.closing(Stack(tmp_path_factory.mktemp("ownership"), stack.binary)))
        running.start_mlflow(**request.param.environment())
        yield held.enter_context(contextlib.closing(World(running, request.param)))
