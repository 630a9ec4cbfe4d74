"""Caddy: forward_auth, which asks about every request, and a JSON line. It has no limit of its own."""

from __future__ import annotations

from dataclasses import dataclass

from ..processes import Server, free_port, start
from ..testbed import Testbed

CONFIGURATION = """
{{
    admin off
    auto_https off
    storage file_system {folder}/storage
}}
http://127.0.0.1:{port} {{
    log {{
        output stdout
        format json
    }}
    handle_path /api/mlflow/* {{
        forward_auth {upstream} {{
            uri /api/v1/keys/validate
            copy_headers X-User-Id X-Key-Id
        }}
        reverse_proxy {upstream} {{
            header_up -Authorization
            transport http {{
                keepalive_idle_conns_per_host 256
            }}
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Caddy:
    name: str
    title: str

    def start(self, bed: Testbed, workers: int) -> Server:
        folder, port = bed.folder_of(self.name), free_port()
        path = folder / "Caddyfile"
        path.write_text(CONFIGURATION.format(folder=folder, port=port, upstream=bed.upstream.address))
        command = ["caddy", "run", "--config", path, "--adapter", "caddyfile"]
        environment = {"GOMAXPROCS": str(workers), "HOME": str(folder)}
        server = start(self.name, command, f"http://127.0.0.1:{port}/api/mlflow", folder, bed.cores.proxy, environment)
        server.authorizations = [f"Bearer {key}" for key in bed.keys]
        server.authorization = server.authorizations[0]
        server.request_log = server.output
        return server
