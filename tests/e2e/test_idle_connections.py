"""A real server that closes idle connections after two seconds: no POST is lost on one, and none comes twice."""

import collections
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from stack import free_port

UVICORN = '''
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    if scope["method"] == "POST":
        print("POST", scope["query_string"].decode(), flush=True)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})
'''
GUNICORN = '''
import os


def app(environment, start_response):
    environment["wsgi.input"].read()
    if environment["REQUEST_METHOD"] == "POST":
        os.write(1, f"POST {environment['QUERY_STRING']}\\n".encode())
    start_response("200 OK", [("Content-Length", "2")])
    return [b"{}"]
'''
SERVERS = {
    "uvicorn": (UVICORN, ["uvicorn", "closes:app", "--port", "{port}", "--timeout-keep-alive", "2", "--no-access-log"]),
    # Its default is 2 s.
    "gunicorn": (GUNICORN, ["gunicorn", "closes:app", "--bind", "127.0.0.1:{port}", "--worker-class", "gthread", "--threads", "32"]),
}
AT_ONCE, PAUSES = 24, [2.0, 1.99, 2.001, 1.995, 2.003, 1.998, 2.0005, 1.0, 2.002, 1.997]


@pytest.mark.parametrize("server", SERVERS)
def test_posts_around_the_moment_of_closing_all_arrive_once(second_gateway, tmp_path, server):
    application, command = SERVERS[server]
    (tmp_path / "closes.py").write_text(application)
    port = free_port()
    second_gateway.mlflow_url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", *(word.format(port=port) for word in command)]
    server = second_gateway.start("server", command, {"PYTHONPATH": str(tmp_path)})
    second_gateway.wait(server, "server", f"{second_gateway.mlflow_url}/health")
    key = second_gateway.create_key("--user", "ada", "--test")
    second_gateway.start_gateway(HOKUSAI__SERVER__WORKERS="1", HOKUSAI__LIMITS__MODE="off")
    url = f"{second_gateway.url}/api/2.0/mlflow/experiments/search"
    sessions = [requests.Session() for _ in range(AT_ONCE)]
    for session in sessions:
        session.headers["Authorization"] = f"Bearer {key}"

    sent = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for number, pause in enumerate(PAUSES):
            names = [f"{number}.{of}" for of in range(AT_ONCE)]
            posts = pool.map(lambda one: one[0].post(url, params={"page_token": one[1]}, json={}, timeout=30).status_code, zip(sessions, names))
            assert list(posts) == [200] * AT_ONCE, f"before a pause of {pause} s"
            sent += names
            time.sleep(pause)
    came = collections.Counter(line.split("=")[1] for line in second_gateway.log("server").read_text().splitlines() if line.startswith("POST "))
    assert {name: came[name] for name in sent} == dict.fromkeys(sent, 1)
