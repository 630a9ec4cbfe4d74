"""What a second worker brings: one and two of them in the same rounds, each with a core of its own where there are enough."""

from __future__ import annotations

from ..contenders.every import GATEWAY, NGINX_AUTH
from ..processes import Server
from ..results import Record
from ..testbed import Testbed
from . import KEYS, Plan, in_turn
from .served import Served, sample

NAME = "workers"
LOAD = Served(NAME, "GET, 256 connections, one worker beside two", 256)


def measure(plan: Plan, of_two: Testbed) -> None:
    with Testbed(workers=1, key_count=KEYS, binary=of_two.binary) as of_one:
        _measure(plan, {1: of_one, 2: of_two})


def _measure(plan: Plan, beds: dict[int, Testbed]) -> None:
    servers: dict[str, Server] = {}
    measured: dict[str, tuple[str, int]] = {}
    try:
        for contender in plan.among(GATEWAY.name, NGINX_AUTH.name):
            for count, bed in beds.items():
                key = f"{contender.name} {count}"
                measured[key] = contender.name, count
                servers[key] = contender.start(bed, count)
        for number in range(plan.rounds):
            for key, server in in_turn(servers, number):
                name, count = measured[key]
                plan.results.add(Record(NAME, name, count, number, sample(LOAD, server, beds[count], plan.seconds)))
    finally:
        for server in servers.values():
            server.stop()
