"""Which cores are whose. A load generator that takes turns with the proxy on one core measures the scheduler."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Cores:
    """Where the proxy runs, and where everything else does: the upstream and the load."""

    proxy: frozenset[int]
    rest: frozenset[int]

    @property
    def apart(self) -> bool:
        return not self.proxy & self.rest

    def __str__(self) -> str:
        def named(cores: frozenset[int]) -> str:
            return ("core " if len(cores) == 1 else "cores ") + ", ".join(map(str, sorted(cores)))

        return f"proxy on {named(self.proxy)}, upstream and load on {named(self.rest)}" if self.apart else "nothing pinned"


def share_out(workers: int) -> Cores:
    """One core for each worker and the rest for the others; where none would be left, all share all."""
    every = sorted(os.sched_getaffinity(0))
    if len(every) <= workers:
        return Cores(frozenset(every), frozenset(every))
    return Cores(frozenset(every[:workers]), frozenset(every[workers:]))
