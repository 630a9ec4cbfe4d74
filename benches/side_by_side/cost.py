"""What a server costs: CPU time and memory of its whole process tree."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from .processes import Server


@dataclass(frozen=True)
class Memory:
    """In KiB, summed over the processes; what they share counts once for each."""

    resident: int
    # The most that there ever was.
    peak: int


def cpu_seconds(server: Server) -> float:
    """User and system time so far, threads that have ended included, in nanoseconds' resolution."""
    return sum(_cpu_of(pid) for pid in server.pids())


def memory(server: Server) -> Memory:
    fields = [_status(pid) for pid in server.pids()]
    return Memory(sum(of["VmRSS"] for of in fields), sum(of["VmHWM"] for of in fields))


def forget_peak(server: Server) -> None:
    """The peak counts from here on."""
    for pid in server.pids():
        Path(f"/proc/{pid}/clear_refs").write_text("5")


class Meter:
    """`with Meter(server) as cost: …`; then `cost.cpu` and `cost.seconds`."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.cpu = self.seconds = 0.0

    def __enter__(self) -> Meter:
        self.cpu, self.seconds = -cpu_seconds(self.server), -time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu += cpu_seconds(self.server)
        self.seconds += time.monotonic()


def _cpu_of(pid: int) -> float:
    # The CPU clock of another process, as clock_getcpuclockid(3) makes its number; the same time that
    # /proc/PID/stat shows in ticks of 10 ms.
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _status(pid: int) -> dict[str, int]:
    sizes = {"VmRSS": 0, "VmHWM": 0}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in sizes:
            sizes[name] = int(value.split()[0])
    return sizes
