"""`make attack`: slowhttptest's three attacks, and their cost for good clients.

Good clients ask for a small thing at a steady rate; their p99 is taken without an attack and with each one, in turn and
in several rounds, and compared as ratios: the machine is shared, seconds mean little.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.client import HTTPConnection
from pathlib import Path

from stack import Stack, free_port

ROUNDS, SECONDS, RATE = 3, 8, 100
# Headers that never end, of strangers; bodies that never end and responses that are hardly read, of somebody with a key:
# a stranger's are refused at once, and with that the attack is over. Connections, whether with a key, options.
ATTACKS = {
    "slow headers": (1000, False, ["-H", "-i", "2"]),
    "slow bodies": (200, True, ["-B", "-i", "2", "-s", "65536"]),
    "slow reading": (200, True, ["-X", "-w", "10", "-y", "20", "-n", "2", "-z", "32"]),
}


NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 "{small}"; }}
        location /api/2.0/mlflow-artifacts/ {{ rewrite ^ /large break; root {folder}; }}
    }}
}}
"""


def start_nginx(folder: Path) -> tuple[subprocess.Popen, str]:
    """Stands for MLflow: the attacks are on the gateway."""
    port = free_port()
    (folder / "large").write_bytes(b"x" * 4_000_000)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, small="x" * 160))
    folder.chmod(0o755)
    return subprocess.Popen(["nginx", "-c", folder / "nginx.conf", "-p", folder]), f"http://127.0.0.1:{port}"


def percentile_99(stack: Stack) -> float:
    """Milliseconds of requests sent at a steady rate, whether or not earlier ones were answered."""
    taken: list[float] = []

    def ask(share: int) -> None:
        host, port = stack.url.removeprefix("http://").split(":")
        connection = HTTPConnection(host, int(port), timeout=30)
        headers = {"Authorization": f"Bearer {stack.key}"}
        begin = time.monotonic()
        for number in range(SECONDS * RATE // 4):
            due = begin + (4 * number + share) / RATE
            time.sleep(max(0.0, due - time.monotonic()))
            started = time.monotonic()
            connection.request("GET", "/api/2.0/mlflow/runs/get", headers=headers)
            response = connection.getresponse()
            response.read()
            assert response.status == 200, response.status
            taken.append((time.monotonic() - started) * 1000)

    clients = [threading.Thread(target=ask, args=(share,)) for share in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return statistics.quantiles(taken, n=100)[98]


def attack(stack: Stack, connections: int, options: list[str]) -> subprocess.Popen:
    target = f"{stack.url}/api/2.0/mlflow-artifacts/artifacts/large"
    command = ["slowhttptest", "-c", str(connections), "-r", "500", "-l", "60", "-u", target, *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        nginx, mlflow_url = start_nginx(folder)
        stack = Stack(folder / "gateway", Path("target/release/hokusai-gateway").absolute(), gateway_port=free_port())
        stack.mlflow_url = mlflow_url
        stack.key = stack.create_key("--user", "ada", "--test")
        # The prober's look at nginx is answered like everything else.
        stack.start_gateway(HOKUSAI__TELEMETRY__FILTER="warn", HOKUSAI__LIMITS__MODE="off")
        # slowhttptest has no option for a header of one's own: this one stands on a line behind Accept.
        key = ["-m", f"*/*\r\nAuthorization: Bearer {stack.key}"]
        try:
            ratios: dict[str, list[float]] = {name: [] for name in ATTACKS}
            for round_number in range(ROUNDS):
                for name, (connections, signed_in, options) in ATTACKS.items():
                    calm = percentile_99(stack)
                    attacker = attack(stack, connections, [*options, *(key if signed_in else [])])
                    # Until the attack has all its connections: slowhttptest opens 500 a second (-r), and tells of no event.
                    time.sleep(3)
                    attacked = percentile_99(stack)
                    assert attacker.poll() is None, "the attack ended before it was measured"
                    attacker.kill()
                    attacker.wait()
                    ratios[name].append(attacked / calm)
                    print(f"round {round_number + 1}, {name}: p99 {calm:.2f} ms calm, {attacked:.2f} ms attacked", flush=True)
        finally:
            stack.stop()
            nginx.terminate()
            nginx.wait()
    for name, of_attack in ratios.items():
        print(f"{name}: p99 {statistics.median(of_attack):.2f} times that of calm (median of {ROUNDS})")
    return 0 if all(statistics.median(of_attack) <= 2 for of_attack in ratios.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
