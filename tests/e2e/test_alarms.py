"""The CloudWatch alarms, put to the gateway's own data points: for each outage the right ones go off, and no others."""

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from stack import ROOT, free_port
from test_emf import points

ALARMS = json.loads((ROOT / "deploy" / "terraform" / "alarms" / "alarms.json").read_text())
PERIOD_SECONDS = 2


class Answering(BaseHTTPRequestHandler):
    """MLflow, or an auth service for which every key is good: what it says, after how long."""

    protocol_version = "HTTP/1.1"
    body = b"{}"

    def do_GET(self):
        if self.server.dead:
            self.close_connection = True
            return
        time.sleep(self.server.delay if not self.path.endswith("/health") else 0)
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def log_message(self, *_):
        pass


def answering(body: dict) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.body, server.delay, server.dead = json.dumps(body).encode(), 0, False
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def die(server: ThreadingHTTPServer) -> None:
    """As a process that is killed: on connections that it kept, too."""
    server.dead = True
    server.shutdown()
    server.server_close()


class World:
    """A gateway between things that can fail, and somebody who asks it all the time."""

    def __init__(self, stack):
        self.stack = stack
        self.mlflow, self.auth = answering({}), answering({"is_valid": True, "scopes": ["mlflow:read"]})
        port = free_port()
        self.redis = stack.start("redis", ["redis-server", "--port", str(port), "--save", ""], {})
        stack.mlflow_url = f"http://127.0.0.1:{self.mlflow.server_port}"
        self.gateway = stack.start_gateway(
            HOKUSAI_AUTH_SERVICE_URL=f"http://127.0.0.1:{self.auth.server_port}",
            HOKUSAI__AUTH__SERVICE__REPORT_USAGE="false",
            # One of twenty requests or so asks the auth service and Redis again.
            HOKUSAI__AUTH__CACHE__TTL="700ms",
            HOKUSAI__AUTH__PEPPER="obviously-a-pepper-of-a-test-0000",
            HOKUSAI__MLFLOW__PROBE_INTERVAL="200ms",
            REDIS_URL=f"redis://127.0.0.1:{port}",
            HOKUSAI__TELEMETRY__EMF="true",
            HOKUSAI__TELEMETRY__EMF_INTERVAL=f"{PERIOD_SECONDS}s",
        )
        self.new_keys = False

    def ask(self, seconds: float) -> None:
        """Some 60 requests a second, all with one key, or every other with one of its own."""
        until, count = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            count += 1
            key = f"new-{time.monotonic_ns()}" if self.new_keys and count % 2 else "the-key"
            headers = {"Authorization": f"Bearer {key}"}
            requests.get(f"{self.stack.tracking_uri}/version", headers=headers, timeout=60)
            time.sleep(0.01)

    def off(self) -> set[str]:
        """The alarms that go off in a period which lies wholly in what was set up before the call."""
        before = len(periods(self.stack))
        self.ask(2.6 * PERIOD_SECONDS)
        return goes_off(periods(self.stack)[before + 1])


def periods(stack) -> list[dict]:
    """The data points of each period: by metric, and of errors by class."""
    found: list[dict] = []
    # The last line may be half written.
    for line in stack.log("gateway").read_text().rpartition("\n")[0].splitlines():
        told = points(line)
        # A period's own line comes before those of its errors.
        if any(name == "Heartbeat" for name, _, _ in told):
            found.append({"Errors": {}} | {name: value for name, _, value in told})
        else:
            for _, dimensions, value in told:
                found[-1]["Errors"][dimensions["ErrorClass"]] = value
    return found


def statistic(point, stat: str):
    if not isinstance(point, dict):
        return point
    values = sorted(value for value, count in zip(point["Values"], point["Counts"], strict=True) for _ in range(count))
    return values[min(len(values) - 1, int(len(values) * float(stat.removeprefix("p")) / 100))]


def goes_off(period: dict) -> set[str]:
    """As CloudWatch evaluates them: a metric without a point has none, and so has an expression of it."""
    off = set()
    for name, alarm in ALARMS.items():
        for kind in alarm.get("classes", [""]):
            values = {}
            for variable, metric in alarm["metrics"].items():
                point = period["Errors"].get(kind) if metric["name"] == "Errors" else period.get(metric["name"])
                values[variable] = None if point is None else statistic(point, metric["stat"])
            result = evaluate(alarm["expression"], values)
            breaches = {"GreaterThanThreshold": float.__gt__, "LessThanThreshold": float.__lt__}[alarm["comparison"]]
            if alarm["missing"] == "breaching" if result is None else breaches(float(result), float(alarm["threshold"])):
                off.add(f"{name}-{kind}" if kind else name)
    return off


def evaluate(expression: str, values: dict):
    # Python would work out both sides of a condition; CloudWatch has no point where there is nothing to divide.
    lazy = re.sub(r"^IF\((.+?), (.+)\)$", r"(\2) if (\1) else None", expression)
    fill = lambda value, otherwise: otherwise if value is None else value  # noqa: E731
    try:
        return eval(lazy, {"__builtins__": {}, "FILL": fill}, values)  # noqa: S307: it is our own file
    except TypeError:
        return None


@pytest.fixture
def world(second_gateway):
    world = World(second_gateway)
    world.ask(2 * PERIOD_SECONDS)
    assert world.off() == set(), "with nothing wrong"
    yield world
    for server in (world.mlflow, world.auth):
        server.shutdown()


def test_mlflow_killed(world):
    die(world.mlflow)
    world.ask(1)
    assert world.off() == {"mlflow-down", "errors-upstream_unavailable"}


def test_auth_service_killed(world):
    die(world.auth)
    world.ask(1)
    # Its keys go on working; that it is gone is the only news.
    assert world.off() == {"auth-service-down"}


def test_redis_killed(world):
    world.stack.halt(world.redis)
    world.ask(1)
    assert world.off() == {"redis-down"}


def test_mlflow_slow(world):
    world.mlflow.delay = 0.7
    threads = [threading.Thread(target=world.ask, args=(4 * PERIOD_SECONDS,)) for _ in range(40)]
    # One after the other: all at once they would find the cache empty all at once.
    for thread in threads:
        thread.start()
        time.sleep(world.mlflow.delay / len(threads))
    time.sleep(0.3)
    assert world.off() == {"latency"}
    for thread in threads:
        thread.join()


def test_cache_cold(world):
    world.new_keys = True
    world.ask(1)
    assert world.off() == {"cache"}


def test_key_file_refused(second_gateway):
    stack = second_gateway
    mlflow = answering({})
    stack.mlflow_url = f"http://127.0.0.1:{mlflow.server_port}"
    stack.create_key("--user", "ada")
    stack.start_gateway(
        HOKUSAI__MLFLOW__PROBE_INTERVAL="200ms",
        HOKUSAI__TELEMETRY__EMF="true",
        HOKUSAI__TELEMETRY__EMF_INTERVAL=f"{PERIOD_SECONDS}s",
    )

    def off() -> set[str]:
        """Of the second period from here: the first one began before."""
        before, until = len(periods(stack)), time.monotonic() + 30
        while len(periods(stack)) < before + 2 and time.monotonic() < until:
            time.sleep(0.1)
        return goes_off(periods(stack)[before + 1])

    good = stack.key_file.read_text()
    assert off() == set(), "with nothing wrong"
    stack.key_file.write_text("[[keys")
    assert off() == {"key-file-refused"}
    stack.key_file.write_text(good)
    assert off() == set(), "mended"
    mlflow.shutdown()


def test_a_gateway_that_tells_nothing():
    assert goes_off({"Errors": {}}) == {"heartbeat"}
