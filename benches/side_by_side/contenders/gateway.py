"""The gateway as it is deployed: authentication, policy, limits, metrics, a JSON line and audit, all on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ..processes import Server, free_port, start
from ..testbed import Testbed


@dataclass(frozen=True)
class Gateway:
    """Every setting at its default but those that are named here; a limit is high, never off."""

    name: str = "gateway"
    title: str = "gateway"
    # By an auth service instead of the key file.
    service: bool = False
    # auth.service.usage
    usage: str = "batch"
    # Another build than the test bed's.
    binary: Path | None = None

    def named(self, name: str) -> Gateway:
        return replace(self, name=name)

    def start(self, bed: Testbed, workers: int, upstream: str = "", **settings: str) -> Server:
        """`settings` are more of them: HOKUSAI__SECTION__KEY."""
        folder, address, metrics = bed.folder_of(self.name), f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        environment = {
            "MLFLOW_SERVER_URL": upstream or bed.upstream.url,
            "HOKUSAI__SERVER__BIND": address,
            "HOKUSAI__METRICS__BIND": metrics,
            "HOKUSAI__SERVER__WORKERS": str(workers),
            "HOKUSAI__LIMITS__PER_HOUR": "4000000000",
            "HOKUSAI__AUDIT__OUTPUT": str(folder / "audit.log"),
            "HOKUSAI__AUTH__KEY_FILE__PATH": str(bed.key_file),
        }
        if not self.binary:
            # All of a load is of one key. An older build knows no such limit.
            environment["HOKUSAI__LIMITS__CONCURRENT"] = "4000000000"
        if self.service:
            environment |= {
                "HOKUSAI_AUTH_SERVICE_URL": bed.upstream.url,
                # Cold keys come faster than any deployment sees new ones.
                "HOKUSAI__AUTH__SERVICE__MAX_PER_SECOND": "1000000",
                "HOKUSAI__AUTH__SERVICE__MAX_IN_FLIGHT": "1024",
            }
            if self.binary is None:
                # An earlier build may not know them.
                environment |= {
                    "HOKUSAI__AUTH__SERVICE__USAGE": self.usage,
                    "HOKUSAI__AUTH__SERVICE__USAGE_SPOOL": str(folder / "usage"),
                    # So that it is told within a measurement.
                    "HOKUSAI__AUTH__SERVICE__USAGE_INTERVAL": "1s",
                }
        base = f"http://{address}/api/mlflow"
        command = [self.binary or bed.binary, "serve"]
        server = start(
            self.name, command, base, folder, bed.cores.proxy, environment | settings, f"http://{address}/ready"
        )
        server.authorizations = [f"Bearer {key}" for key in bed.keys]
        server.authorization = server.authorizations[0]
        server.request_log = server.output
        server.metrics = f"http://{metrics}/metrics"
        return server
