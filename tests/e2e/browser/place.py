"""The gateway as a browser reaches it: at its own machine, or at a public name with other sites beside it."""

import http.server
import subprocess
import threading
from pathlib import Path

import mlflow
import requests
from front import Authority
from stack import Stack, free_port
from waiting import eventually

HAPROXY = """
global
    maxconn 500
defaults
    mode http
    timeout connect 5s
    timeout client 120s
    timeout server 120s
frontend tls
    bind 127.0.0.1:{port} ssl crt {certificate}
    option forwardfor
    http-request set-header X-Forwarded-Proto https
    use_backend gateways if {{ hdr_beg(host) -i mlflow.example.com }}
    default_backend others
backend gateways
    balance roundrobin
{servers}
backend others
    server others 127.0.0.1:{others}
"""


class Seed:
    """An experiment, a run with metrics and a file, a trace, a registered model."""

    experiment, run_name, model, trace_name, file = "acme/orders", "baseline", "acme-orders", "answer", "notes.txt"

    def __init__(self, stack) -> None:
        mlflow.set_tracking_uri(stack.mlflow_url)
        self.client = mlflow.MlflowClient(stack.mlflow_url, stack.mlflow_url)
        self.experiment_id = mlflow.set_experiment(self.experiment).experiment_id
        with mlflow.start_run(run_name=self.run_name) as run:
            self.run_id = run.info.run_id
            for step in range(20):
                mlflow.log_metric("loss", 1 / (step + 1), step=step)
            mlflow.log_text("words of a file", self.file)
        with mlflow.start_span(self.trace_name) as span:
            span.set_inputs({"question": "what is in the trace"})
            span.set_outputs({"answer": "an answer of the trace"})
        mlflow.flush_trace_async_logging()
        self.trace_id = span.trace_id
        self.client.create_registered_model(self.model)
        self.client.create_model_version(self.model, f"runs:/{self.run_id}/model", self.run_id)


class Place:
    def __init__(self, url: str, key_file: Path, binary: Path, seeded: Seed) -> None:
        self.url, self.key_file, self.binary, self.seeded = url, key_file, binary, seeded
        # Where each gateway listens.
        self.instances = [url]

    def new_key(self, user: str) -> tuple[str, str]:
        """A key and its id."""
        command = [self.binary, "keys", "create", "--file", self.key_file, "--user", user, "--test"]
        scopes = [f"--scope={scope}" for scope in ("mlflow:read", "mlflow:write", "mlflow:delete")]
        made = subprocess.run([*command, *scopes], check=True, text=True, capture_output=True)
        key = made.stdout.strip()
        # Each instance reads the file again within a second, by itself.
        known = {"headers": {"Authorization": f"Bearer {key}"}, "timeout": 5}
        for instance in self.instances:
            eventually(lambda: requests.get(f"{instance}/account", **known).ok, "the new key is known")  # noqa: B023
        return key, next(word for word in made.stderr.split() if word.startswith("test_"))

    def revoke(self, key_id: str) -> None:
        subprocess.run([self.binary, "keys", "revoke", "--file", self.key_file, key_id], check=True, capture_output=True)

    def log_in(self, page, key: str, at: str = "/mlflow/") -> None:
        """As a person does, who has a link."""
        page.goto(self.url + at)
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Log in").click()


class Public(Place):
    """Over TLS; every other name leads to `pages`: what a test puts there, by path."""

    def __init__(self, gateways: list[Stack], key_file: Path, seeded: Seed) -> None:
        self.port, self.gateways = free_port(), gateways
        super().__init__(f"https://mlflow.example.com:{self.port}", key_file, gateways[0].binary, seeded)
        self.instances = [gateway.url for gateway in gateways]
        self.pages: dict[str, str] = {}

    def at(self, host: str) -> str:
        return f"https://{host}:{self.port}"

    def __enter__(self) -> "Public":
        pages = self.pages

        class Others(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = pages.get(self.path, "").encode()
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.others = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Others)
        threading.Thread(target=self.others.serve_forever, daemon=True).start()
        first = self.gateways[0]
        certificate, key = Authority(first.folder / "authority").issue("DNS:mlflow.example.com,DNS:*.example.com,DNS:evil.example")
        pem = first.folder / "balancer.pem"
        pem.write_text(certificate.read_text() + key.read_text())
        servers = [f"    server gateway-{at} {gateway.url.removeprefix('http://')}" for at, gateway in enumerate(self.gateways)]
        configuration = first.folder / "haproxy.cfg"
        filled = HAPROXY.format(port=self.port, certificate=pem, servers="\n".join(servers), others=self.others.server_port)
        configuration.write_text(filled)
        process = first.start("haproxy", ["haproxy", "-db", "-f", str(configuration)], {})
        first.wait_for_port(process, "haproxy", "127.0.0.1", self.port)
        return self

    def __exit__(self, *_: object) -> None:
        self.others.shutdown()
