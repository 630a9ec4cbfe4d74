"""The whole run: for each number of workers all scenarios, each of them round by round through all contenders."""

from __future__ import annotations

from .scenarios import KEYS, Plan, connections, real, running, served, steady, streams
from .testbed import Testbed

SERVED = {scenario.name: scenario for scenario in served.SCENARIOS}
# By name, in the order of measuring.
SCENARIOS = [*SERVED, steady.NAME, streams.DOWN, streams.UP, connections.LOADED, connections.IDLE, real.NAME]


def run(plan: Plan, workers: list[int]) -> None:
    for count in workers:
        with Testbed(workers=count, key_count=KEYS) as bed:
            print(f"{count} {'worker' if count == 1 else 'workers'}: {bed.cores}", flush=True)
            _run(plan, bed, count)


def _run(plan: Plan, bed: Testbed, workers: int) -> None:
    wanted = [name for name in plan.scenarios if workers in _workers(name)]
    if at_once := [name for name in wanted if name in SERVED or name in (steady.NAME, streams.DOWN, streams.UP)]:
        with running(bed, plan.contenders, workers) as servers:
            for name in at_once:
                if name in SERVED:
                    served.measure(plan, SERVED[name], bed, servers, workers)
                elif name == steady.NAME:
                    steady.measure(plan, bed, servers, workers)
                else:
                    streams.measure(plan, name, bed, servers, workers)
    for name in (connections.LOADED, connections.IDLE):
        if name in wanted:
            connections.measure(plan, name, bed, workers)
    if real.NAME in wanted:
        real.measure(plan, bed, workers)


def _workers(name: str) -> tuple[int, ...]:
    """At how many a scenario says something."""
    if name in SERVED:
        return SERVED[name].workers
    return (1, 2) if name in (connections.LOADED, connections.IDLE) else (1,)
