"""The auth service and Redis behind TLS, MLflow without it: each is spoken to as its own address says."""

import json
import socket
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from commands import check, run
from stack import free_port
from waiting import eventually

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


def make_certificate(folder):
    """A certificate for 127.0.0.1 that nobody vouches for but itself, and its key."""
    folder.mkdir(exist_ok=True)
    config, certificate, key = folder / "openssl.cnf", folder / "certificate.pem", folder / "key.pem"
    config.write_text(CERTIFICATE)
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "2", "-config", config]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


@pytest.fixture
def certificate(tmp_path):
    return make_certificate(tmp_path / "certificate")


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


def test_clients_are_served_over_tls_and_a_renewed_certificate_is_taken_over(stack, second_gateway, certificate, tmp_path):
    path, key = certificate
    shown, shown_key = tmp_path / "shown.pem", tmp_path / "shown-key.pem"
    shown.write_bytes(path.read_bytes())
    shown_key.touch(mode=0o600)
    shown_key.write_bytes(key.read_bytes())
    second_gateway.start_gateway_over_tls(
        path,
        HOKUSAI__AUTH__KEY_FILE__PATH=str(stack.key_file),
        HOKUSAI__SERVER__TLS__CERT=str(shown),
        HOKUSAI__SERVER__TLS__KEY=str(shown_key),
    )
    url = second_gateway.url.replace("http://", "https://")

    def ask(ca) -> requests.Response:
        target = f"{url}/api/mlflow/api/2.0/mlflow/experiments/search"
        headers = {"Authorization": f"Bearer {stack.key}"}
        return requests.get(target, params={"max_results": 1}, headers=headers, verify=str(ca), timeout=30)

    assert ask(path).status_code == 200
    with pytest.raises(requests.ConnectionError):
        requests.get(second_gateway.url, timeout=5)
    tls = {"HOKUSAI__SERVER__TLS__CERT": str(shown), "HOKUSAI__SERVER__TLS__KEY": str(shown_key)}
    address = {"HOKUSAI__SERVER__BIND": second_gateway.url.removeprefix("http://"), "MLFLOW_SERVER_URL": "http://a"}
    assert run(second_gateway.binary, ["healthcheck"], tmp_path, address | tls).said == {"ok": True, "what": None}
    # Plain HTTP to a port that speaks TLS.
    assert run(second_gateway.binary, ["healthcheck"], tmp_path, address).code == 1

    renewed, renewed_key = make_certificate(tmp_path / "renewed")
    # One after the other: in between the two do not belong together, and the old pair stays.
    shown.write_bytes(renewed.read_bytes())
    assert ask(path).status_code == 200
    shown_key.write_bytes(renewed_key.read_bytes())

    def is_renewed() -> bool:
        try:
            return ask(renewed).status_code == 200
        except requests.exceptions.SSLError:
            return False

    eventually(is_renewed)


class FakeMlflow(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        subject = self.connection.getpeercert().get("subject", ())
        body = json.dumps({"shown": str(subject), "proto": self.headers["X-Forwarded-Proto"]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_mlflow_is_known_by_an_authority_of_its_own_and_shown_our_certificate(stack, second_gateway, certificate, tmp_path):
    path, key = certificate
    ours, our_key = make_certificate(tmp_path / "ours")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ours)
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeMlflow)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    second_gateway.mlflow_url = f"https://127.0.0.1:{server.server_port}"
    second_gateway.start_gateway(
        HOKUSAI__AUTH__KEY_FILE__PATH=str(stack.key_file),
        HOKUSAI__MLFLOW__TLS__CA=str(path),
        HOKUSAI__MLFLOW__TLS__CERT=str(ours),
        HOKUSAI__MLFLOW__TLS__KEY=str(our_key),
    )
    headers = {"Authorization": f"Bearer {stack.key}"}
    answer = requests.get(f"{second_gateway.tracking_uri}/api/2.0/mlflow/runs/get", headers=headers, timeout=30).json()
    assert "auth.example" in answer["shown"] and answer["proto"] == "http"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("section", ["SERVER__TLS", "MLFLOW__TLS"])
def test_a_file_that_is_named_and_missing_is_fatal(stack, certificate, tmp_path, section):
    environment = {
        "MLFLOW_SERVER_URL": "https://127.0.0.1:1",
        "HOKUSAI__AUTH__KEY_FILE__PATH": str(stack.key_file),
        f"HOKUSAI__{section}__CERT": str(tmp_path / "nowhere.pem"),
        f"HOKUSAI__{section}__KEY": str(certificate[1]),
    }
    ended = subprocess.run([str(stack.binary), "serve"], env=environment, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 64 and "nowhere.pem" in ended.stderr, ended.stderr


@pytest.mark.parametrize(
    ("mode", "code"), [(0o400, 0), (0o600, 0), (0o640, 0), (0o604, 64), (0o644, 64), (0o666, 64), (0o602, 64)]
)
@pytest.mark.parametrize("section", ["SERVER__TLS", "MLFLOW__TLS", "AUTH__SERVICE__TLS"])
def test_a_private_key_that_others_may_read_is_none(stack, certificate, section, mode, code):
    path, key = certificate
    key.chmod(mode)
    tls = {f"HOKUSAI__{section}__CERT": str(path), f"HOKUSAI__{section}__KEY": str(key), "MLFLOW_SERVER_URL": "https://127.0.0.1:2"}
    if section.startswith("AUTH"):
        tls["HOKUSAI__AUTH__SERVICE__URL"] = "https://127.0.0.1:2"
    report = check(stack, **tls)
    assert report.code == code, report.printed
    name = section.lower().replace("__", ".") + ".key"
    assert code == 0 or (f"mode {mode:04o}" in report.problem(name) and "chmod o-" in report.problem(name))


def test_a_certificate_whose_key_others_may_read_is_not_taken_over(second_gateway, tmp_path):
    shown, shown_key = make_certificate(tmp_path / "shown")
    tls = {"HOKUSAI__SERVER__TLS__CERT": str(shown), "HOKUSAI__SERVER__TLS__KEY": str(shown_key)}
    second_gateway.create_key("--user", "ada")
    second_gateway.start_gateway_over_tls(shown, **tls)
    shown_key.chmod(0o644)
    eventually(lambda: "may be read by everybody" in second_gateway.log("gateway").read_text())
    assert requests.get(f"{second_gateway.url.replace('http', 'https')}/live", verify=str(shown), timeout=30).status_code == 200


class EndlessMlflow(BaseHTTPRequestHandler):
    """Endless where it is asked for that; it answers the gateway's own call."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        is_endless = "endless" in self.path
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "1000000000000" if is_endless else "2")
        self.end_headers()
        try:
            self.wfile.write(b"{}")
            while is_endless:
                self.wfile.write(b"x" * 65536)
        except OSError:
            self.close_connection = True

    def log_message(self, *_):
        pass


def test_a_client_that_takes_nothing_is_given_up_over_tls_too(stack, second_gateway, certificate):
    server = ThreadingHTTPServer(("127.0.0.1", 0), EndlessMlflow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    second_gateway.mlflow_url = f"http://127.0.0.1:{server.server_port}"
    second_gateway.start_gateway_over_tls(
        certificate[0],
        HOKUSAI__AUTH__KEY_FILE__PATH=str(stack.key_file),
        HOKUSAI__SERVER__TLS__CERT=str(certificate[0]),
        HOKUSAI__SERVER__TLS__KEY=str(certificate[1]),
        HOKUSAI__SERVER__WORKERS="1",
        HOKUSAI__SERVER__BODY_IDLE_TIMEOUT="1s",
        HOKUSAI__MLFLOW__MAX_CONNECTIONS="2",
        HOKUSAI__MLFLOW__QUEUE_TIMEOUT="1ms",
        # What would end such a download as well, by chance.
        HOKUSAI__MLFLOW__IDLE_TIMEOUT="1h",
        HOKUSAI__MLFLOW__PROBE_INTERVAL="1h",
    )
    host, port = second_gateway.url.removeprefix("http://").split(":")
    context = ssl.create_default_context(cafile=certificate[0])
    stuck = []
    for _ in range(2):
        connection = context.wrap_socket(socket.create_connection((host, int(port))), server_hostname=host)
        connection.sendall(f"GET /mlflow/static-files/endless HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {stack.key}\r\n\r\n".encode())
        assert connection.recv(1)
        stuck.append(connection)
    url = f"{second_gateway.url.replace('http://', 'https://')}/mlflow/version"
    headers = {"Authorization": f"Bearer {stack.key}"}
    ask = lambda: requests.get(url, headers=headers, verify=str(certificate[0]), timeout=30).status_code  # noqa: E731
    assert ask() == 503
    eventually(lambda: ask() == 200)
    server.shutdown()
    server.server_close()


def test_an_answer_in_the_middle_of_an_upload_comes_through_tls(stack, second_gateway, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    listener = socket.create_server(("127.0.0.1", 0))
    kept = []

    def serve():
        while True:
            connection = context.wrap_socket(listener.accept()[0], server_side=True)
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096)
            # The gateway's own looks and calls are answered well.
            status, body = ("200 OK", "{}") if head.startswith(b"GET") else ("413 X", "too much")
            of_body = f"Content-Type: application/json\r\nContent-Length: {len(body)}"
            connection.sendall(f"HTTP/1.1 {status}\r\nConnection: close\r\n{of_body}\r\n\r\n{body}".encode())
            # It reads no more, and does not close either.
            kept.append(connection)

    threading.Thread(target=serve, daemon=True).start()
    second_gateway.mlflow_url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    second_gateway.start_gateway(
        HOKUSAI__AUTH__KEY_FILE__PATH=str(stack.key_file),
        HOKUSAI__MLFLOW__TLS__CA=str(certificate[0]),
        HOKUSAI__MLFLOW__IDLE_TIMEOUT="5s",
    )
    url = f"{second_gateway.url}/api/2.0/mlflow-artifacts/artifacts/a"
    headers = {"Authorization": f"Bearer {stack.key}"}
    answer = requests.put(url, data=b"x" * 32_000_000, headers=headers, timeout=60)
    assert (answer.status_code, answer.text) == (413, "too much")
