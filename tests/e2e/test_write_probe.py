"""`check --probe --write`: an artifact of the gateway's own goes to MLflow and comes back, and nothing of it stays."""

import os
import signal
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from commands import check
from front import start_nginx, to
from waiting import eventually

STEPS = {"mlflow.write", "mlflow.read", "mlflow.delete"}


def left(stack) -> list[str]:
    return [str(path) for path in (stack.folder / "artifacts").rglob("*hokusai-check*")]


def test_an_mlflow_that_is_well_takes_gives_back_and_deletes_and_nothing_is_left(stack):
    report = check(stack, "--probe", "--write")
    assert (report.code, report.failed()) == (0, {})
    assert report.passed() >= STEPS
    assert left(stack) == []
    assert not STEPS & check(stack, "--probe").passed(), "only when it is asked for"


@pytest.mark.parametrize(
    ("method", "answer", "step", "said"),
    [
        ("GET", '200 "what it is not"', "mlflow.read", "came back as 14 other bytes"),
        ("GET", "500", "mlflow.read", "cannot be read back: 500"),
        ("DELETE", "403", "mlflow.delete", "MLflow answered 403"),
    ],
)
def test_a_step_that_fails_is_named_and_the_artifact_is_removed_where_it_can_be(stack, method, answer, step, said):
    takes = f"if ($request_method = {method}) {{ return {answer}; }}"
    # The list of artifacts is another path.
    inside = f"location ~ /artifacts/hokusai-check {{ {takes} {to(stack.mlflow_url)} }} location / {{ {to(stack.mlflow_url)} }}"
    port = start_nginx(stack, inside)
    report = check(stack, "--probe", "--write", MLFLOW_SERVER_URL=f"http://127.0.0.1:{port}")
    assert report.code == 69 and step in report.failed(), report.failed()
    assert said in report.failed()[step]
    if method == "GET":
        # A GET that says 200 to everything says so of what is gone, too.
        assert left(stack) == []
    else:
        for path in left(stack):
            os.unlink(path)


class NeverTold(BaseHTTPRequestHandler):
    """MLflow has what is uploaded, and nobody hears of it."""

    protocol_version = "HTTP/1.1"

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = requests.request(self.command, self.server.mlflow + self.path, data=body, timeout=30)
        if self.command == "PUT":
            self.server.over.wait(30)
            return
        self.send_response(answer.status_code)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_PUT = do_DELETE = pass_on

    def log_message(self, *_):
        pass


def test_whoever_ends_it_in_the_middle_finds_nothing_left(stack):
    front = ThreadingHTTPServer(("127.0.0.1", 0), NeverTold)
    front.mlflow, front.over = stack.mlflow_url, threading.Event()
    threading.Thread(target=front.serve_forever, daemon=True).start()
    settings = {
        "MLFLOW_SERVER_URL": f"http://127.0.0.1:{front.server_port}",
        "HOKUSAI__SERVER__BIND": "127.0.0.1:0",
        "HOKUSAI__METRICS__BIND": "off",
        "HOKUSAI__AUTH__KEY_FILE__PATH": str(stack.key_file),
    }
    command = [str(stack.binary), "check", "--probe", "--write"]
    process = subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, text=True)
    eventually(lambda: left(stack))
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    front.over.set()
    front.shutdown()
    front.server_close()
    assert process.returncode == 69
    assert "interrupted: no artifact is left" in said, said
    assert left(stack) == []
