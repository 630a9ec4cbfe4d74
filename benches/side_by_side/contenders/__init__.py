"""The proxies that are measured: one file for each program, all with the same way to start."""

from __future__ import annotations

from typing import Protocol

from ..processes import Server
from ..testbed import Testbed


class Contender(Protocol):
    # In file names and on the command line.
    name: str
    # In tables.
    title: str

    def start(self, bed: Testbed, workers: int) -> Server: ...
