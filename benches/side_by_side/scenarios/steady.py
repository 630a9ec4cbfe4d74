"""How long an answer takes while there is room: all at the same rate, half of what the slower of two can do."""

from __future__ import annotations

from .. import load
from ..load import GET
from ..processes import Server
from ..proof import assert_logged
from ..results import Record
from ..testbed import Testbed
from . import Plan, in_turn
from .served import SCENARIOS, sample

NAME = "steady"
CONNECTIONS = 32
# Of a p99 there must be enough beyond it.
LEAST_SECONDS = 4
# The rate is half of the slower of these.
RATED = ("gateway", "nginx-auth")
MEASURED = ("gateway", "before", "nginx-auth", "nginx-tuned", "nginx-bare", "haproxy")


def measure(plan: Plan, bed: Testbed, servers: dict[str, Server], workers: int) -> None:
    wanted = {name: server for name, server in servers.items() if name in MEASURED}
    rate = min((_capacity(plan, server, bed, workers) for name, server in wanted.items() if name in RATED), default=0) / 2
    if not rate:
        return
    for number in range(plan.rounds):
        for name, server in in_turn(wanted, number):
            served = load.at_a_rate(server, GET, CONNECTIONS, max(plan.seconds, LEAST_SECONDS), bed.cores.rest, rate)
            if served.per_second < 0.9 * rate:
                raise load.WrongAnswer(f"{name} was asked {rate:.0f} a second and answered {served.per_second:.0f}")
            assert_logged(server, served.requests)
            figures = {"median_ms": served.median, "p99_ms": served.p99, "per_second": served.per_second}
            plan.results.add(Record(NAME, name, workers, number, figures))


def _capacity(plan: Plan, server: Server, bed: Testbed, workers: int) -> float:
    """As measured before; else now."""
    known = plan.results.spread("get-32", server.name, workers, "per_second")
    return known.median if known else sample(SCENARIOS[0], server, bed, plan.seconds)["per_second"]
