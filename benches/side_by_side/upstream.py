"""What stands behind every contender: nginx with a small JSON, a file of a gibibyte, and an auth service that says yes."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

from .processes import Server, free_port, start

GIBIBYTE = 1 << 30
# 160 bytes, as MLflow answers experiments/get.
SMALL = '{"experiment": {"experiment_id": "0", "name": "Default", "artifact_location": "mlflow-artifacts:/0", '
SMALL += '"lifecycle_stage": "active", "creation_time": 17672256000}}'
assert len(SMALL) == 160, len(SMALL)

# What the gateway asks of a run: the experiment above.
RUN = json.dumps({"run": {"info": {"run_id": "0" * 32, "experiment_id": "0", "artifact_uri": "mlflow-artifacts:/0/run/artifacts"}}})

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
VERDICT = {"is_valid": True, "user_id": "ada", "key_id": "$key_id", "service_id": "platform"}
VERDICT |= {"scopes": ["mlflow:read", "mlflow:write"]}

CONFIGURATION = """
worker_processes 1;
daemon off;
pid {folder}/upstream.pid;
error_log {folder}/upstream.err;
{user}
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    client_max_body_size 0;
    client_body_buffer_size 1m;
    client_body_temp_path {memory}/bodies;
    proxy_temp_path {folder}/up-proxy;
    fastcgi_temp_path {folder}/up-fastcgi;
    uwsgi_temp_path {folder}/up-uwsgi;
    scgi_temp_path {folder}/up-scgi;
    default_type application/json;

    # A key has an id of its own.
    map $http_authorization $key_id {{ default none; "~^Bearer (?<id>.{{20}})" $id; }}

    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 '{small}'; }}
        location = /api/2.0/mlflow/runs/get {{ return 200 '{run}'; }}
        # Read whole and kept, so that it can be seen whether all of it came.
        location {artifacts}/ {{ alias {memory}/; dav_methods PUT; default_type application/octet-stream; }}
        # As the gateway asks, and as auth_request and forward_auth do.
        location = /api/v1/keys/validate {{
            add_header X-Key-Id $key_id;
            add_header X-User-Id ada;
            return 200 '{verdict}';
        }}
        location /api/v1/usage {{ return 200 '{{}}'; }}
    }}
}}
"""


class Upstream:
    """One nginx worker; files in memory."""

    def __init__(self, folder: Path, cores: frozenset[int]) -> None:
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self.url = f"http://{self.address}"
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.memory = Path(tempfile.mkdtemp(prefix="side-by-side-", dir=memory))
        self.memory.chmod(0o777)
        configuration = CONFIGURATION.format(
            folder=folder,
            memory=self.memory,
            port=port,
            small=SMALL,
            run=RUN,
            artifacts=ARTIFACTS,
            verdict=json.dumps(VERDICT),
            user=as_root(),
        )
        path = folder / "upstream.conf"
        path.write_text(configuration)
        command = ["nginx", "-c", path, "-p", folder, "-e", folder / "upstream.err"]
        self.server: Server = start("upstream", command, self.url, folder, cores)

    def make_file(self, name: str, size: int = GIBIBYTE) -> Path:
        """A file to download, or to upload from."""
        path = self.memory / name
        if not path.exists():
            block = os.urandom(1 << 20)
            with path.open("wb") as file:
                for _ in range(size >> 20):
                    file.write(block)
        return path

    def take_upload(self, name: str) -> int:
        """The size of what was uploaded, which is removed."""
        path = self.memory / name
        size = path.stat().st_size
        path.unlink()
        return size

    def stop(self) -> None:
        self.server.stop()
        shutil.rmtree(self.memory, ignore_errors=True)


def as_root() -> str:
    """nginx's workers must read what this process writes."""
    return "user root;" if os.geteuid() == 0 else ""
