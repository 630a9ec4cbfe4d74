"""Small requests, as fast as each contender takes them."""

from __future__ import annotations

from dataclasses import dataclass

from .. import load
from ..cost import Meter
from ..load import GET, POST, Request
from ..processes import Server
from ..proof import assert_logged, assert_nothing_dropped, reported_percent, usage_reports, usage_settled
from ..results import Record
from ..testbed import Testbed
from ..upstream import SMALL
from . import Plan, in_turn


@dataclass(frozen=True)
class Served:
    name: str
    title: str
    connections: int
    request: Request = GET
    # "one", "thousand" in turn, or "cold": each a new one.
    keys: str = "one"
    # Numbers of workers at which it is measured.
    workers: tuple[int, ...] = (1,)


SCENARIOS = [
    Served("get-32", "GET, 32 connections", 32, workers=(1, 2)),
    Served("get-1", "GET, 1 connection", 1),
    Served("get-256", "GET, 256 connections", 256, workers=(1, 2)),
    Served("post-32", "POST of 200 bytes, 32 connections", 32, POST),
    Served("keys-32", "GET, 1,000 keys in turn, 32 connections", 32, keys="thousand"),
    Served("cold-32", "GET, every key a new one, 32 connections", 32, keys="cold"),
]
# These ask an auth service about a new key; the others only know their own.
ASK = ("gateway-service", "before-service", "gateway-silent", "nginx-auth", "nginx-tuned", "caddy", "fastapi")
# Measured with streams only.
STREAMS_ONLY = ("nginx-large", "haproxy-splice")


def measure(plan: Plan, scenario: Served, bed: Testbed, servers: dict[str, Server], workers: int) -> None:
    wanted = {name: server for name, server in servers.items() if name not in STREAMS_ONLY}
    if scenario.keys == "cold":
        wanted = {name: server for name, server in wanted.items() if name in ASK}
    for server in wanted.values():
        if load.ask_once(server, scenario.request).decode() != SMALL:
            raise load.WrongAnswer(f"{server.name}: another body than the upstream's")
    for number in range(plan.rounds):
        for name, server in in_turn(wanted, number):
            plan.results.add(Record(scenario.name, name, workers, number, sample(scenario, server, bed, plan.seconds)))


def sample(scenario: Served, server: Server, bed: Testbed, seconds: int) -> dict[str, float]:
    # A verdict that has run out since the last round is asked for here, where it is not counted.
    load.ask_once(server, scenario.request)
    keys = server.authorizations if scenario.keys == "thousand" else None
    cold = scenario.keys == "cold"
    reports = usage_reports(server)
    with Meter(server) as cost:
        served = load.as_fast_as_it_goes(
            server, scenario.request, scenario.connections, seconds, bed.cores.rest, keys, cold
        )
    assert_logged(server, served.requests)
    if server.metrics:
        assert_nothing_dropped(server)
    figures = {
        "cpu_us": cost.cpu / served.requests * 1e6,
        "per_second": served.per_second,
        "median_ms": served.median,
        "p99_ms": served.p99,
        "cores": cost.cpu / cost.seconds,
    }
    if now := usage_settled(server, reports, served.requests):
        figures["reported_percent"] = reported_percent(reports, now)
    return figures
