"""The auth service and Redis behind TLS, MLflow without it: each is spoken to as its own address says."""

import json
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from stack import free_port

CERTIFICATE = """
[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
CN = auth.example
[extensions]
basicConstraints = critical, CA:FALSE
subjectAltName = IP:127.0.0.1
"""


class AuthService(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"is_valid": True, "user_id": "ada"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def certificate(tmp_path):
    """A certificate for 127.0.0.1 that nobody vouches for but itself, and its key."""
    config, certificate, key = tmp_path / "openssl.cnf", tmp_path / "certificate.pem", tmp_path / "key.pem"
    config.write_text(CERTIFICATE)
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "2", "-config", config]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


@pytest.fixture
def auth_service(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = ThreadingHTTPServer(("127.0.0.1", 0), AuthService)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def redis(certificate, tmp_path):
    """A redis-server that speaks only TLS, and a way to ask it."""
    port = free_port()
    path, key = certificate
    tls = ["--tls-cert-file", path, "--tls-key-file", key, "--tls-ca-cert-file", path, "--tls-auth-clients", "no"]
    command = ["redis-server", "--port", "0", "--tls-port", str(port), "--save", "", "--dir", tmp_path, *tls]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def cli(*arguments: str) -> str:
        ask = ["redis-cli", "-p", str(port), "--tls", "--cacert", path, *arguments]
        return subprocess.run(ask, capture_output=True, text=True, check=False).stdout

    eventually(lambda: "PONG" in cli("ping"))
    yield f"rediss://127.0.0.1:{port}", cli
    process.kill()
    process.wait()


def eventually(done) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.05)


def search(second_gateway) -> requests.Response:
    return requests.get(
        f"{second_gateway.tracking_uri}/api/2.0/mlflow/experiments/search",
        params={"max_results": 1},
        headers={"Authorization": "Bearer a-key-of-theirs"},
        timeout=30,
    )


def test_a_trusted_auth_service_is_asked_over_tls_and_mlflow_without(second_gateway, auth_service, certificate):
    second_gateway.start_gateway(HOKUSAI__AUTH__SERVICE__URL=auth_service, SSL_CERT_FILE=str(certificate[0]))
    answer = search(second_gateway)
    assert answer.status_code == 200, answer.text
    assert "experiments" in answer.json()


def test_an_auth_service_that_nobody_vouches_for_is_unavailable(second_gateway, auth_service):
    second_gateway.start_gateway(HOKUSAI__AUTH__SERVICE__URL=auth_service)
    answer = search(second_gateway)
    assert (answer.status_code, answer.json()["reason"]) == (503, "auth_unavailable")


def test_verdicts_are_shared_through_a_redis_behind_tls(second_gateway, auth_service, certificate, redis):
    url, cli = redis
    second_gateway.start_gateway(
        HOKUSAI__AUTH__SERVICE__URL=auth_service,
        HOKUSAI__AUTH__PEPPER="a pepper of the fleet's",
        REDIS_URL=url,
        SSL_CERT_FILE=str(certificate[0]),
    )

    def is_shared() -> bool:
        assert search(second_gateway).status_code == 200
        return "hokusai:verdict:" in cli("--scan")

    eventually(is_shared)
    eventually(lambda: cli("pubsub", "numsub", "hokusai:revoked").split()[-1:] == ["1"])


def test_a_redis_that_nobody_vouches_for_is_not_believed_and_not_needed(second_gateway, auth_service, certificate, redis):
    url, cli = redis
    second_gateway.start_gateway(
        HOKUSAI__AUTH__SERVICE__URL=auth_service,
        # The certificate is for the address, not for this name of it.
        REDIS_URL=url.replace("127.0.0.1", "localhost"),
        SSL_CERT_FILE=str(certificate[0]),
    )
    for _ in range(3):
        assert search(second_gateway).status_code == 200
    assert "hokusai:verdict:" not in cli("--scan")
