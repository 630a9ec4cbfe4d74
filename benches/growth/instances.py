"""Instances that share a Redis: one fleet's traffic, over more and more of them. All of them are real; no time is compressed."""

from __future__ import annotations

from contextlib import ExitStack

from ..side_by_side.contenders.gateway import Gateway
from ..side_by_side.cost import Meter, cpu_seconds
from ..side_by_side.keys import write_key_file
from ..side_by_side.processes import Server
from ..side_by_side.testbed import Testbed
from . import redis
from .counters import counters
from .paced import paced
from .samples import Sample, Samples

NAME = "instances"
LINE = "one fleet"
COUNTS = (1, 4, 16)
# The fleet's, however many instances it has.
KEYS, PER_SECOND = 1_000, 800.0
# A little longer than a verdict is believed, so that each runs out once.
SECONDS, MOST_ROUNDS = 65, 3
# Until each instance has seen each key, but for a few in a thousand: what only first requests cost is not what is measured.
WARM_UP_PER_SECOND, WARM_UP_SECONDS = 3_000.0, 30
# What instances have in common.
FLEET = {"HOKUSAI__AUTH__PEPPER": "of a benchmark, and the same for all", "HOKUSAI__LIMITS__PER_HOUR": "36000"}


def measure(samples: Samples, rounds: int) -> None:
    for number in range(min(rounds, MOST_ROUNDS)):
        for count in COUNTS:
            samples.add(Sample(NAME, LINE, count, number, _fleet_of(count)))


def _fleet_of(count: int) -> dict[str, float]:
    with Testbed() as bed, ExitStack() as running:
        keys = [f"Bearer {key}" for key in write_key_file(bed.folder / "fleet.toml", bed.binary, KEYS)]
        store = redis.start_redis(bed.folder, bed.cores.rest)
        running.callback(store.stop)
        empty = redis.used_memory(store)
        fleet = [_start(number, count, store, bed) for number in range(count)]
        for server in fleet:
            running.callback(server.stop)
        paced(fleet, keys, WARM_UP_PER_SECOND, WARM_UP_SECONDS)
        return _sample(fleet, keys, store, empty)


def _start(number: int, count: int, store: Server, bed: Testbed) -> Server:
    settings = FLEET | {"HOKUSAI__REDIS__URL": redis.url(store), "HOKUSAI__LIMITS__INSTANCES": str(count)}
    return Gateway(f"instance-{number}", service=True, usage="off").start(bed, 1, **settings)


def _sample(fleet: list[Server], keys: list[str], store: Server, empty: int) -> dict[str, float]:
    before, asked = redis.calls(store), sum(_asked(server) for server in fleet)
    busy = sum(cpu_seconds(server) for server in fleet)
    with Meter(store) as cost:
        requests = paced(fleet, keys, PER_SECOND, SECONDS)
    after = redis.calls(store)
    called = {name: (after[name] - before.get(name, 0)) for name in after}
    return {
        "commands": sum(called.values()) / requests,
        "redis_us": cost.cpu / requests * 1e6,
        "redis_cores": cost.cpu / cost.seconds,
        "commands_per_second": sum(called.values()) / cost.seconds,
        "asked_per_second": (sum(_asked(server) for server in fleet) - asked) / cost.seconds,
        "cpu_us": (sum(cpu_seconds(server) for server in fleet) - busy) / requests * 1e6,
        "connections": redis.clients(store),
        "redis_kib": (redis.used_memory(store) - empty) / 1024,
    } | {f"{name}_per_second": calls / cost.seconds for name, calls in called.items() if calls}


def _asked(server: Server) -> float:
    return counters(server)['auth_validations_total{outcome="accepted"}']
