"""A key goes everywhere a key can go, and is found nowhere afterwards."""

import base64
import hashlib
import socket
from pathlib import Path

import requests
from stack import free_port
from test_alarms import answering, die

# Obviously not a key of anybody's.
CANARY = "hk_test_CANARYcanaryCANARYcanary00000000"


def test_a_key_is_in_no_log_no_metric_no_audit_record_and_not_in_redis(second_gateway):
    good = {"is_valid": True, "key_id": "k-1", "user_id": "u-1", "scopes": ["mlflow:read", "mlflow:delete"]}
    mlflow, auth = answering({}), answering(good)
    port, audit = free_port(), second_gateway.folder / "audit" / "audit.jsonl"
    audit.parent.mkdir()
    plain = ["--rdbcompression", "no", "--dir", str(second_gateway.folder), "--save", ""]
    redis = second_gateway.start("redis", ["redis-server", "--port", str(port), *plain], {})
    second_gateway.mlflow_url = f"http://127.0.0.1:{mlflow.server_port}"
    second_gateway.start_gateway(
        HOKUSAI_AUTH_SERVICE_URL=f"http://127.0.0.1:{auth.server_port}",
        HOKUSAI__AUTH__CACHE__TTL="200ms",
        HOKUSAI__AUTH__PEPPER="obviously-a-pepper-of-a-test-0000",
        REDIS_URL=f"redis://127.0.0.1:{port}",
        HOKUSAI__AUDIT__OUTPUT=str(audit),
        HOKUSAI__TELEMETRY__EMF="true",
        HOKUSAI__TELEMETRY__EMF_INTERVAL="1s",
        HOKUSAI__TELEMETRY__FILTER="trace",
    )
    basic = base64.b64encode(f"ada:{CANARY}".encode()).decode()
    ways = [
        {"Authorization": f"Bearer {CANARY}"},
        {"Authorization": f"Basic {basic}"},
        {"Authorization": f"ApiKey {CANARY}"},
        {"X-API-Key": CANARY},
        {"X-API-Key": CANARY, "Authorization": f"Bearer {CANARY}"},
        {"Authorization": f"Digest {CANARY}"},
        {"Cookie": f"token={CANARY}"},
        {"Authorization": f"Bearer {CANARY}", "Expect": "100-continue"},
        {"Authorization": f"Bearer {CANARY}", "X_API_KEY": CANARY},
    ]
    seen = set()

    def everywhere():
        for headers in ways:
            for method, path, body in [
                ("GET", "/api/mlflow/version", None),
                ("GET", f"/api/2.0/mlflow/runs/get?token={CANARY}", None),
                ("POST", "/api/2.0/mlflow/runs/delete", f'{{"run_id": "1", "note": "{CANARY}"}}'),
                ("POST", "/api/2.0/mlflow/runs/delete", f'{{"note": "{CANARY}", "note": ""}}'),
                ("POST", "/api/2.0/mlflow/runs/create", "{}"),
                ("GET", f"/nowhere?key={CANARY}", None),
                ("GET", f"/api/mlflow/../x?key={CANARY}", None),
                ("TRACE", "/api/mlflow/version", None),
            ]:
                url = second_gateway.url + path
                prepared = requests.Request(method, url, headers=headers, data=body).prepare()
                prepared.url = url
                with requests.Session() as session:
                    answer = session.send(prepared, timeout=60)
                assert CANARY not in answer.text and not any(CANARY in value for value in answer.headers.values())
                seen.add(answer.status_code)

    everywhere()
    die(auth)
    everywhere()
    die(mlflow)
    everywhere()
    metrics = requests.get(second_gateway.metrics_url, timeout=60).text
    # The raw key, and what it could be found by again.
    forms = [CANARY.encode(), basic.encode(), hashlib.sha256(CANARY.encode()).hexdigest().encode(), hashlib.sha256(CANARY.encode()).digest()]
    assert not any(form in metrics.encode() for form in forms)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"SAVE\r\n")
        assert connection.recv(100).startswith(b"+OK")
    second_gateway.halt(redis)
    second_gateway.stop()
    for file in ("gateway.log", "audit/audit.jsonl", "dump.rdb"):
        content = Path(second_gateway.folder, file).read_bytes()
        assert len(content) > 500, file
        assert not any(form in content for form in forms), file
    assert {200, 400, 401, 403, 404, 405} <= seen and seen & {502, 503}
