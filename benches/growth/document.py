"""docs/GROWTH.md: the curves, and what they come to at ten and a hundred times a team's traffic."""

from __future__ import annotations

from ..side_by_side.tables import spread, table
from ..side_by_side.testbed import ROOT
from . import guard, instances, keys, limits, routes, sizes
from .limits import Need
from .samples import Samples

DOCUMENT = ROOT / "docs" / "GROWTH.md"
TEXT = """# Growth

Written by `make growth` on {began}; the next run writes it anew. What a request costs as keys, routes and instances become more, and on
paper what the next limit is. How it is measured, and what such figures do not say, is in [BENCHMARKS.md](BENCHMARKS.md): test bed, load and
counting are the same. Medians of {rounds} rounds, with the lowest and the highest; in the pictures as a band. Ratios are of figures of one
round. {machine}

## Distinct keys

![CPU and memory by distinct keys](benchmarks/keys.svg)

{keys}

One worker, wrk with 32 connections, and each request with another key than the one before: no real traffic is so evenly spread. Nothing
is searched: what grows is how often the processor has to go to memory. “Auth service” are verdicts that are remembered, here for
1h and with room for 200,000, so that the look-up is measured and not the asking. A remembered key takes {key_bytes:.0f} bytes, its rate limit
and the table's spare room among them. The gateway with 100,000 keys in its file was ready after {ready:.1f} s.

## Routes

![CPU and memory by routes](benchmarks/routes.svg)

{routes}

MLflow's own table has {mlflow_routes} routes and is always there; the rows of `mlflow.routes_file` come beside it. One below `/api/` stands for its
twin below `/ajax-api/` too, so 1,000 rows are 2,000 routes. The table is a radix tree: what is asked for counts, not what there is.

## Instances

![Commands and CPU of Redis by instances](benchmarks/instances.svg)

{instances}

One fleet with {fleet_keys:,} keys and {fleet_rate:.0f} requests a second, over 1, 4 and 16 instances that share one Redis and one auth service. All sixteen
are real processes with one worker each, on this machine; each fleet ran for {fleet_seconds} s of real time after {fleet_warm_up} s of warming up, at the default
`auth.cache.ttl` (60 s) and `limits.per_hour` (36,000). Nothing is simulated but the clients: requests at even times, keys at random.

- Each instance asks Redis once for each key that it sees in each `ttl`: that is what grows with instances, {per_key:.1f} commands each time, of
  which {checked:.0%} are the pool's own `PING` and `UNWATCH` before a connection is used again. Leases of rate limits go with requests, {lease_commands} commands for a hundred of
  a key's, however many instances there are; an instance that a key seldom comes to holds its lease for long.
- The auth service is asked {asked_one:.1f} times a second by one instance and {asked_most:.1f} by sixteen: a key is asked about when it is used
  after its 60 s, once for all of them.
- CPU of the gateways for each request grows too, for sixteen processes sleep and wake where one stays awake, and each probes MLflow for itself.

## The next limit

A team is {team_requests} requests a second, {team_keys} keys and {team_connections} open connections, before {count} instances.

{needs}

From what was measured: {cpu:.0f} µs of CPU a request at {fleet_rate:.0f} a second, where it wakes up for nearly each of them ({busy_cpu:.0f} where it is never idle, with
100,000 keys), {key_bytes:.0f} bytes a key, {idle:.1f} KiB an idle connection, {line:.0f} bytes a line of
the log ({record:.0f} more an audit record, of changes only), {per_key:.1f} commands of Redis a key, instance and `ttl` at {command_us:.0f} µs of Redis's CPU, and {mlflow:.0f} searches a
second that one worker of MLflow with SQLite answers here.

**Today** nothing is near a limit.

**At 10 ×** it is MLflow: {mlflow_10:.1f} servers of one worker each are busy all the time, so {mlflow_10_wanted} are wanted (`mlflow.url` takes a list), and SQLite
is no longer a database for them. The gateway has {cores_10:.1%} of one core to do, Redis {redis_10:.2%}. Behind MLflow come:

- A restart without Redis. A new instance knows no key, and `auth.service.max_per_second` ({max_per_second}) lets it ask about {strangers:.0f} strangers a second: tried
  with {guard_keys:,} keys at {guard_rate:.0f} requests a second, {refused_alone:.0f} requests got a 503 in its first seconds, which MLflow's client sends again. Beside a Redis that knew
  the keys: {refused_beside:.0f}.
- The log: {log_10:.0f} GB a day, of which `telemetry.sample_reads` takes most away.

**At 100 ×** MLflow needs {mlflow_100:.0f} workers, and its one PostgreSQL gets what all of them ask. In front of it:

- Without Redis an instance would take {cold_100:.0f} s to learn {keys_100:,} keys. With it, a second one asks nobody.
- The auth service gets {validations_100:.0f} validations a second, {validations_each:.0f} from each of {count} instances. A quarter of `max_per_second`,
  {known:.0f} a second and instance, is for keys that were good before: enough for {known_keys:,.0f} keys in use at once. What is more is answered from what is
  remembered (`auth.cache.stale_ttl`): tried with verdicts of 2 s, an instance asked {asked_running_out:.0f} times a second, answered {stale_running_out:.0%} of its requests by verdicts that had run out,
  and refused {refused_running_out:.0f}. But then a key that was taken back without a word to `hokusai:revoked` lives longer. Set `max_per_second` to {wanted_per_second:,.0f}, or
  `auth.cache.ttl` to 5m.
- The log is {log_100:,.0f} GB a day. Sample reads, or it costs more than the rest.
- The gateway itself needs {cores_100:.2f} cores in all and {memory_100:.0f} MiB an instance; Redis {redis_100:.1%} of its one core. More instances than for safety are not needed.
- Above that: `auth.cache.capacity` and the buckets of the limits have room for 100,000 keys (50,000 that both read and write); one core of Redis does
  {redis_max:,.0f} such commands a second, which {redis_max_products:,.0f} keys × instances use up (16 instances, {redis_max_keys:,.0f} keys).
"""


def write(samples: Samples) -> None:
    DOCUMENT.write_text(_text(samples))


def _text(samples: Samples) -> str:
    one, ten, hundred = limits.needs(samples)
    sized = {name: samples.median(sizes.NAME, sizes.GATEWAYS, 1, name) for name in ("each_kib", "line_bytes", "record_bytes")}
    mlflow = samples.median(sizes.NAME, sizes.MLFLOWS, 1, "per_second")
    few, most = instances.COUNTS[0], instances.COUNTS[-1]
    redis_max = 1e6 / limits.command_us(samples)
    products = redis_max * limits.TTL_SECONDS / limits.commands_for_a_key(samples)
    validations_each = hundred.validations / limits.INSTANCES
    return TEXT.format(
        began=samples.about["began"],
        rounds=samples.about["rounds"],
        machine=f"{samples.about['cpu']}, {samples.about['cores']} cores, load average before: {samples.about['load_average']:.1f}, commit {samples.about['commit']}.",
        keys=_keys(samples),
        key_bytes=limits.key_bytes(samples),
        ready=samples.median(keys.NAME, keys.FILE, keys.COUNTS[-1], "ready_s"),
        routes=_routes(samples),
        mlflow_routes=samples.about["mlflow_routes"],
        instances=_instances(samples),
        fleet_keys=instances.KEYS,
        fleet_rate=instances.PER_SECOND,
        fleet_seconds=instances.SECONDS,
        fleet_warm_up=instances.WARM_UP_SECONDS,
        per_key=limits.commands_for_a_key(samples),
        checked=sum(_fleet(samples, most, f"{name}_per_second") for name in ("ping", "unwatch")) / _fleet(samples, most, "commands_per_second"),
        lease_commands=limits.LEASE_COMMANDS,
        asked_one=_fleet(samples, few, "asked_per_second"),
        asked_most=_fleet(samples, most, "asked_per_second"),
        team_requests=limits.REQUESTS_PER_SECOND,
        team_keys=limits.KEYS,
        team_connections=limits.CONNECTIONS,
        count=limits.INSTANCES,
        needs=_needs([one, ten, hundred]),
        cpu=limits.cpu_us(samples),
        busy_cpu=limits.busy_cpu_us(samples),
        idle=sized["each_kib"],
        line=sized["line_bytes"],
        record=sized["record_bytes"],
        command_us=limits.command_us(samples),
        mlflow=mlflow,
        mlflow_10=ten.mlflow_servers,
        # Twice as many, for a queue has no end where all are busy all the time.
        mlflow_10_wanted=round(2 * ten.mlflow_servers + 0.5),
        cores_10=ten.gateway_cores,
        redis_10=ten.redis_core,
        log_10=ten.log_gb_a_day,
        mlflow_100=2 * hundred.mlflow_servers,
        validations_100=hundred.validations,
        validations_each=validations_each,
        max_per_second=limits.VALIDATIONS_PER_SECOND,
        known=limits.known_validations(),
        known_keys=limits.known_validations() * limits.INSTANCES * limits.TTL_SECONDS,
        wanted_per_second=2 * 4 * validations_each,
        strangers=limits.stranger_validations(),
        guard_keys=guard.KEYS,
        guard_rate=guard.PER_SECOND,
        refused_alone=samples.median(guard.NAME, guard.ALONE, guard.KEYS, "refused"),
        refused_beside=samples.median(guard.NAME, guard.BESIDE_REDIS, guard.KEYS, "refused"),
        refused_running_out=samples.median(guard.NAME, guard.RUNNING_OUT, guard.KEYS, "refused"),
        asked_running_out=samples.median(guard.NAME, guard.RUNNING_OUT, guard.KEYS, "asked_per_second"),
        stale_running_out=samples.median(guard.NAME, guard.RUNNING_OUT, guard.KEYS, "stale"),
        cold_100=hundred.keys / limits.stranger_validations(),
        keys_100=hundred.keys,
        log_100=hundred.log_gb_a_day,
        cores_100=hundred.gateway_cores,
        memory_100=hundred.memory_mib,
        redis_100=hundred.redis_core,
        redis_max=redis_max,
        redis_max_products=products,
        redis_max_keys=products / most,
    )


def _keys(samples: Samples) -> str:
    head, least = ["keys"], keys.COUNTS[0]
    for line in (keys.FILE, keys.SERVICE):
        head += [f"{line}: µs a request", f"against {least} keys", "MiB"]
    rows = []
    for at in keys.COUNTS:
        row = [f"{at:,}"]
        for line in (keys.FILE, keys.SERVICE):
            row.append(spread(samples.spread(keys.NAME, line, at, "cpu_us"), 1))
            row.append(spread(samples.ratio(keys.NAME, line, at, least, "cpu_us"), 2))
            row.append(spread(samples.spread(keys.NAME, line, at, "after_mib"), 1))
        rows.append(row)
    return table(head, rows)


def _routes(samples: Samples) -> str:
    least, rows = routes.ADDED[0], []
    for at in routes.ADDED:
        of_mlflow, memory = (spread(samples.spread(routes.NAME, routes.MLFLOWS, at, figure), 1) for figure in ("cpu_us", "after_mib"))
        of_operator = spread(samples.spread(routes.NAME, routes.OPERATORS, at, "cpu_us"), 1) if at else ""
        ratio = spread(samples.ratio(routes.NAME, routes.MLFLOWS, at, least, "cpu_us"), 2)
        rows.append([f"{at:,}", of_mlflow, ratio, of_operator, memory])
    return table(["rows", f"{routes.MLFLOWS}: µs a request", "against none", f"{routes.OPERATORS}: µs a request", "MiB"], rows)


def _instances(samples: Samples) -> str:
    columns = [
        ("Redis commands a request", "commands", 2),
        ("a second", "commands_per_second", 0),
        ("Redis's CPU, µs a request", "redis_us", 1),
        ("of its core", "redis_cores", 3),
        ("its connections", "connections", 0),
        ("auth service asked, a second", "asked_per_second", 1),
        ("gateways' CPU, µs a request", "cpu_us", 0),
    ]
    rows = [[str(at), *(f"{_fleet(samples, at, figure):,.{digits}f}" for _, figure, digits in columns)] for at in instances.COUNTS]
    return table(["instances", *(title for title, _, _ in columns)], rows)


def _fleet(samples: Samples, at: int, figure: str) -> float:
    return samples.median(instances.NAME, instances.LINE, at, figure)


def _needs(every: list[Need]) -> str:
    rows = [
        ["requests a second", *(f"{need.requests:,.0f}" for need in every)],
        ["keys in use", *(f"{need.keys:,}" for need in every)],
        ["gateway, cores in all", *(f"{need.gateway_cores:.3f}" for need in every)],
        ["gateway, MiB an instance", *(f"{need.memory_mib:,.0f}" for need in every)],
        ["MLflow, workers busy all the time", *(f"{need.mlflow_servers:,.1f}" for need in every)],
        ["auth service, validations a second", *(f"{need.validations:,.1f}" for need in every)],
        ["Redis, commands a second", *(f"{need.redis_commands:,.0f}" for need in every)],
        ["Redis, of its one core", *(f"{need.redis_core:.2%}" for need in every)],
        ["log, GB a day", *(f"{need.log_gb_a_day:,.1f}" for need in every)],
    ]
    return table(["", "a team", *(f"{need.times} ×" for need in every[1:])], rows)
