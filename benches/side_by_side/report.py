"""docs/BENCHMARKS.md: what was measured, on what, how, and what the figures do not say."""

from __future__ import annotations

from . import tables
from .results import Results

DOCUMENT = """# Benchmarks

Written by `make bench` on {began}; the next run writes it anew. Figures are the median of {rounds} rounds with the
lowest and the highest in parentheses. Ratios are of figures of one round, so what disturbed a round disturbed both;
they are what can be compared with another machine's.

## Targets

{targets}

## Growth

What a request costs with up to 100,000 keys, with 10,000 more routes, and with 16 instances on one Redis, and what the next limit is at ten
and a hundred times a team's traffic: [GROWTH.md](GROWTH.md), which `make growth` writes.

![CPU and memory by distinct keys](benchmarks/keys.svg)
![CPU and memory by routes](benchmarks/routes.svg)
![Commands and CPU of Redis by instances](benchmarks/instances.svg)

## Where the gateway's time goes

A cached GET, one worker, key file. By time (`perf record -e cpu-clock`, 2026-11-22, before awc carried the requests) two thirds are the
kernel's: two receives and two sends a request, and waking who receives. By instructions (`make profile`, callgrind, 2026-11-30) a request takes
117,000 in user space:

- 23,500 in awc and what it calls (20 %): 18,000 of them send the request and read the head of its response (7,300 decode that head, 3,600 encode the
  request), 2,500 are its pool, the rest are boxed futures, the header map and the guard (3,500, of which 2,400 read the head a second time).
- 17,000 are actix-http reading the client's request, of which 12,000 clear its arrays of headers, counted byte by byte: a processor does that in
  a tenth of the time.
- 6,700 are TracingLogger and the span; 3,400 SHA-256 without the instructions for it that a real processor has; 5,300 the line in the log.

### What awc costs

Two builds in one run, five rounds of two seconds, one worker, 2 cores (2026-11-30): before, with a client of our own to MLflow and no spans (commit c64b007),
and after, with awc, TracingLogger and actix-web-prom. CPU, the median and the range of the ratios:

| | before | after | after / before |
| --- | ---: | ---: | ---: |
| GET, 32 connections, key file | 18.6 µs | 21.8 µs | 1.17 (1.16–1.22) |
| GET, auth service and usage reports | 39.3 µs, 54 % of the reports sent | 36.6 µs, all sent | 0.93 (0.84–0.97) |
| POST of 200 bytes, key file | 32.9 µs | 38.9 µs | 1.18 (1.15–1.20) |
| POST, auth service and usage reports | 59.9 µs, 74 % sent | 51.8 µs, all sent | 0.87 (0.85–0.93) |
| 1 GiB down, key file | 0.66 s | 0.63 s | 0.95 (0.92–0.96) |
| 1 GiB up, key file | 0.34 s | 0.35 s | 1.10 (0.88–1.22) |

nginx with `auth_request`, cache, limit and log took 22.1 µs for the GET in the same run. Won back in these figures: awc's clock for each request (a task, a timer,
and one `write` that woke the worker's own driver; `http_client/date_tasks.rs`), reads of 256 KiB under awc's of 8, and
4 % of the instructions of a GET: awc's pool gets no guard back behind a body with a length (`proxy/response_body.rs`), no clock of a request in flight
is run, and headers are moved into the request instead of copied.

### What owners cost

A `log-batch` of 100 metrics (9.8 kB) whose run and experiment are remembered, by instructions in user space (callgrind, 2026-12-01): 207,900 with
`policy.ownership = "off"`, 240,400 with `"enforce"`. Before, it was 272,200: 9,800 for a copy, counted byte by byte, 17,100 more for a search by a letter that every metric
has and once for each name, and 4,800 for queues of one look-up, texts that were cut, and memory. The system calls are the same. What the 32,600 do that are left:

- 14,900 look at the body: 12,900 in five passes with vector instructions (ASCII or not; escapes; the gateway's own names, twice; the names of fields), the rest reads
  the run.
- 4,000 read the body before MLflow is asked: half of them wait for it with a deadline, a quarter are the memory that it is counted in.
- 4,300 judge: two look-ups in memory, the fence, the owner.
- 7,100 are the run and the owner in the audit record, of which 3,300 are SHA-256 without the instructions for it that a real processor has.
- 2,200 write the length anew, allocate, and drop.

## Machine and versions

{machine}

{versions}

## Again

```sh
make bench                      # all of it: {minutes} minutes here
make bench ROUNDS=1 SECONDS=1   # a quick look
# Some of it, with a gateway built elsewhere; --help names the scenarios and the contenders.
HOKUSAI_GATEWAY=./gateway .venv/bin/python -m benches.side_by_side --workers 1 --scenarios get-32 --contenders gateway,nginx-auth
make bench BEFORE=./gateway     # another build of the gateway in the same run
make profile                    # instructions of a cached GET by crate and function
.venv/bin/python -m benches.profile --log-batch --ownership enforce    # those of a log-batch whose owner is judged
```

Every sample is kept in `target/bench/results.json`, and `--again` makes the report of it once more.

## How it is measured

- The contenders are in [benches/side_by_side/contenders](../benches/side_by_side/contenders), one file each, with the
  configuration that they run with. All keep connections alive, to the client and to the upstream.
- The gateway runs with its defaults, once with a key file, and once with an auth service and usage reports: policy, limits, metrics,
  one JSON line a request, audit. Reports are sent one by one in the background and dropped when too many wait; the tables have their share.
  `limits.per_hour` and `limits.concurrent` are high, never off; the log and the audit go to files; with an auth service,
  `auth.service.max_per_second` and `max_in_flight` are raised, for the cold keys. A line or an audit record that was
  dropped is an error, and so is a proxy that logged fewer lines than it answered requests.
- nginx asks its auth service by `auth_request` and remembers a yes for 60 s (`proxy_cache`), counts by key
  (`limit_req`), and writes the gateway's fields as JSON. HAProxy finds the key in a map, and counts in a stick table.
  Caddy has neither a cache for `forward_auth` nor limits: it asks about every request. FastAPI is an ordinary proxy
  with a dictionary of verdicts, uvicorn with uvloop.
- The upstream is nginx with one worker: 160 bytes of JSON, a file of 1 GiB in memory, and an auth service that says yes
  at once.
- {pinning}
- Requests: `wrk -t1 -cN -d{seconds}s`, with a script for keys. p99 at half load: `h2load --h1 --rps` at the same rate
  for all, half of what the slower of the gateway and nginx with `auth_request` took before, over 32 connections.
  Streams: `curl`, of which each byte must arrive. An answer that is not right ends the run.
- Rounds go through all contenders, there and back again in turn.
- CPU is user and system time of the proxy's whole process tree, threads that have ended included, from each process's
  CPU clock (`clock_getcpuclockid(3)`: nanoseconds of what `/proc/PID/stat` shows in ticks). “Cores busy” is that over
  the time: with one worker, a proxy well below 1 waited for the load, or for others on this machine.
- Memory is resident memory; what processes of one proxy share counts once for each. The peak is the kernel's.

## What the figures do not say

- Upstream, load and proxy are on one machine and speak over loopback. The kernel does much of receiving while somebody
  sends, so a proxy's CPU holds some of its neighbours' work and they hold some of its own. There is no network card, no
  TLS and no distance.
- The machine is virtual and shared. A p99 of less than a few milliseconds is as much the scheduler's as the proxy's.
- {workers}
- With many connections a proxy finds more to do each time it wakes, and needs less CPU for each request; with one it
  sleeps after each. Compare rows of one table, not tables.
- nginx and HAProxy allocate what connections need when they start, the gateway as they come: an idle connection of
  theirs is in “before”. Buffers in the kernel are in no figure.
- The auth service is as fast as nginx. A slower one costs whoever asks more often.
- The peers do less: none knows MLflow's routes, scopes or bodies, or keeps an audit. Rows that read “the same” are what
  an expert would change for one of the figures.

## Figures

{figures}
"""


def document(results: Results) -> str:
    about = results.about
    few = int(str(about["cores"])) < 4
    text = DOCUMENT.format(
        **{name: about.get(name, "?") for name in ("began", "rounds", "seconds", "minutes")},
        targets=tables.targets(results),
        machine=_machine(about) + _disturbance(results),
        versions=", ".join(f"{name} {version}" for name, version in about["versions"].items()) + ".",
        pinning=FEW_PINNED if few else MANY_PINNED,
        workers=FEW_WORKERS if few else MANY_WORKERS,
        figures=tables.figures(results, lambda title: f"### {title}"),
    )
    return text.rstrip() + "\n"


def terminal(results: Results) -> str:
    return f"{tables.figures(results, lambda title: title)}\n\n{tables.targets(results)}"


FEW_PINNED = """With one worker the proxy has a core to itself, and the upstream and the load have the other; before MLflow,
  MLflow has one and the rest the other. With two workers nothing is pinned."""
MANY_PINNED = """The proxy has a core for each worker, the upstream and the load have the others; before MLflow, MLflow has those
  and the rest is with the proxy."""
FEW_WORKERS = """Two workers on this machine share its two cores with the upstream and the load, so their throughput cannot
  double here, whoever they are. The target is judged by CPU for each request, which contention between workers
  would raise: twice what one worker needs on a core of its own, over what two need among the others. It tells
  whether workers hinder each other, and no more; nginx's figure stands beside it."""
MANY_WORKERS = "Two workers were measured; what sixteen would do was not."


def _disturbance(results: Results) -> str:
    """A worker that has its core to itself is busy all the time with 32 connections; if not, others had it."""
    busy = results.spread("get-32", "gateway", 1, "cores")
    if busy is None or busy.median > 0.9:
        return ""
    return (
        f" **Others used this machine meanwhile**: the gateway had {busy.median:.2f} of its core where it could have used"
        " all of it. Throughput and latency are less than they would be, and CPU for each request is more."
    )


def _machine(about: dict[str, object]) -> str:
    virtual = " (virtual)" if about["virtual"] else ""
    return (
        f"{about['cpu']}, {about['cores']} cores{virtual}, {about['memory_gib']} GiB; {about['system']}, {about['kernel']}; "
        f"load average before: {about['load_average']:.1f}. The gateway's commit: {about['commit']}."
    ) + (f" The gateway before: {about['before']}." if about.get("before") else "")
