"""What the next limit is, on paper: a team's traffic, and ten and a hundred times as much, by the figures that were measured."""

from __future__ import annotations

from dataclasses import dataclass

from . import instances, keys, sizes
from .samples import Samples

# What a team does: training runs that log, notebooks that search, a dashboard that polls.
REQUESTS_PER_SECOND, KEYS, CONNECTIONS = 50, 100, 200
TIMES = (1, 10, 100)
# As many as are wanted so that one may be restarted.
INSTANCES = 2
# Of config/default.toml.
TTL_SECONDS, VALIDATIONS_PER_SECOND = 60, 200
# A lease is for so many requests of a key, and is so many commands: EVALSHA, the four in it, and the pool's two
# (src/limits/lease.rs). Too seldom to be seen in the time that is measured.
LEASE_REQUESTS, LEASE_COMMANDS = 100, 7
DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Need:
    """What so many times a team's traffic takes."""

    times: int
    requests: float
    keys: int
    connections: int
    gateway_cores: float
    mlflow_servers: float
    validations: float
    redis_commands: float
    redis_core: float
    log_gb_a_day: float
    memory_mib: float


def needs(samples: Samples) -> list[Need]:
    return [_need(samples, times) for times in TIMES]


def cpu_us(samples: Samples) -> float:
    """For each request, where it is dearest: one that the gateway wakes up for."""
    return samples.median(instances.NAME, instances.LINE, instances.COUNTS[0], "cpu_us")


def busy_cpu_us(samples: Samples) -> float:
    """Where the gateway is never idle, with as many keys as were measured."""
    return samples.median(keys.NAME, keys.SERVICE, keys.COUNTS[-1], "cpu_us")


def key_bytes(samples: Samples) -> float:
    most = keys.COUNTS[-1]
    after, before = (samples.median(keys.NAME, keys.SERVICE, most, figure) for figure in ("after_mib", "before_mib"))
    return (after - before) * 2**20 / most


def commands_for_a_key(samples: Samples) -> float:
    """Of Redis, for each instance, in the time that a verdict lives."""
    fleet = instances.COUNTS[-1]
    a_second = samples.median(instances.NAME, instances.LINE, fleet, "commands_per_second")
    return a_second * TTL_SECONDS / (fleet * instances.KEYS)


def command_us(samples: Samples) -> float:
    """Of Redis's CPU: what one more of them costs, for some of it is there while nobody asks."""

    def more(figure: str) -> float:
        few, most = (samples.median(instances.NAME, instances.LINE, count, figure) for count in (instances.COUNTS[0], instances.COUNTS[-1]))
        return most - few

    return more("redis_cores") / more("commands_per_second") * 1e6


def stranger_validations() -> float:
    """In a second and instance: of keys that it never saw."""
    return VALIDATIONS_PER_SECOND - known_validations()


def known_validations() -> float:
    """In a second and instance: a quarter is for keys that were good before (src/auth/call_limiter)."""
    return VALIDATIONS_PER_SECOND / 4


def _need(samples: Samples, times: int) -> Need:
    requests, count, open_ = REQUESTS_PER_SECOND * times, KEYS * times, CONNECTIONS * times
    lookups = count * INSTANCES / TTL_SECONDS * commands_for_a_key(samples)
    commands = lookups + requests / LEASE_REQUESTS * LEASE_COMMANDS
    sized = {name: samples.median(sizes.NAME, sizes.GATEWAYS, 1, name) for name in ("line_bytes", "each_kib", "before_mib")}
    return Need(
        times=times,
        requests=requests,
        keys=count,
        connections=open_,
        gateway_cores=requests * cpu_us(samples) / 1e6,
        mlflow_servers=requests / samples.median(sizes.NAME, sizes.MLFLOWS, 1, "per_second"),
        validations=count / TTL_SECONDS,
        redis_commands=commands,
        redis_core=commands * command_us(samples) / 1e6,
        log_gb_a_day=requests * sized["line_bytes"] * DAY_SECONDS / 1e9,
        memory_mib=sized["before_mib"] + count * key_bytes(samples) / 2**20 + open_ / INSTANCES * sized["each_kib"] / 1024,
    )
