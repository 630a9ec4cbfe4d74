"""What was promised, and whether it was kept. A target is of figures of one run, never of figures that were kept."""

from __future__ import annotations

from dataclasses import dataclass

from .results import Results, Spread

AT_MOST, AT_LEAST = "≤", "≥"
# With fewer, two workers, the upstream and the load take each other's cores.
CORES_TO_SCALE = 4


@dataclass(frozen=True)
class Target:
    what: str
    sign: str
    limit: float
    measured: Spread | None
    unit: str = "×"
    note: str = ""

    @property
    def met(self) -> bool:
        assert self.measured is not None
        median = self.measured.median
        return median <= self.limit if self.sign == AT_MOST else median >= self.limit

    @property
    def verdict(self) -> str:
        """With its distance: how many times the limit it is."""
        if self.measured is None:
            return "not measured"
        times = self.measured.median / self.limit
        return "**met**" if self.met else f"**missed**: {times:.2f} × the target"


def judge(results: Results) -> list[Target]:
    return [*_requests(results), *_streams(results), *_memory(results), _workers(results), *_replaced(results)]


def _requests(results: Results) -> list[Target]:
    def ratio(other: str, scenario: str, figure: str) -> Spread | None:
        return results.ratio(scenario, "gateway", other, 1, figure)

    cpu = "CPU for each cached, authenticated GET, everything on, against nginx "
    service = "the same with an auth service and usage reports"
    owned = "CPU for each log-batch of 100 metrics, owners judged, against owners not judged"
    steady = "p99 at half load against nginx with `auth_request`"
    return [
        Target(cpu + "with `auth_request`, cache, limit and log", AT_MOST, 0.9, ratio("nginx-auth", "get-32", "cpu_us")),
        Target(service, AT_MOST, 0.9, results.ratio("get-32", "gateway-service", "nginx-auth", 1, "cpu_us")),
        Target(cpu + "as a bare `proxy_pass`", AT_MOST, 1.2, ratio("nginx-bare", "get-32", "cpu_us")),
        Target(owned, AT_MOST, 1.1, results.ratio("log-batch", "gateway-owned", "gateway", 1, "cpu_us")),
        Target(steady, AT_MOST, 1.0, ratio("nginx-auth", "steady", "p99_ms")),
    ]


def _streams(results: Results) -> list[Target]:
    targets = []
    both = [(direction, gateway) for direction in ("down", "up") for gateway in ("gateway", "gateway-service")]
    for direction, gateway in both:
        ratios = {
            peer: ratio
            for peer in ("nginx-auth", "nginx-bare", "haproxy")
            if (ratio := results.ratio(direction, gateway, peer, 1, "cpu_s"))
        }
        # As they come. The better peer is the one that makes the ratio worst.
        better = max(ratios, key=lambda peer: ratios[peer].median, default=None)
        what = f"CPU for each GiB {direction} against the better of nginx and HAProxy"
        if gateway == "gateway-service":
            what = "the same with an auth service and usage reports"
        note = f"the better was {better}" if better else ""
        if tuned := results.ratio(direction, gateway, "nginx-large", 1, "cpu_s"):
            note += f"; nginx with buffers of 64 KiB: {tuned.median:.2f}"
        targets.append(Target(what, AT_MOST, 1.0, ratios.get(better), note=note))
    return targets


def _memory(results: Results) -> list[Target]:
    # As it is deployed: one worker for each core.
    workers = 2 if results.contenders("memory", 2) else 1
    named = f"{workers} workers" if workers > 1 else "1 worker"
    loaded = results.spread("memory", "gateway", workers, "peak_mib")
    idle = results.spread("idle", "gateway", workers, "each_kib")
    return [
        Target("memory at its peak with 256 connections", AT_MOST, 64, loaded, "MiB", named),
        Target("memory for each of 10,000 idle connections", AT_MOST, 15, idle, "KiB", named),
    ]


def _workers(results: Results) -> Target:
    what = "throughput of 2 workers against 1, on free cores"
    if int(str(results.about["cores"])) >= CORES_TO_SCALE:
        return Target(what, AT_LEAST, 1.7, _second_worker(results, "gateway", "per_second"))
    # What a second worker could take from the first is CPU; so many times less of it is so many times more requests.
    note = "no free cores here: from CPU for each request, as if there were"
    if peer := _second_worker(results, "nginx-auth", "cpu_us"):
        note += f"; nginx with `auth_request` {peer.median:.2f}"
    return Target(what, AT_LEAST, 1.7, _second_worker(results, "gateway", "cpu_us"), note=note)


def _second_worker(results: Results, contender: str, figure: str) -> Spread | None:
    """How many times as many requests two workers answer as one does, by this figure, round by round."""
    one, two = (results.values("workers", contender, count, figure) for count in (1, 2))
    both = [(one[number], two[number]) for number in one if number in two]
    return Spread.of(2 * alone / beside if figure == "cpu_us" else beside / alone for alone, beside in both)


def _replaced(results: Results) -> list[Target]:
    per_second = "per_second"
    return [
        Target("throughput against FastAPI + httpx", AT_LEAST, 20, results.ratio("get-32", "gateway", "fastapi", 1, per_second)),
        Target(
            "throughput of a real MLflow behind the gateway against bare MLflow",
            AT_LEAST,
            0.97,
            results.ratio("mlflow", "mlflow-gateway", "mlflow", 1, per_second),
        ),
        Target(
            "the same against MLflow's basic-auth app",
            AT_LEAST,
            5,
            results.ratio("mlflow", "mlflow-gateway", "mlflow-basic-auth", 1, per_second),
            note="“many times”",
        ),
    ]
