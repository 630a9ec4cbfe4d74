"""Routes: MLflow's own, and so many of the operator's beside them (`mlflow.routes_file`)."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from pathlib import Path

from ..side_by_side import load
from ..side_by_side.contenders.gateway import Gateway
from ..side_by_side.cost import Meter, memory
from ..side_by_side.load import GET, Request
from ..side_by_side.processes import Server
from ..side_by_side.proof import assert_logged
from ..side_by_side.testbed import Testbed
from .samples import Sample, Samples

NAME = "routes"
ADDED = (0, 10, 1_000, 10_000)
MLFLOWS, OPERATORS = "a route of MLflow's", "an added one"
CONNECTIONS = 32


def measure(samples: Samples, rounds: int, seconds: int) -> None:
    with Testbed() as bed, ExitStack() as running:
        servers: dict[int, Server] = {}
        for added in ADDED:
            path = bed.folder / f"more-{added}.routes"
            path.write_text("[read]\n" + "".join(f"GET {_path(number, '{item_id}')}\n" for number in range(added)))
            settings = {"HOKUSAI__MLFLOW__ROUTES_FILE": str(path)} if added else {}
            servers[added] = server = Gateway(f"routes-{added}").start(bed, 1, **settings)
            running.callback(server.stop)
            load.ask_once(server, GET)
            samples.add(Sample(NAME, MLFLOWS, added, 0, {"after_mib": memory(server).resident / 1024}))
        for number in range(rounds):
            in_turn = list(servers.items()) if number % 2 == 0 else list(reversed(servers.items()))
            for added, server in in_turn:
                samples.add(Sample(NAME, MLFLOWS, added, number, _sample(server, GET, bed, seconds)))
                if added:
                    of_operator = Request(_path(added // 2, "4711"))
                    samples.add(Sample(NAME, OPERATORS, added, number, _sample(server, of_operator, bed, seconds)))
        samples.about["mlflow_routes"] = _routes_of_mlflow(bed.binary)


def _path(number: int, item: str) -> str:
    return f"/api/2.0/mlflow/plugin-{number:05}/items/{item}/get"


def _sample(server: Server, request: Request, bed: Testbed, seconds: int) -> dict[str, float]:
    with Meter(server) as cost:
        served = load.as_fast_as_it_goes(server, request, CONNECTIONS, seconds, bed.cores.rest)
    assert_logged(server, served.requests)
    return {"cpu_us": cost.cpu / served.requests * 1e6, "cores": cost.cpu / served.seconds}


def _routes_of_mlflow(binary: Path) -> int:
    environment = {"MLFLOW_SERVER_URL": "http://mlflow"}
    done = subprocess.run([binary, "routes"], env=environment, capture_output=True, text=True, check=True)
    return sum(1 for line in done.stdout.splitlines() if " /" in line)
