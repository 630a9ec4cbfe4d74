"""What is multiplied on paper: a line of the log, an audit record, an idle connection; and what one MLflow takes."""

from __future__ import annotations

import time
from pathlib import Path

from ..side_by_side import load
from ..side_by_side.contenders.every import GATEWAY
from ..side_by_side.contenders.gateway import Gateway
from ..side_by_side.load import GET, POST, Request
from ..side_by_side.processes import Server
from ..side_by_side.results import Results
from ..side_by_side.scenarios import Plan, connections, real
from ..side_by_side.testbed import Testbed
from .samples import Sample, Samples

NAME = "sizes"
GATEWAYS, MLFLOWS = "gateway", "MLflow"
# An MLflow that each client keeps busy.
MLFLOW_CONNECTIONS, MLFLOW_SECONDS, MLFLOW_ROUNDS = 4, 8, 3
# The log and the audit stream are written behind the request.
SETTLED_SECONDS = 1


def measure(samples: Samples, seconds: int) -> None:
    with Testbed() as bed:
        samples.add(Sample(NAME, GATEWAYS, 1, 0, _idle_connection(bed, seconds) | _left_behind(bed, seconds)))
        mlflow = real.start_mlflow(bed, "mlflow")
        try:
            _ask_mlflow(mlflow, bed, 2)
            for number in range(MLFLOW_ROUNDS):
                samples.add(Sample(NAME, MLFLOWS, 1, number, _ask_mlflow(mlflow, bed, MLFLOW_SECONDS)))
        finally:
            mlflow.stop()


def _idle_connection(bed: Testbed, seconds: int) -> dict[str, float]:
    results = Results()
    connections.measure(Plan([GATEWAY], [], 1, seconds, results), connections.IDLE, bed, 1)
    return results.records[0].figures


def _left_behind(bed: Testbed, seconds: int) -> dict[str, float]:
    """Bytes: of a read in the log, of a write in the audit stream."""
    server = Gateway("sizes").start(bed, 1)
    try:
        audit = bed.folder_of("sizes") / "audit.log"
        return {
            "line_bytes": _grown(server.output, server, GET, bed, seconds),
            "record_bytes": _grown(audit, server, POST, bed, seconds),
        }
    finally:
        server.stop()


def _grown(file: Path, server: Server, request: Request, bed: Testbed, seconds: int) -> float:
    """By how much a file grows with each request."""
    before = file.stat().st_size
    served = load.as_fast_as_it_goes(server, request, 4, seconds, bed.cores.rest)
    time.sleep(SETTLED_SECONDS)
    return (file.stat().st_size - before) / served.requests


def _ask_mlflow(mlflow: Server, bed: Testbed, seconds: int) -> dict[str, float]:
    served = load.as_fast_as_it_goes(mlflow, real.SEARCH, MLFLOW_CONNECTIONS, seconds, bed.cores.proxy)
    return {"per_second": served.per_second, "median_ms": served.median}
