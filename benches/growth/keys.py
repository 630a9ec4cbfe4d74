"""Distinct keys: in the key file, and remembered of an auth service."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack

from ..side_by_side import load
from ..side_by_side.contenders.gateway import Gateway
from ..side_by_side.cost import Meter, memory
from ..side_by_side.keys import write_key_file
from ..side_by_side.load import GET, WrongAnswer
from ..side_by_side.processes import Server
from ..side_by_side.proof import assert_logged, assert_nothing_dropped
from ..side_by_side.testbed import Testbed
from .counters import counters
from .samples import Sample, Samples

NAME = "keys"
COUNTS = (10, 1_000, 10_000, 100_000)
FILE, SERVICE = "key file", "auth service"
CONNECTIONS = 32
# wrk is told no more of them at once.
AT_ONCE = 25_000
# Of new keys; slower than any gateway here.
LEAST_PER_SECOND = 4_000
# What is looked up is measured, and not what is asked: for that docs/GROWTH.md has the arithmetic. And there is room for all,
# for a cache that is full to its last entry forgets some.
REMEMBERING = {"HOKUSAI__AUTH__CACHE__TTL": "1h", "HOKUSAI__AUTH__CACHE__CAPACITY": "200000"}


def measure(samples: Samples, rounds: int, seconds: int) -> None:
    with Testbed() as bed, ExitStack() as running:
        servers: dict[tuple[str, int], Server] = {}
        for count in COUNTS:
            path = bed.folder / f"keys-{count}.toml"
            keys = [f"Bearer {key}" for key in write_key_file(path, bed.binary, count)]
            for line in (FILE, SERVICE):
                gateway = Gateway(f"{line.replace(' ', '-')}-{count}", service=line == SERVICE, usage="off")
                began = time.monotonic()
                server = gateway.start(bed, 1, **REMEMBERING, HOKUSAI__AUTH__KEY_FILE__PATH=str(path))
                figures = {"ready_s": time.monotonic() - began}
                running.callback(server.stop)
                server.authorizations, server.authorization = keys, keys[0]
                figures |= _show_each_key(server, bed)
                samples.add(Sample(NAME, line, count, 0, figures))
                servers[line, count] = server
        for number in range(rounds):
            in_turn = list(servers.items()) if number % 2 == 0 else list(reversed(servers.items()))
            for (line, count), server in in_turn:
                samples.add(Sample(NAME, line, count, number, _sample(server, bed, seconds)))


def _show_each_key(server: Server, bed: Testbed) -> dict[str, float]:
    """Uses each key once at least, and tells what they came to in memory."""
    before = memory(server).resident
    every = server.authorizations
    for start in range(0, len(every), AT_ONCE):
        some = every[start : start + AT_ONCE]
        served = load.as_fast_as_it_goes(
            server, GET, CONNECTIONS, 1 + len(some) / LEAST_PER_SECOND, bed.cores.rest, some
        )
        if served.requests < len(some):
            raise WrongAnswer(f"{server.name}: {len(some)} keys, {served.requests} requests")
        assert_logged(server, served.requests)
    return {"before_mib": before / 1024, "after_mib": memory(server).resident / 1024}


def _sample(server: Server, bed: Testbed, seconds: int) -> dict[str, float]:
    """Each request has another key than the one before, of all that there are."""
    keys = random.sample(server.authorizations, min(AT_ONCE, len(server.authorizations)))
    before = counters(server)
    with Meter(server) as cost:
        served = load.as_fast_as_it_goes(server, GET, CONNECTIONS, seconds, bed.cores.rest, keys)
    assert_logged(server, served.requests)
    assert_nothing_dropped(server)
    asked = counters(server)["auth_validations_total{outcome=\"accepted\"}"] - before["auth_validations_total{outcome=\"accepted\"}"]
    return {"cpu_us": cost.cpu / served.requests * 1e6, "cores": cost.cpu / served.seconds, "asked": asked / served.requests}
