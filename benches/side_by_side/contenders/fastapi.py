"""The kind of proxy that the gateway came to replace: FastAPI and httpx under uvicorn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..processes import Server, free_port, start
from ..testbed import ROOT, Testbed

APP = Path(__file__).parents[1] / "original"
PYTHON = ROOT / ".venv" / "bench" / "bin" / "python"


@dataclass(frozen=True)
class FastAPI:
    name: str
    title: str

    def start(self, bed: Testbed, workers: int) -> Server:
        folder, port = bed.folder_of(self.name), free_port()
        command = [PYTHON, "-m", "uvicorn", "buffering_proxy:app", "--app-dir", APP]
        command += ["--host", "127.0.0.1", "--port", port, "--workers", workers]
        url, base = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port}/api/mlflow"
        environment = {"UPSTREAM": bed.upstream.url, "AUTH_SERVICE": bed.upstream.url}
        server = start(self.name, command, base, folder, bed.cores.proxy, environment, f"{url}/health")
        server.authorizations = [f"Bearer {key}" for key in bed.keys]
        server.authorization = server.authorizations[0]
        server.request_log = server.output
        return server
