"""HAProxy: keys in a map, a stick table that limits, and a JSON line."""

from __future__ import annotations

from dataclasses import dataclass

from ..processes import Server, free_port, start
from ..testbed import Testbed

CONFIGURATION = """
global
    nbthread {workers}
    maxconn 16000
    # A machine that allows fewer open files than two for each of them is no reason not to start.
    no strict-limits
    log stdout format raw local0

defaults
    mode http
    timeout connect 5s
    timeout client 75s
    timeout server 120s
    timeout http-keep-alive 75s
    option http-keep-alive
    {splicing}

frontend in
    bind 127.0.0.1:{port}
    log global
    log-format '{log}'
    stick-table type string len 64 size 200k expire 1h store http_req_rate(1h)
    unique-id-format %[uuid()]
    http-request set-var(txn.key_id) http_auth_bearer,map({folder}/keys.map)
    http-request return status 401 unless {{ var(txn.key_id) -m found }}
    http-request track-sc0 var(txn.key_id)
    http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt 4000000000 }}
    http-request set-var(txn.path) path
    # Without /api/mlflow.
    http-request set-path %[path,bytes(11)]
    http-request del-header authorization
    http-request set-header X-Request-Id %[unique-id]
    http-request set-header X-Hokusai-Key-Id %[var(txn.key_id)]
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    default_backend mlflow

backend mlflow
    http-reuse always
    server mlflow {upstream} pool-max-conn 256
"""

# The fields are those of the gateway's line.
LOG = (
    '{"timestamp":"%T","level":"INFO","message":"request","request_id":"%ID","trace_id":"%ID","method":"%HM",'
    '"path":"%[var(txn.path),json(utf8s)]","client_ip":"%ci","cache":"memory","user_id":"%[var(txn.key_id)]",'
    '"key_id":"%[var(txn.key_id)]","route":"mlflow","upstream_ms":%Tr,"bytes_in":%U,"bytes_out":%B,'
    '"status":%ST,"latency_ms":%Ta}'
)


@dataclass(frozen=True)
class HAProxy:
    name: str = "haproxy"
    title: str = "HAProxy, key map, stick table, JSON log"
    # Bodies through the kernel's pipes; off by default.
    splices: bool = False

    def start(self, bed: Testbed, workers: int) -> Server:
        folder, port = bed.folder_of(self.name), free_port()
        lines = (f"{key} key-{number}\n" for number, key in enumerate(bed.keys))
        (folder / "keys.map").write_text("".join(lines))
        configuration = CONFIGURATION.format(
            workers=workers,
            splicing="option splice-auto" if self.splices else "",
            port=port,
            log=LOG,
            folder=folder,
            upstream=bed.upstream.address,
        )
        path = folder / "haproxy.cfg"
        path.write_text(configuration)
        server = start(
            self.name, ["haproxy", "-db", "-f", path], f"http://127.0.0.1:{port}/api/mlflow", folder, bed.cores.proxy
        )
        server.authorizations = [f"Bearer {key}" for key in bed.keys]
        server.authorization = server.authorizations[0]
        server.request_log = server.output
        return server
