"""The whole run: for each number of workers all scenarios, each of them round by round through all contenders."""

from __future__ import annotations

from .scenarios import KEYS, Plan, connections, owned, real, running, served, steady, streams, workers
from .testbed import Testbed

SERVED = {scenario.name: scenario for scenario in served.SCENARIOS}
# By name, in the order of measuring.
SCENARIOS = [*SERVED, steady.NAME, streams.DOWN, streams.UP, workers.NAME, connections.LOADED, connections.IDLE, owned.NAME, real.NAME]


def run(plan: Plan, counts: list[int]) -> None:
    for count in counts:
        with Testbed(workers=count, key_count=KEYS) as bed:
            print(f"{count} {'worker' if count == 1 else 'workers'}: {bed.cores}", flush=True)
            _run(plan, bed, count)


def _run(plan: Plan, bed: Testbed, count: int) -> None:
    wanted = [name for name in plan.scenarios if count in _counts(name)]
    if at_once := [name for name in wanted if name in SERVED or name in (steady.NAME, streams.DOWN, streams.UP)]:
        with running(bed, plan.contenders, count) as servers:
            for name in at_once:
                if name in SERVED:
                    served.measure(plan, SERVED[name], bed, servers, count)
                elif name == steady.NAME:
                    steady.measure(plan, bed, servers, count)
                else:
                    streams.measure(plan, name, bed, servers, count)
    if workers.NAME in wanted:
        workers.measure(plan, bed)
    for name in (connections.LOADED, connections.IDLE):
        if name in wanted:
            connections.measure(plan, name, bed, count)
    if owned.NAME in wanted:
        owned.measure(plan)
    if real.NAME in wanted:
        real.measure(plan, bed, count)


def _counts(name: str) -> tuple[int, ...]:
    """At how many workers a scenario says something."""
    if name == workers.NAME:
        # One and two, with the cores of two.
        return (2,)
    if name in SERVED:
        return SERVED[name].workers
    return (1, 2) if name in (connections.LOADED, connections.IDLE) else (1,)
