"""nginx with its default towards servers, HTTP/1.0, before the gateway: what MLflow's client gets is whole, or an error."""

import os
import signal
import socketserver
import subprocess
import sys
import threading
from pathlib import Path

import mlflow
import pytest
import requests
from commands import doctor
from front import Authority, start_nginx, to
from stack import ROOT
from test_direct_artifacts import mlflow_on_s3
from versions import PINNED

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
LARGE = bytes(range(256)) * 12288
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def before(url: str, buffering: str = "on") -> str:
    """The inside of an nginx of which nobody has changed how it speaks to servers, but perhaps whether it holds back answers."""
    default = f"proxy_http_version 1.0; proxy_buffering {buffering}; proxy_request_buffering on;"
    return f"location / {{ {default} {to(url)} }}"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Store(socketserver.StreamRequestHandler):
    """Answers in chunks, whole or not: as MLflow does with a file that it fetches from a store."""

    def handle(self):
        while line := self.rfile.readline():
            while self.rfile.readline().strip():
                pass
            name = line.split()[1].rsplit(b"/", 1)[-1]
            if name in (b"whole.bin", b"small.bin"):
                data = LARGE if name == b"whole.bin" else b"small"
                self.wfile.write(HEAD + chunk(data) + b"0\r\n\r\n")
            elif name == b"health" or name.startswith((b"artifacts?", b"search?")):
                # Nothing is a folder, and the gateway's own call is answered.
                head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n"
                self.wfile.write(head + b"{\"files\": []}")
            else:
                self.wfile.write(HEAD + chunk(LARGE))
                if name == b"stalled.bin":
                    self.server.stalled.wait(120)
                return


@pytest.fixture
def behind(second_gateway):
    """A gateway before a store that breaks off; what it has of a stack."""
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Store)
    server.daemon_threads, server.stalled = True, threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    second_gateway.mlflow_url = f"http://127.0.0.1:{server.server_address[1]}"
    second_gateway.key = second_gateway.create_key("--user", "ada", "--test")
    yield second_gateway
    server.stalled.set()
    server.shutdown()
    server.server_close()


def ask(url: str, key: str, name: str, **more) -> requests.Response:
    return requests.get(f"{url}{ARTIFACTS}/{name}", headers={"Authorization": f"Bearer {key}"}, timeout=60, **more)


@pytest.fixture(scope="module")
def on_s3(tmp_path_factory, stack):
    with mlflow_on_s3(tmp_path_factory.mktemp("s3"), stack.binary, PINNED) as running:
        running.gateway = running.start_gateway()
        yield running


def test_doctor_passes_and_names_the_http_that_it_sees(stack):
    url = f"http://127.0.0.1:{start_nginx(stack, before(stack.url))}"
    report = doctor(stack, url)
    assert (report.code, report.failed()) == (0, {})
    found = {check["check"]: check["found"] for check in report.said["checks"]}
    assert "HTTP/1.0" in found["version"] and "proxy_http_version 1.1" in found["version"]
    assert "HTTP/1.0" not in str(doctor(stack, stack.url).said)


@pytest.mark.parametrize("script", [Path(__file__).with_name("move_artifacts.py"), ROOT / "examples" / "register_model.py"])
def test_mlflows_client_moves_artifacts_and_a_model(on_s3, script):
    url = f"http://127.0.0.1:{start_nginx(on_s3, before(on_s3.url))}"
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "AWS_"))}
    client = {"MLFLOW_TRACKING_URI": f"{url}/api/mlflow", "MLFLOW_TRACKING_TOKEN": on_s3.key, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    done = subprocess.run([sys.executable, script], env=own | client, check=False, timeout=300, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_download_and_its_head_are_as_direct(on_s3):
    url = f"http://127.0.0.1:{start_nginx(on_s3, before(on_s3.url))}"
    direct = f"http://127.0.0.1:{start_nginx(on_s3, before(on_s3.mlflow_url))}"
    for name, data in (("large.bin", LARGE), ("small.bin", b"small"), ("empty.bin", b"")):
        put = requests.put(f"{url}{ARTIFACTS}/http10/{name}", data=data, headers={"Authorization": f"Bearer {on_s3.key}"}, timeout=60)
        assert put.status_code == 200, put.text
        assert "Content-Length" not in ask(on_s3.mlflow_url, "", f"http10/{name}").headers, "MLflow gives it a length"
        assert ask(url, on_s3.key, f"http10/{name}").content == data
        of_head = []
        for place in (direct, url):
            head = requests.head(f"{place}{ARTIFACTS}/http10/{name}", headers={"Authorization": f"Bearer {on_s3.key}"}, timeout=60)
            of_head.append((head.status_code, head.headers.get("Content-Type"), head.headers.get("Content-Length")))
        assert of_head[0] == of_head[1]


@pytest.mark.parametrize("buffering", ["on", "off"])
def test_what_breaks_off_is_an_error_and_no_short_file(behind, tmp_path, monkeypatch, buffering):
    behind.start_gateway()
    url = f"http://127.0.0.1:{start_nginx(behind, before(behind.url, buffering))}"
    assert ask(url, behind.key, "whole.bin").content == LARGE
    assert ask(url, behind.key, "small.bin").content == b"small"
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        ask(url, behind.key, "broken.bin")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", behind.key)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    repository = f"{url}{ARTIFACTS}"
    whole = mlflow.artifacts.download_artifacts(f"{repository}/whole.bin", dst_path=str(tmp_path / "whole"))
    assert Path(whole).read_bytes() == LARGE
    with pytest.raises(Exception, match="(?i)broken|premature|incomplete|chunk"):
        mlflow.artifacts.download_artifacts(f"{repository}/broken.bin", dst_path=str(tmp_path / "broken"))


def test_a_gateway_that_is_killed_in_the_middle_leaves_no_short_file(behind):
    gateway = behind.start_gateway()
    url = f"http://127.0.0.1:{start_nginx(behind, before(behind.url))}"
    response = ask(url, behind.key, "stalled.bin", stream=True)
    pieces = response.iter_content(64 * 1024)
    assert next(pieces)
    os.killpg(gateway.pid, signal.SIGKILL)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        list(pieces)


def test_over_tls_nginx_could_not_tell_and_so_a_large_one_is_refused(behind, tmp_path):
    """nginx takes a reset below TLS for the end (ngx_ssl_handle_recv)."""
    authority = Authority(tmp_path / "authority")
    certificate, key = authority.issue("IP:127.0.0.1")
    tls = {"HOKUSAI__SERVER__TLS__CERT": str(certificate), "HOKUSAI__SERVER__TLS__KEY": str(key)}
    behind.start_gateway_over_tls(authority.certificate, **tls)
    url = f"http://127.0.0.1:{start_nginx(behind, before(behind.url.replace('http:', 'https:')))}"
    assert ask(url, behind.key, "small.bin").content == b"small"
    for name in ("whole.bin", "broken.bin"):
        refused = ask(url, behind.key, name)
        assert (refused.status_code, refused.json()["reason"]) == (400, "bad_request")
        assert "proxy_http_version 1.1" in refused.json()["message"]
