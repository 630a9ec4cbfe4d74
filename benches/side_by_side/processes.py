"""Servers as processes: started on their cores in a session of their own, and stopped with all that they started."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from scripts.ports import free_port as free_port

PATIENCE_SECONDS = 180


@dataclass
class Server:
    """A server that runs, with what a client needs to know of it."""

    name: str
    # Where MLflow's own paths begin: http://127.0.0.1:1234/api/mlflow
    base: str
    process: subprocess.Popen
    # What the server wrote to standard output and standard error.
    output: Path
    # The value of Authorization that it takes.
    authorization: str = ""
    # Where it writes a line for each request, if it does.
    request_log: Path | None = None
    # Where its own metrics are, if it has any.
    metrics: str = ""
    # Of every key that it knows, for loads of many keys.
    authorizations: list[str] = field(default_factory=list)

    @property
    def pid(self) -> int:
        return self.process.pid

    def pids(self) -> list[int]:
        """The process and all that descend from it, as of now."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and (parent := _parent(entry)) is not None:
                children.setdefault(parent, []).append(int(entry.name))
        tree = [self.pid]
        for pid in tree:
            tree += children.get(pid, [])
        return tree

    def stop(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.pid, number)
                self.process.wait(timeout=1)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        self.process.wait()


def start(
    name: str,
    command: list[object],
    base: str,
    folder: Path,
    cores: frozenset[int],
    environment: dict[str, str] | None = None,
    answers_at: str = "",
) -> Server:
    """Starts a server and waits until it listens, or until `answers_at` (a URL) is a 200.

    What it writes to standard output is appended to `{folder}/{name}.out`, so that the file may be emptied under way.
    """
    output = folder / f"{name}.out"
    with output.open("ab") as out:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            env=os.environ | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),  # noqa: PLW1509: this process has one thread
        )
    server = Server(name, base, process, output)
    try:
        _wait(server, answers_at)
    except BaseException:
        server.stop()
        raise
    return server


def raise_open_files() -> None:
    """As many as this user may have: ten thousand connections need a file each. Children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _parent(entry: Path) -> int | None:
    try:
        # The name in parentheses may hold anything.
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return None


def _wait(server: Server, answers_at: str) -> None:
    host, port = server.base.split("/")[2].split(":")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        try:
            if answers_at:
                urllib.request.urlopen(answers_at, timeout=2).close()
            else:
                socket.create_connection((host, int(port)), timeout=2).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"{server.name} did not start; its last words:\n{server.output.read_text()[-2000:]}")
