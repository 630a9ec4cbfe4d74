"""A real MLflow: bare, behind the gateway, and with its own basic-auth app.

MLflow is the slow one here. It has its core to itself, with the gateway and the load on the other.
"""

from __future__ import annotations

import base64
import secrets
import sys
from pathlib import Path

from .. import load
from ..contenders.every import GATEWAY
from ..cost import Meter
from ..load import Request
from ..processes import Server, free_port, start
from ..results import Record
from ..testbed import ROOT, Testbed
from . import Plan, in_turn

NAME = "mlflow"
SEARCH = Request("/api/2.0/mlflow/experiments/search?max_results=1")
CONNECTIONS = 4
# MLflow answers a few hundred a second: of fewer seconds there would be too few to compare.
LEAST_SECONDS = 8
# Basic-auth answers four; which is known after two rounds.
BASIC_ROUNDS = 2
# What basic-auth wants besides (scripts/bench/mlflow-auth.txt).
AUTH_PACKAGES = ROOT / ".venv" / "bench" / "mlflow-auth"
PASSWORD = secrets.token_urlsafe()
BASIC = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()


def measure(plan: Plan, bed: Testbed, workers: int) -> None:
    seconds = max(plan.seconds, LEAST_SECONDS)
    servers: dict[str, Server] = {}
    try:
        servers["mlflow"] = start_mlflow(bed, "mlflow")
        servers["mlflow-gateway"] = GATEWAY.start(bed, workers, upstream=servers["mlflow"].base)
        servers["mlflow-basic-auth"] = start_mlflow(bed, "mlflow-basic-auth", "--app-name", "basic-auth")
        servers["mlflow-basic-auth"].authorization = f"Basic {BASIC}"
        for server in servers.values():
            load.ask_once(server, SEARCH)
            load.as_fast_as_it_goes(server, SEARCH, CONNECTIONS, 2, bed.cores.proxy)
        for number in range(plan.rounds):
            if number == BASIC_ROUNDS:
                servers.pop("mlflow-basic-auth").stop()
            for name, server in in_turn(servers, number):
                with Meter(server) as cost:
                    served = load.as_fast_as_it_goes(server, SEARCH, CONNECTIONS, seconds, bed.cores.proxy)
                figures = {"per_second": served.per_second, "median_ms": served.median, "p99_ms": served.p99}
                figures["cpu_us"] = cost.cpu / served.requests * 1e6
                plan.results.add(Record(NAME, name, workers, number, figures))
    finally:
        for server in reversed(servers.values()):
            server.stop()


def start_mlflow(bed: Testbed, name: str, *arguments: str) -> Server:
    """As scripts/stack.py does: one worker, no job runner."""
    folder, port = bed.folder_of(name), free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", port, "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--serve-artifacts", "--artifacts-destination", f"file://{folder}/artifacts", *arguments]
    environment = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONPATH": str(AUTH_PACKAGES),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "of a benchmark",
        "MLFLOW_AUTH_CONFIG_PATH": str(_auth_config(folder)),
    }
    base = f"http://127.0.0.1:{port}"
    return start(name, command, base, folder, bed.cores.rest, environment, f"{base}/health")


def _auth_config(folder: Path) -> Path:
    path = folder / "basic_auth.ini"
    path.write_text(
        "[mlflow]\ndefault_permission = READ\n"
        f"database_uri = sqlite:///{folder}/basic_auth.db\n"
        f"admin_username = admin\nadmin_password = {PASSWORD}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    return path
