"""How many keys may be asked about: a new instance that knows none, alone and beside a Redis that knows them; and one whose verdicts
run out faster than it may ask. Ten times a team's keys and requests, and the guard before the auth service as it is by default."""

from __future__ import annotations

from contextlib import contextmanager
from collections.abc import Iterator

from ..side_by_side.contenders.gateway import Gateway
from ..side_by_side.keys import write_key_file
from ..side_by_side.load import WrongAnswer
from ..side_by_side.processes import Server
from ..side_by_side.testbed import Testbed
from . import redis
from .counters import counters
from .instances import FLEET
from .paced import statuses
from .samples import Sample, Samples

NAME = "guard"
ALONE, BESIDE_REDIS, RUNNING_OUT = "new, alone", "new, with Redis", "verdicts of 2 s"
KEYS, PER_SECOND = 1_000, 500.0
# Within this time each key was asked about that could be.
SECONDS = 15
DEFAULTS = {"HOKUSAI__AUTH__SERVICE__MAX_PER_SECOND": "200", "HOKUSAI__AUTH__SERVICE__MAX_IN_FLIGHT": "64"}


def measure(samples: Samples) -> None:
    with Testbed() as bed:
        keys = [f"Bearer {key}" for key in write_key_file(bed.folder / "guard.toml", bed.binary, KEYS)]
        store = redis.start_redis(bed.folder, bed.cores.rest)
        shared = FLEET | {"HOKUSAI__REDIS__URL": redis.url(store)}
        try:
            with _instance("first", bed, shared) as first:
                statuses([first], keys, PER_SECOND, SECONDS)
            for line, settings in ((ALONE, {}), (BESIDE_REDIS, shared)):
                with _instance(line.replace(" ", "-"), bed, settings) as server:
                    samples.add(Sample(NAME, line, KEYS, 0, _sample(server, keys)))
            with _instance("running-out", bed, {"HOKUSAI__AUTH__CACHE__TTL": "2s"}) as server:
                statuses([server], keys, PER_SECOND, SECONDS)
                samples.add(Sample(NAME, RUNNING_OUT, KEYS, 0, _sample(server, keys)))
        finally:
            store.stop()


@contextmanager
def _instance(name: str, bed: Testbed, settings: dict[str, str]) -> Iterator[Server]:
    server = Gateway(name, service=True, usage="off").start(bed, 1, **DEFAULTS, **settings)
    try:
        yield server
    finally:
        server.stop()


def _sample(server: Server, keys: list[str]) -> dict[str, float]:
    before = counters(server)
    answers = statuses([server], keys, PER_SECOND, SECONDS)
    if strangers := answers.keys() - {200, 503}:
        raise WrongAnswer(f"{server.name} answered {strangers}")
    more = counters(server) - before
    return {
        "refused": float(answers[503]),
        "stale": more['auth_cache_requests_total{result="stale",tier="memory"}'] / answers.total(),
        "asked_per_second": more['auth_validations_total{outcome="accepted"}'] / SECONDS,
    }
