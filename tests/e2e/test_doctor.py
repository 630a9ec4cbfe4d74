"""`doctor` against the real stack: all green, and nothing of it left behind, whatever happens on the way."""

import contextlib
import json
import os
import re
import signal
import subprocess

import pytest
import requests
from commands import doctor
from front import WELL_KNOWN, Authority, may_listen, start_nginx, to
from stack import free_port
from waiting import eventually

EVERYTHING = [
    *("dns", "tcp", "tls", "health", "clock", "version", "health/mlflow"),
    *("mount /api/mlflow", "mount /mlflow", "mount /api/2.0/mlflow", "mount /api/3.0/mlflow"),
    *("mount /api/2.0/mlflow-artifacts", "mount /ajax-api", "mount /graphql", "mount /get-artifact"),
    *("mount /model-versions/get-artifact", "mount /v1/traces", "mount /static-files"),
    *("/api/mlflow/health/mlflow", "/mlflow/health/mlflow", "metrics not public", "mlflow not reachable"),
    *("no key", "wrong key", "key", "key as a password", "own page", "client address", "limits", "enough requests left", "key may delete", "experiment", "run", "params", "metrics"),
    *("artifact up", "artifact listed", "artifact down", "artifact deleted", "model files"),
    *("model registered", "model version", "model found", "model read back", "64 MB up", "64 MB down"),
    *("latency", "clean-up"),
]


def left(stack) -> list[str]:
    """What MLflow still has of any examination, and its store."""
    api = f"{stack.mlflow_url}/api/2.0/mlflow"
    models = requests.get(f"{api}/registered-models/search", params={"max_results": 1000}, timeout=30).json()
    experiments = requests.get(f"{api}/experiments/search", params={"max_results": 1000}, timeout=30).json()
    names = [thing["name"] for thing in models.get("registered_models", []) + experiments.get("experiments", [])]
    files = [str(path) for path in (stack.folder / "artifacts").rglob("*") if path.is_file() and "doctor" in str(path)]
    files += [str(path) for path in (stack.folder / "artifacts").rglob("weights.json")]
    return [name for name in names if name.startswith("hokusai-doctor")] + files


def made(stack) -> list[str]:
    """The names that examinations gave to experiments, deleted ones too."""
    query = {"max_results": 1000, "view_type": "ALL"}
    answer = requests.get(f"{stack.mlflow_url}/api/2.0/mlflow/experiments/search", params=query, timeout=30).json()
    return [thing["name"] for thing in answer["experiments"] if thing["name"].startswith("hokusai-doctor")]


@pytest.mark.parametrize("path", ["", "/api/mlflow", "/mlflow/"])
def test_a_deployment_that_is_well_passes_every_check_and_keeps_nothing(stack, path):
    before = made(stack)
    report = doctor(stack, stack.url + path, "--direct", f"http://127.0.0.1:{free_port()}")
    assert (report.code, report.said["ok"], report.failed()) == (0, True, {})
    assert [check["check"] for check in report.said["checks"]] == EVERYTHING
    assert len(made(stack)) == len(before) + 1
    assert left(stack) == []


def test_a_key_that_may_not_delete_makes_nothing_that_would_stay(stack):
    # What a key has by default: it reads and writes.
    key, before = stack.create_key("--user", "ada", "--test"), made(stack)
    search = f"{stack.url}/api/2.0/mlflow/experiments/search?max_results=1"
    eventually(lambda: requests.get(search, headers={"X-API-Key": key}, timeout=30).status_code == 200)
    report = doctor(stack, stack.url, key=key)
    assert (report.code, set(report.failed())) == (1, {"key may delete"})
    assert made(stack) == before


def test_an_mlflow_that_is_reached_past_the_gateway_is_a_failure(stack):
    report = doctor(stack, stack.url, "--direct", stack.mlflow_url)
    assert (report.code, set(report.failed())) == (1, {"mlflow not reachable"})
    assert "/health gives 200" in report.failed()["mlflow not reachable"]


def test_metrics_that_a_proxy_without_headers_makes_public_are_named(stack):
    """As they were by default: such a proxy makes everybody look like itself, and its own network may read them."""
    for path, whom in (("/metrics", "everybody"), ("/api/mlflow/metrics", "everybody with a key")):
        asks = 'if ($http_authorization = "") { return 404; }' if "key" in whom else ""
        inside = f"location = {path} {{ {asks} proxy_pass {stack.metrics_url}; }} location / {{ {to(stack.url)} }}"
        report = doctor(stack, f"http://127.0.0.1:{start_nginx(stack, inside)}")
        assert (report.code, set(report.failed())) == (1, {"metrics not public"})
        assert f"{path} gives Prometheus's text to {whom} |" in report.failed()["metrics not public"]
        assert "metrics.bind" in report.failed()["metrics not public"]


@pytest.mark.parametrize(
    ("method", "answer", "check", "said"),
    [
        ("GET", '200 "not what was sent"', "artifact down", "the download differs from the upload"),
        ("DELETE", "200", "artifact deleted", "it is still there"),
        ("PUT", "200", "artifact listed", "no `doctor/a note.txt`"),
    ],
)
def test_an_artifact_that_is_answered_for_by_somebody_else_is_named(stack, method, answer, check, said):
    takes = f'if ($request_method = {method}) {{ return {answer}; }}'
    inside = f'location ~ "a note.txt$" {{ {takes} {to(stack.url)} }} location / {{ {to(stack.url)} }}'
    report = doctor(stack, f"http://127.0.0.1:{start_nginx(stack, inside)}")
    assert said in report.failed()[check]
    assert report.code == 1 and left(stack) == []


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        ("/api/mlflow/api/2.0/mlflow/model-versions/create", "model version"),
        ("/api/mlflow/api/2.0/mlflow/metrics/get-history", "metrics"),
        ("/api/mlflow/api/2.0/mlflow/experiments/get-by-name", "experiment"),
    ],
)
def test_what_was_made_before_a_failure_is_removed_too(stack, broken, check):
    # Only once: what is asked again for the clean-up works.
    once = f"set $broken 0; if (-f {stack.folder}/broken) {{ set $broken 1; }}"
    inside = f"location = {broken} {{ {once} if ($broken) {{ return 500; }} {to(stack.url)} }} location / {{ {to(stack.url)} }}"
    port = start_nginx(stack, inside)
    (stack.folder / "broken").touch()
    command = [str(stack.binary), "doctor", "--url", f"http://127.0.0.1:{port}"]
    process = subprocess.Popen(
        command, env=os.environ | {"HOKUSAI_API_KEY": stack.key}, stdout=subprocess.PIPE, text=True
    )
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith(f"FAIL  {check} "):
            (stack.folder / "broken").unlink()
    assert process.wait() == 1
    assert "\n      cause: " in "".join(said) and "\n      fix:   " in "".join(said)
    assert any(line.startswith("ok    clean-up") for line in said), said
    assert left(stack) == []


def test_the_gateway_tells_which_address_it_takes_for_the_clients(stack):
    found = {check["check"]: check["found"] for check in doctor(stack, stack.url).said["checks"]}
    assert found["client address"] == "the gateway sees 127.0.0.1, this machine's own"
    assert re.fullmatch(r"[\d.]+m?s, [\d.]+ MB/s", found["64 MB up"]) and "MB/s" in found["64 MB down"]


def test_a_terminal_is_shown_how_far_the_64_mb_are(stack):
    slow = f"location ~ large.bin$ {{ {to(stack.url)} proxy_buffering on; proxy_max_temp_file_size 0; limit_rate 30m; }}"
    url = f"http://127.0.0.1:{start_nginx(stack, f'location / {{ {to(stack.url)} }} {slow}')}"
    ours, theirs = os.openpty()
    environment = os.environ | {"HOKUSAI_API_KEY": stack.key}
    command = [str(stack.binary), "doctor", "--url", url]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = b""
    # A terminal that is closed is an error to whoever reads it.
    with contextlib.suppress(OSError):
        while piece := os.read(ours, 65536):
            shown += piece
    os.close(ours)
    assert process.wait() == 0
    assert re.search(r"64 MB down +[\d.]+ of 67 MB, [\d.]+ MB/s", shown.decode()), shown


def test_a_slow_line_is_given_up_unless_it_may_be_slow(stack):
    slow = f"location ~ large.bin$ {{ {to(stack.url)} proxy_buffering on; proxy_max_temp_file_size 0; limit_rate 3m; }}"
    url = f"http://127.0.0.1:{start_nginx(stack, f'location / {{ {to(stack.url)} }} {slow}')}"
    report = doctor(stack, url, "--min-rate", "5")
    assert set(report.failed()) == {"64 MB down"} and report.codes() == {"HG-E15"}
    assert "MB/s in the last ten seconds" in report.failed()["64 MB down"]
    assert doctor(stack, url).code == 0 and left(stack) == []


@pytest.fixture
def behind_tls(stack, second_gateway):
    """A location's inside that leads to a gateway which is told that browsers use https."""
    second_gateway.key_file = stack.key_file
    second_gateway.start_gateway(HOKUSAI__SERVER__TRUSTED_PROXIES="127.0.0.0/8")
    return f"{to(second_gateway.url)} proxy_set_header X-Forwarded-Proto https;"


def test_a_bundle_has_what_a_maintainer_asks_for_and_the_key_nowhere(stack, behind_tls, tmp_path):
    authority = Authority(tmp_path / "authority")
    certificate, key = authority.issue("IP:127.0.0.1")
    inside = f"ssl_certificate {certificate}; ssl_certificate_key {key}; location / {{ {behind_tls} }}"
    url = f"https://127.0.0.1:{start_nginx(stack, inside, '127.0.0.1:{port} ssl')}"
    (tmp_path / "gateway.toml").write_text("[limits]\nper_hour = 1234\n")
    # An authority that is not believed: its certificate is what a maintainer asks for.
    report = doctor(stack, url, "--bundle", str(tmp_path / "a.json"), "--config", str(tmp_path / "gateway.toml"))
    assert report.codes() == {"HG-T04"}
    told = json.loads((tmp_path / "a.json").read_text())
    assert told["tls"]["chain"][0]["issuer"] == "CN=an authority of a test"
    assert told["tls"]["chain"][0]["names"] == ["127.0.0.1"]
    assert "mlflow.url" in {problem["key"] for problem in told["settings"]["problems"]}
    report = doctor(stack, url, "--ca", str(authority.certificate), "--bundle", str(tmp_path / "b.json"))
    assert report.code == 0
    text = (tmp_path / "b.json").read_text()
    told, secret = json.loads(text), stack.key.split("_")[-1]
    assert told["examination"] == report.said
    assert not any(secret[at : at + 8] in text for at in range(len(secret) - 7))
    routes = {route["target"]: route for route in told["open_routes"]}
    assert routes["/ready"]["body"] == {"status": "ready"}
    assert routes["/health/mlflow"]["body"]["status"] == "healthy"
    assert routes["/version"]["body"]["version"] == told["doctor"]["version"]
    assert any(target.endswith("max_results=1") and route["status"] == 401 for target, route in routes.items())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_was_made_before_an_interruption_is_removed_too(stack, number):
    command = [str(stack.binary), "doctor", "--url", stack.url]
    process = subprocess.Popen(
        command, env=os.environ | {"HOKUSAI_API_KEY": stack.key}, stdout=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if line.startswith("ok    model version"):
            process.send_signal(number)
            break
    rest = process.stdout.read()
    assert process.wait() == 1
    assert "clean-up" in rest and "latency" not in rest and "interrupted" in rest
    assert left(stack) == []


@pytest.mark.skipif(not may_listen(), reason="ports 80 and 443 are for root only, here")
@pytest.mark.parametrize(
    ("plain", "passes", "said"),
    [
        (None, True, "port 80 accepts no connections"),
        ("return 301 https://$host$request_uri;", True, "301 to https://"),
        ("return 301 http://elsewhere.example$request_uri;", False, "keys would travel in clear text"),
        ("location / { proxy_pass GATEWAY; }", False, "keys would travel in clear text"),
    ],
)
def test_port_80_leads_to_https_or_nowhere(stack, behind_tls, tmp_path, plain, passes, said):
    authority = Authority(tmp_path / "authority")
    certificate, key = authority.issue(f"IP:{WELL_KNOWN}")
    tls = f"ssl_certificate {certificate}; ssl_certificate_key {key}; location / {{ {behind_tls} }}"
    front = type(stack)(tmp_path / "front", stack.binary)
    try:
        start_nginx(front, tls, f"{WELL_KNOWN}:443 ssl")
        if plain:
            start_nginx(front, plain.replace("GATEWAY", stack.url), f"{WELL_KNOWN}:80")
        report = doctor(stack, f"https://{WELL_KNOWN}", "--ca", str(authority.certificate))
    finally:
        front.stop()
    assert report.failed().keys() == (set() if passes else {"http on port 80"})
    checks = {check["check"]: check["found"] for check in report.said["checks"]}
    assert said in checks["http on port 80"]
    assert f"the certificate is for {WELL_KNOWN}, issued by CN=an authority of a test, valid until" in checks["tls"]
