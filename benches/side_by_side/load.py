"""The load: wrk as fast as it goes, h2load at a steady rate. An answer that is not right is an error, never a figure."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from .processes import Server


class WrongAnswer(Exception):
    """A server did not do what it was measured at."""


@dataclass(frozen=True)
class Request:
    """`path` is MLflow's own; where a server puts it is the server's `base`."""

    path: str
    method: str = "GET"
    body: str = ""


@dataclass(frozen=True)
class Served:
    requests: int
    seconds: float
    # Milliseconds.
    median: float
    p99: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


GET = Request("/api/2.0/mlflow/experiments/get?experiment_id=0")
# 200 bytes, as log_metric sends them.
POST = Request(
    "/api/2.0/mlflow/runs/log-metric",
    "POST",
    json.dumps({"run_uuid": "0" * 32, "run_id": "0" * 32, "key": "loss", "value": 0.25, "timestamp": 1767225600000, "step": 17})
    .ljust(200),
)

# As a training script logs with a batch of 100.
LOG_BATCH = Request(
    "/api/2.0/mlflow/runs/log-batch",
    "POST",
    json.dumps(
        {
            "run_id": "0" * 32,
            "metrics": [
                {"key": f"validation_loss_{number}", "value": 0.25 + number / 7, "timestamp": 1767225600000, "step": 17}
                for number in range(100)
            ],
        }
    ),
)

# What wrk is told, and how it tells what it saw. `keys` are the values of Authorization: one is sent as it is, of many
# each in turn; of "cold" ones each is a new one.
SCRIPT = """
wrk.method = {method}
wrk.body = {body}
wrk.headers["Content-Type"] = {content_type}
local keys, cold, made, next_key = {keys}, {cold}, {{}}, 0

function init()
    for number, key in ipairs(keys) do
        wrk.headers["Authorization"] = key
        made[number] = wrk.format()
    end
end

if cold then
    -- Forty-one characters, as of the gateway's own keys; never the same again.
    function request()
        next_key = next_key + 1
        return (made[1]:gsub("COLD", string.format("%s%011d", cold, next_key), 1))
    end
elseif #keys > 1 then
    function request()
        next_key = next_key % #keys + 1
        return made[next_key]
    end
else
    wrk.headers["Authorization"] = keys[1]
end

function done(summary, latency, requests)
    local errors = summary.errors
    local wrong = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    io.write(string.format('\\n{{"requests": %d, "seconds": %f, "wrong": %d, "median": %f, "p99": %f}}\\n',
        summary.requests, summary.duration / 1e6, wrong, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


def as_fast_as_it_goes(
    server: Server,
    request: Request,
    connections: int,
    seconds: float,
    cores: frozenset[int],
    authorizations: list[str] | None = None,
    cold: bool = False,
) -> Served:
    """wrk with one thread: each connection asks again as soon as it is answered."""
    keys = authorizations or [server.authorization]
    script = SCRIPT.format(
        method=_lua(request.method),
        body=_lua(request.body) if request.body else "nil",
        content_type=_lua("application/json") if request.body else "nil",
        keys="{%s}" % ", ".join(map(_lua, ["Bearer COLD"] if cold else keys)),
        # Other keys than those of the last time.
        cold=_lua(f"hk_test_{os.urandom(11).hex()}") if cold else "nil",
    )
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        # wrk takes whole seconds.
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "20s", "-s", file.name]
        said = _run([*command, server.base + request.path], cores, seconds + 60)
    try:
        told = json.loads(said.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise WrongAnswer(f"{server.name}: wrk said {said!r}") from None
    if told.pop("wrong") or not told["requests"]:
        raise WrongAnswer(f"{server.name}: wrk had errors:\n{said}")
    return Served(**told)


def at_a_rate(
    server: Server, request: Request, connections: int, seconds: float, cores: frozenset[int], rate: float
) -> Served:
    """h2load: so many requests a second in all, whatever the answers take."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = ["h2load", "--h1", f"--clients={connections}", f"--duration={seconds}", f"--rps={rate / connections}"]
        command += [f"--log-file={log}", "-H", f"Authorization: {server.authorization}", server.base + request.path]
        _run(command, cores, seconds + 60)
        lines = [line.split("\t") for line in log.read_text().splitlines()]
    if wrong := [line for line in lines if line[1] != "200"]:
        raise WrongAnswer(f"{server.name}: {len(wrong)} of {len(lines)} answers were not a 200: {wrong[:3]}")
    taken = statistics.quantiles([int(line[2]) / 1000 for line in lines], n=100)
    return Served(len(lines), seconds, taken[49], taken[98])


def ask_once(server: Server, request: Request) -> bytes:
    """The body of a 200, and nothing else."""
    headers = {"Authorization": server.authorization, "Content-Type": "application/json"}
    body = request.body.encode() or None
    asked = urllib.request.Request(server.base + request.path, body, headers, method=request.method)
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            if answer.status != 200:
                raise WrongAnswer(f"{server.name}: {answer.status} for {request.path}")
            return answer.read()
    except OSError as error:
        raise WrongAnswer(f"{server.name}: {error} for {request.path}") from error


def pinned(command: list[str], cores: frozenset[int]) -> list[str]:
    return ["taskset", "-c", ",".join(map(str, sorted(cores))), *command]


def _run(command: list[str], cores: frozenset[int], patience: float) -> str:
    done = subprocess.run(pinned(command, cores), capture_output=True, text=True, timeout=patience, check=False)
    if done.returncode:
        raise WrongAnswer(f"{command[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def _lua(text: str) -> str:
    """A string of Lua; JSON's escapes are Lua's for all that is sent here."""
    return json.dumps(text)
