"""The local stack: a real MLflow server, the gateway in front of it, and a key.

`make run` and `make demo` start it for a person (demo.py), the end-to-end tests for themselves. Everything it starts is
stopped with it, children of children included, and everything it writes is in one folder.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from ports import free_port

ROOT = Path(__file__).resolve().parent.parent
# MLflow starts in 15 to 22 s on two free cores, and slower on busy ones.
PATIENCE_SECONDS = 180


class Stack:
    """MLflow and the gateway as processes; a context manager."""

    # Of the keys that the stack creates.
    scopes = ("mlflow:read", "mlflow:write", "mlflow:delete")
    # Of the key that the context manager creates.
    user = "developer"

    def __init__(self, folder: Path, gateway: Path, mlflow_port: int = 0, gateway_port: int = 0, **settings: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        # Of the gateway that the context manager starts.
        self.settings = settings
        self.binary = gateway
        self.mlflow_url = f"http://127.0.0.1:{free_port(mlflow_port)}"
        # Where the gateway and its metrics are to be, where that must be known before the gateway starts.
        self.claimed = {"address": f"127.0.0.1:{free_port(gateway_port)}"} if gateway_port else {}
        # Where they are, as the running gateway says.
        self.listening: dict[str, str] = {}
        self.key_file = folder / "keys.toml"
        # Settings of the gateway that are tables.
        self.settings_file: Path | None = None
        self.processes: list[subprocess.Popen] = []

    @property
    def url(self) -> str:
        return f"http://{self._address('address')}"

    @property
    def tracking_uri(self) -> str:
        return f"{self.url}/api/mlflow"

    @property
    def metrics_url(self) -> str:
        return f"http://{self._address('metrics_address')}/metrics"

    def _address(self, name: str) -> str:
        """Of the running gateway; of one that is yet to start, and will start there, one that is claimed for it."""
        if name not in self.listening and name not in self.claimed:
            self.claimed[name] = f"127.0.0.1:{free_port()}"
        return self.listening.get(name) or self.claimed[name]

    def __enter__(self) -> Stack:
        try:
            self.start_mlflow()
            self.key = self.create_key_of(self.user)
            self.gateway = self.start_gateway(**self.settings)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start_mlflow(self, *arguments: str, artifacts: str | None = None, **environment: str) -> None:
        """Starts MLflow. One worker and no job runner: it would take seven more processes of 240 MB each."""
        command = [sys.executable, "-m", "mlflow", "server"]
        command += ["--host", "127.0.0.1", "--port", self.mlflow_url.rsplit(":", 1)[1], "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db"]
        artifacts = artifacts or f"file://{self.folder}/artifacts"
        command += ["--serve-artifacts", "--artifacts-destination", artifacts, *arguments]
        own = {
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_CRYPTO_KEK_PASSPHRASE": self.kek_passphrase(),
        }
        process = self.start("mlflow", command, own | environment)
        self.wait(process, "mlflow", f"{self.mlflow_url}/health")

    def kek_passphrase(self) -> str:
        """MLflow encrypts providers' keys with it. Kept beside the database; MLflow's default is the same everywhere."""
        file = self.folder / "kek-passphrase"
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(secrets.token_hex(32))
        return file.read_text()

    def start_gateway_over_tls(self, ca: Path, **settings: str) -> subprocess.Popen:
        """The same for a gateway that speaks TLS to its clients."""
        return self.start_gateway(ssl.create_default_context(cafile=ca), **settings)

    def start_gateway(self, tls: ssl.SSLContext | None = None, **settings: str) -> subprocess.Popen:
        """Starts the gateway, and waits until it is ready."""
        process = self.start_gateway_ready_or_not(**settings)
        url = self.url.replace("http://", "https://") if tls else self.url
        self.wait(process, "gateway", f"{url}/ready", tls)
        return process

    def start_gateway_ready_or_not(self, **settings: str) -> subprocess.Popen:
        """Starts the gateway, and waits until it listens."""
        environment = {
            "MLFLOW_SERVER_URL": self.mlflow_url,
            "HOKUSAI__SERVER__BIND": self.claimed.get("address", "127.0.0.1:0"),
            "HOKUSAI__METRICS__BIND": self.claimed.get("metrics_address", "127.0.0.1:0"),
            "HOKUSAI__AUTH__KEY_FILE__PATH": str(self.key_file),
            # Not in a folder of this machine's.
            "HOKUSAI__AUTH__SERVICE__USAGE_SPOOL": str(self.key_file.parent / "usage"),
            "HOKUSAI__SERVER__SETTLE_TIME": "0s",
            **settings,
        }
        log = self.log("gateway")
        begin = log.stat().st_size if log.exists() else 0
        told = ["--config", str(self.settings_file)] if self.settings_file else []
        process = self.start("gateway", [str(self.binary), "serve", *told], environment)
        self.listening = self._wait_until_listening(process, begin)
        return process

    def _wait_until_listening(self, process: subprocess.Popen, begin: int) -> dict[str, str]:
        """The addresses in the line of its log that says where it listens; `begin` is where its log begins."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            # The last line may be half written.
            for line in self.log("gateway").read_bytes()[begin:].split(b"\n")[:-1]:
                if b'"message":"listening"' in line:
                    addresses = json.loads(line)
                    return {name: addresses[name] for name in ("address", "metrics_address") if name in addresses}
            if process.poll() is not None:
                raise RuntimeError(f"gateway ended with {process.returncode}; see {self.log('gateway')}")
            time.sleep(0.02)
        raise RuntimeError(f"gateway did not say where it listens within {PATIENCE_SECONDS} s; see {self.log('gateway')}")

    def create_key(self, *arguments: str) -> str:
        """A new key, as `hokusai-gateway keys create` prints it."""
        command = [str(self.binary), "keys", "create", "--file", str(self.key_file), *arguments]
        return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout.strip()

    def create_key_of(self, user: str) -> str:
        """A key with the usual scopes."""
        return self.create_key("--user", user, "--test", *(f"--scope={scope}" for scope in self.scopes))

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def close(self) -> None:
        self.stop()

    def stop(self) -> None:
        """Stops the gateway before MLflow, each with its child processes."""
        for process in reversed(self.processes):
            self._stop(process)
        self.processes.clear()
        self.listening = {}

    def halt(self, process: subprocess.Popen) -> None:
        """Stops one of them."""
        self.processes.remove(process)
        self._stop(process)

    def _stop(self, process: subprocess.Popen) -> None:
        signal_group(process, signal.SIGTERM)
        try:
            process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            pass
        signal_group(process, signal.SIGKILL)
        process.wait()

    def start(self, name: str, command: list[str], environment: dict[str, str]) -> subprocess.Popen:
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def wait(self, process: subprocess.Popen, name: str, url: str, tls: ssl.SSLContext | None = None) -> None:
        """Waits until a GET of `url` succeeds."""

        def answers() -> None:
            urllib.request.urlopen(url, timeout=2, context=tls).close()

        self._wait_until(answers, process, name, f"answer at {url}")

    def wait_for_port(self, process: subprocess.Popen, name: str, host: str, port: int) -> None:
        """Waits until something accepts connections there, whatever it answers."""

        def listens() -> None:
            socket.create_connection((host, port), timeout=2).close()

        self._wait_until(listens, process, name, f"listen at {host}:{port}")

    def _wait_until(self, works: Callable[[], None], process: subprocess.Popen, name: str, what: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended with {process.returncode}; see {self.log(name)}")
            try:
                return works()
            # What urlopen raises is one too.
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"{name} did not {what} within {PATIENCE_SECONDS} s; see {self.log(name)}")


def signal_group(process: subprocess.Popen, number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass
