"""The auth service behind TLS, MLflow without it: each is spoken to as its own address says."""

import json
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

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
def auth_service(tmp_path):
    config, certificate, key = tmp_path / "openssl.cnf", tmp_path / "certificate.pem", tmp_path / "key.pem"
    config.write_text(CERTIFICATE)
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "2", "-config", config]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), AuthService)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}", certificate
    server.shutdown()
    server.server_close()


def search(second_gateway) -> requests.Response:
    return requests.get(
        f"{second_gateway.tracking_uri}/api/2.0/mlflow/experiments/search",
        params={"max_results": 1},
        headers={"Authorization": "Bearer a-key-of-theirs"},
        timeout=30,
    )


def test_a_trusted_auth_service_is_asked_over_tls_and_mlflow_without(second_gateway, auth_service):
    url, certificate = auth_service
    second_gateway.start_gateway(HOKUSAI__AUTH__SERVICE__URL=url, SSL_CERT_FILE=str(certificate))
    answer = search(second_gateway)
    assert answer.status_code == 200, answer.text
    assert "experiments" in answer.json()


def test_an_auth_service_that_nobody_vouches_for_is_unavailable(second_gateway, auth_service):
    url, _ = auth_service
    second_gateway.start_gateway(HOKUSAI__AUTH__SERVICE__URL=url)
    answer = search(second_gateway)
    assert (answer.status_code, answer.json()["reason"]) == (503, "auth_unavailable")
