"""A gibibyte down, and up: what it costs to pass bytes on."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ..cost import Meter, forget_peak, memory
from ..load import WrongAnswer, pinned
from ..processes import Server
from ..results import Record
from ..testbed import Testbed
from ..upstream import ARTIFACTS, GIBIBYTE
from . import Plan, in_turn

DOWN, UP = "down", "up"
MEASURED = ("gateway", "before", "gateway-service", "before-service", "nginx-auth", "nginx-bare", "nginx-large")
MEASURED += ("haproxy", "haproxy-splice", "caddy", "fastapi")


def measure(plan: Plan, direction: str, bed: Testbed, servers: dict[str, Server], workers: int) -> None:
    wanted = {name: server for name, server in servers.items() if name in MEASURED}
    file = bed.upstream.make_file("gibibyte")
    for number in range(plan.rounds):
        for name, server in in_turn(wanted, number):
            figures = _download(server, bed) if direction == DOWN else _upload(server, bed, file)
            plan.results.add(Record(direction, name, workers, number, figures))


def _download(server: Server, bed: Testbed) -> dict[str, float]:
    return _curl(server, bed, "size_download", "-o", "/dev/null", f"{server.base}{ARTIFACTS}/gibibyte")


def _upload(server: Server, bed: Testbed, file: Path) -> dict[str, float]:
    # No waiting for a 100 Continue.
    arguments = ["-H", "Expect:", "-o", "/dev/null", "-T", str(file), f"{server.base}{ARTIFACTS}/uploaded"]
    figures = _curl(server, bed, "size_upload", *arguments)
    if (size := bed.upstream.take_upload("uploaded")) != GIBIBYTE:
        raise WrongAnswer(f"{server.name}: {size} bytes arrived")
    return figures


def _curl(server: Server, bed: Testbed, size: str, *arguments: str) -> dict[str, float]:
    forget_peak(server)
    command = ["curl", "-sS", "-w", "%{http_code} %{" + size + "} %{time_total}"]
    command += ["-H", f"Authorization: {server.authorization}", *arguments]
    with Meter(server) as cost:
        done = subprocess.run(pinned(command, bed.cores.rest), capture_output=True, text=True, timeout=120, check=False)
    status, moved, seconds = (done.stdout.split() + ["", "", ""])[:3]
    if done.returncode or status not in ("200", "201", "204") or int(moved) != GIBIBYTE:
        raise WrongAnswer(f"{server.name}: {done.stdout} {done.stderr}")
    return {"cpu_s": cost.cpu, "seconds": float(seconds), "peak_mib": memory(server).peak / 1024}
