"""A real server that closes idle connections after two seconds: no POST is lost on one, and none comes twice."""

import collections
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import requests
from stack import free_port

SERVER = '''
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
AT_ONCE, PAUSES = 24, [2.0, 1.99, 2.001, 1.995, 2.003, 1.998, 2.0005, 1.0, 2.002, 1.997]


def test_posts_around_the_moment_of_closing_all_arrive_once(second_gateway, tmp_path):
    (tmp_path / "closes.py").write_text(SERVER)
    port = free_port()
    second_gateway.mlflow_url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "uvicorn", "closes:app", "--app-dir", str(tmp_path), "--port", str(port), "--timeout-keep-alive", "2", "--no-access-log"]
    server = second_gateway.start("server", command, {})
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
