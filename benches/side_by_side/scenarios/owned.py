"""What owners cost: a log-batch whose run and experiment are remembered, on one gateway that judges them and one that does not."""

from __future__ import annotations

from ..contenders.every import GATEWAY, OWNED
from ..load import LOG_BATCH
from ..processes import Server
from ..results import Record
from ..testbed import Testbed
from . import KEYS, Plan, in_turn
from .served import Served, sample

NAME = "log-batch"
LOAD = Served(NAME, "log-batch of 100 metrics, 32 connections", 32, LOG_BATCH)
# `policy.ownership` of each.
MODES = {GATEWAY.name: "off", OWNED: "enforce"}


def measure(plan: Plan) -> None:
    if not plan.among(GATEWAY.name):
        return
    with Testbed(workers=1, key_count=KEYS) as bed:
        servers: dict[str, Server] = {}
        try:
            for name, mode in MODES.items():
                servers[name] = GATEWAY.named(name).start(bed, 1, HOKUSAI__POLICY__OWNERSHIP=mode)
            for number in range(plan.rounds):
                for name, server in in_turn(servers, number):
                    plan.results.add(Record(NAME, name, 1, number, sample(LOAD, server, bed, plan.seconds)))
        finally:
            for server in servers.values():
                server.stop()
