"""What is measured, one file for each kind of load. Every round goes through all contenders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..contenders import Contender
from ..processes import Server
from ..results import Results
from ..testbed import Testbed

# Keys that are known to all contenders.
KEYS = 1000


@dataclass(frozen=True)
class Plan:
    """What of all is wanted."""

    contenders: list[Contender]
    scenarios: list[str]
    rounds: int
    seconds: int
    results: Results

    def among(self, *names: str) -> list[Contender]:
        return [contender for contender in self.contenders if contender.name in names]


@contextmanager
def running(bed: Testbed, contenders: list[Contender], workers: int) -> Iterator[dict[str, Server]]:
    """All of them at once; who has nothing to do costs the others next to nothing."""
    servers: dict[str, Server] = {}
    try:
        for contender in contenders:
            servers[contender.name] = contender.start(bed, workers)
        yield servers
    finally:
        for server in servers.values():
            server.stop()


def in_turn(servers: dict[str, Server], number: int) -> list[tuple[str, Server]]:
    """There and back again: nobody always comes behind the same one."""
    return list(servers.items()) if number % 2 == 0 else list(reversed(servers.items()))
