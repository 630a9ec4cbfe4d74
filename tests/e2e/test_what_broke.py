"""What broke the original service, row by row: each fault is set up for real, and is impossible here or named by one
command with its fix."""

import json
import socket
import subprocess
import threading
from http.server import ThreadingHTTPServer

import pytest
import requests
from commands import check, doctor
from fake_auth_service import AuthService, good_for, start_auth_service
from front import Authority, start_nginx, to
from redis_server import start_redis
from stack import free_port
from waiting import eventually

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
NOBODY = "http://127.0.0.1:1"


@pytest.fixture
def closed_port():
    return free_port()


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "authority")


@pytest.fixture
def auth(request):
    """Starts an auth service that answers as a function says."""

    def start(answer):
        server = start_auth_service(answer)
        request.addfinalizer(server.server_close)
        request.addfinalizer(server.shutdown)
        return server

    return start


def get(stack, key: str | None, path: str = SEARCH) -> requests.Response:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return requests.get(stack.url + path, headers=headers, timeout=30, allow_redirects=False)


def resolves(name: str) -> bool:
    try:
        return name != "localhost" and bool(socket.getaddrinfo(name, 80))
    except OSError:
        return False


# 1


def test_1_the_key_is_in_the_authorization_header_and_never_in_the_body(second_gateway, auth):
    service = auth(good_for("platform"))
    second_gateway.start_gateway(HOKUSAI_AUTH_SERVICE_URL=service.url)
    assert get(second_gateway, "good-key").status_code == 200
    path, authorization, body = service.seen[0]
    assert (path, authorization) == ("/api/v1/keys/validate", "Bearer good-key")
    assert b"good-key" not in body


# 2


def test_2_a_service_id_for_which_no_key_is_good_is_named_with_the_right_one(stack, auth):
    settings = {"HOKUSAI_AUTH_SERVICE_URL": auth(good_for("platform")).url, "HOKUSAI_API_KEY": "good-key"}
    report = check(stack, "--probe", AUTH_SERVICE_ID="ml-platform", **settings)
    assert report.code == 69
    assert "auth.service.service_id = \"platform\"" in report.failed()["auth.key"]
    assert check(stack, "--probe", **settings).code == 0


def test_2_a_service_id_that_differs_from_the_one_in_the_answer_is_named_and_lets_nobody_in(stack, second_gateway, auth):
    def of_another(authorization, _):
        return 200, {"is_valid": authorization == "Bearer good-key", "service_id": "ml-platform"}

    service = auth(of_another)
    report = check(stack, "--probe", HOKUSAI_AUTH_SERVICE_URL=service.url, HOKUSAI_API_KEY="good-key")
    assert "`ml-platform`" in report.failed()["auth.key"] and "AUTH_SERVICE_ID=ml-platform" in report.failed()["auth.key"]
    second_gateway.start_gateway(HOKUSAI_AUTH_SERVICE_URL=service.url)
    assert get(second_gateway, "good-key").json()["reason"] == "auth_unavailable"


# 3


def test_3_a_200_that_does_not_say_valid_is_a_401_and_an_outage_never_is(second_gateway, auth):
    answers = {"no": (200, {"is_valid": False}), "broken": (500, {}), "gone": (404, {"detail": "no such key"}), "page": (404, {})}
    service = auth(lambda authorization, _: answers[authorization.removeprefix("Bearer ")])
    second_gateway.start_gateway(HOKUSAI_AUTH_SERVICE_URL=service.url)
    statuses = {key: get(second_gateway, key).status_code for key in answers}
    assert statuses == {"no": 401, "broken": 503, "gone": 401, "page": 503}


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        ((500, {}), "status 500"),
        ((307, {}), "redirects"),
        ((200, {"is_valid": True}), "accepts what is no key"),
        ((404, {"detail": "Not Found"}), "no auth service answers at this address and path"),
        ((200, {"is_valid": False}), None),
    ],
)
def test_3_an_auth_service_that_answers_wrongly_is_named(stack, auth, answer, named):
    report = check(stack, "--probe", HOKUSAI_AUTH_SERVICE_URL=auth(lambda *_: answer).url)
    assert (report.code, "auth.http" in report.failed()) == ((69, True) if named else (0, False))
    assert named is None or named in report.failed()["auth.http"]


# 4


def test_4_mlflows_url_is_never_silently_localhost(stack):
    report = check(stack, MLFLOW_SERVER_URL="")
    assert report.code == 64
    problem = report.problem("mlflow.url")
    assert "is required and not set" in problem and "MLFLOW_SERVER_URL" in problem


def test_4_the_gateways_own_address_is_named(stack):
    own = {"HOKUSAI__SERVER__BIND": "0.0.0.0:8001", "MLFLOW_SERVER_URL": "http://127.0.0.1:8001"}
    report = check(stack, **own)
    assert (report.code, "own address" in report.problem("mlflow.url")) == (64, True)


def test_4_a_name_of_the_gateways_own_address_is_named(stack):
    # Not `localhost`, which is known without asking.
    name = next(name for name in (socket.gethostname(), socket.getfqdn(), "localhost.localdomain", "ip6-localhost") if resolves(name))
    own = {"HOKUSAI__SERVER__BIND": "0.0.0.0:8001", "MLFLOW_SERVER_URL": f"http://{name}:8001"}
    assert "own address" in check(stack, "--probe", **own).failed()["mlflow.dns"]


def test_4_a_public_load_balancer_that_leads_back_is_a_508_and_is_named(second_gateway):
    second_gateway.key = second_gateway.create_key("--user", "ada", "--test")
    balancer = start_nginx(second_gateway, f"location / {{ {to(second_gateway.url)} }}")
    second_gateway.mlflow_url = f"http://127.0.0.1:{balancer}"
    settings = {"HOKUSAI__SERVER__BIND": second_gateway.url.removeprefix("http://")}
    # It is not ready, and rightly so.
    environment = settings | {
        "HOKUSAI__METRICS__BIND": "off",
        "MLFLOW_SERVER_URL": second_gateway.mlflow_url,
        "HOKUSAI__AUTH__KEY_FILE__PATH": str(second_gateway.key_file),
    }
    process = second_gateway.start("gateway", [str(second_gateway.binary), "serve"], environment)
    host, port = second_gateway.url.removeprefix("http://").split(":")
    second_gateway.wait_for_port(process, "gateway", host, int(port))
    answer = get(second_gateway, second_gateway.key)
    assert (answer.status_code, answer.json()["reason"]) == (508, "loop_detected")
    report = check(second_gateway, "--probe")
    assert "leads back to a gateway" in report.failed()["mlflow.http"]
    assert "leads back to a gateway" in doctor(second_gateway, second_gateway.url).failed()["health/mlflow"]


def test_4_a_balancer_without_a_listener_is_named(stack, closed_port):
    report = check(stack, "--probe", MLFLOW_SERVER_URL=f"http://127.0.0.1:{closed_port}")
    assert report.code == 69
    assert "nothing listens" in report.failed()["mlflow.tcp"] and "listener" in report.failed()["mlflow.tcp"]
    assert "nothing listens" in doctor(stack, f"http://127.0.0.1:{closed_port}").failed()["tcp"]


def test_4_a_server_that_redirects_is_named_with_where_to(stack):
    port = start_nginx(stack, "return 301 https://mlflow.example.com$request_uri;")
    failed = check(stack, "--probe", MLFLOW_SERVER_URL=f"http://127.0.0.1:{port}").failed()["mlflow.http"]
    assert "redirects (301 to https://mlflow.example.com/health)" in failed


def test_4_an_mlflow_that_refuses_the_host_is_named_with_the_host(stack):
    failed = check(stack, "--probe", HOKUSAI__MLFLOW__HOST_HEADER="mlflow.example.com").failed()["mlflow.api"]
    assert "refuses the Host `mlflow.example.com`" in failed and "--allowed-hosts mlflow.example.com" in failed


def test_4_an_mlflow_under_another_prefix_is_named_with_the_prefix(stack):
    prefixed = start_nginx(
        stack,
        f"location /mlflow/ {{ proxy_pass {stack.mlflow_url}/; }} location / {{ return 404; }}",
    )
    settings = {"MLFLOW_SERVER_URL": f"http://127.0.0.1:{prefixed}"}
    failed = check(stack, "--probe", **settings).failed()["mlflow.api"]
    assert 'mlflow.rest = "api" and mlflow.static_prefix = "/mlflow"' in failed
    assert check(stack, "--probe", HOKUSAI__MLFLOW__STATIC_PREFIX="/mlflow", **settings).failed() == {}
    only_ajax = start_nginx(
        stack,
        f"location /ajax-api/ {{ proxy_pass {stack.mlflow_url}; }} location / {{ return 404; }}",
    )
    failed = check(stack, "--probe", MLFLOW_SERVER_URL=f"http://127.0.0.1:{only_ajax}").failed()["mlflow.api"]
    assert 'mlflow.rest = "ajax-api" and mlflow.static_prefix not set' in failed


def test_4_a_server_that_wants_tls_is_named(stack, authority):
    certificate, key = authority.issue("IP:127.0.0.1")
    tls = f"ssl_certificate {certificate}; ssl_certificate_key {key}; "
    port = start_nginx(stack, f"{tls} return 200 OK;", "127.0.0.1:{port} ssl")
    failed = check(stack, "--probe", MLFLOW_SERVER_URL=f"http://127.0.0.1:{port}").failed()["mlflow.http"]
    assert "speaks TLS" in failed and f"https://127.0.0.1:{port}" in failed
    assert "https:// in --url" in doctor(stack, f"http://127.0.0.1:{port}").failed()["health"]


@pytest.mark.parametrize(
    ("names", "days", "trusted", "named"),
    [
        ("IP:127.0.0.1", -3, True, "expired at"),
        ("DNS:mlflow.example.com", 30, True, "is for mlflow.example.com, and not for 127.0.0.1"),
        ("IP:127.0.0.1", 30, False, "nobody that is trusted here vouches"),
        ("IP:127.0.0.1", 90, True, "not valid before"),
    ],
)
def test_4_a_certificate_that_is_not_good_is_named_with_what_is_wrong(stack, authority, names, days, trusted, named):
    certificate, key = authority.issue(names, days)
    inside = f"ssl_certificate {certificate}; ssl_certificate_key {key}; return 200 OK;"
    url = f"https://127.0.0.1:{start_nginx(stack, inside, '127.0.0.1:{port} ssl')}"
    ca = {"HOKUSAI__MLFLOW__TLS__CA": str(authority.certificate)} if trusted else {}
    assert named in check(stack, "--probe", MLFLOW_SERVER_URL=url, **ca).failed()["mlflow.tls"]
    assert named in doctor(stack, url, *(["--ca", str(authority.certificate)] if trusted else [])).failed()["tls"]


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_4_an_address_of_ipv6_is_one_over_tls_too(stack, authority):
    certificate, key = authority.issue("IP:::1")
    inside = f"ssl_certificate {certificate}; ssl_certificate_key {key}; location / {{ proxy_pass {stack.mlflow_url}; }}"
    url = f"https://[::1]:{start_nginx(stack, inside, '[::1]:{port} ssl')}"
    ca = {"HOKUSAI__MLFLOW__TLS__CA": str(authority.certificate)}
    assert check(stack, "--probe", MLFLOW_SERVER_URL=url, **ca).failed() == {}


# 5


def test_5_a_mount_that_leads_to_mlflow_past_the_gateway_is_named(stack):
    port = start_nginx(stack, f"location / {{ {to(stack.url)} }} location /ajax-api/ {{ proxy_pass {stack.mlflow_url}; }}")
    failed = doctor(stack, f"http://127.0.0.1:{port}").failed()
    assert set(failed) == {"mount /ajax-api"} and "answered without a key" in failed["mount /ajax-api"]


@pytest.mark.parametrize(
    ("inside", "named"),
    [
        ("location /api { return 404; }", "a rule for `/api*` takes it"),
        ("location /api/ { return 404; }", "a rule for `/api/*` takes it"),
        ("location /api/mlflow { return 404; }", "a rule for `/api/mlflow*` takes it"),
        ("location = /api/mlflow/api/2.0/mlflow/experiments/search { return 404; }", "a rule for this very path"),
    ],
)
def test_5_the_rule_that_shadows_a_mount_is_named(stack, inside, named):
    port = start_nginx(stack, f"location / {{ {to(stack.url)} }} {inside}")
    report = doctor(stack, f"http://127.0.0.1:{port}")
    assert report.code == 1
    assert named in report.failed()["mount /api/mlflow"]
    assert "mount /mlflow" in report.passed()


def test_5_a_listener_without_rules_is_named(stack, authority):
    certificate, key = authority.issue("IP:127.0.0.1")
    inside = f"ssl_certificate {certificate}; ssl_certificate_key {key}; return 503;"
    port = start_nginx(stack, inside, "127.0.0.1:{port} ssl")
    report = doctor(stack, f"https://127.0.0.1:{port}", "--ca", str(authority.certificate))
    assert {"dns", "tcp", "tls"} <= report.passed()
    assert "no rule leads it to the gateway" in report.failed()["mount /api/mlflow"]


# 6


def test_6_health_needs_no_key_on_any_mount_and_an_unhealthy_mlflow_is_a_503(second_gateway, closed_port):
    second_gateway.mlflow_url = f"http://127.0.0.1:{closed_port}"
    second_gateway.key = second_gateway.create_key("--user", "ada", "--test")
    environment = {
        "MLFLOW_SERVER_URL": second_gateway.mlflow_url,
        "HOKUSAI__SERVER__BIND": second_gateway.url.removeprefix("http://"),
        "HOKUSAI__METRICS__BIND": "off",
        "HOKUSAI__AUTH__KEY_FILE__PATH": str(second_gateway.key_file),
    }
    process = second_gateway.start("gateway", [str(second_gateway.binary), "serve"], environment)
    second_gateway.wait(process, "gateway", f"{second_gateway.url}/live")
    statuses = {path: get(second_gateway, None, path).status_code for path in ("/health", "/health/mlflow", "/api/mlflow/health/mlflow", "/mlflow/health/mlflow")}
    assert list(statuses.values()) == [200, 503, 503, 503]
    report = doctor(second_gateway, second_gateway.url)
    assert "the gateway cannot use MLflow" in report.failed()["health/mlflow"]
    assert "cannot reach MLflow" in report.failed()["key"]


# 7


def redis(stack, *arguments: str) -> int:
    return start_redis(stack, *arguments)[1]


def test_7_no_redis_is_looked_for_unless_it_is_set(stack):
    assert not any(checked["check"].startswith("redis") for checked in check(stack, "--probe").said["checks"])


def test_7_a_bare_host_name_for_redis_is_named(stack):
    report = check(stack, REDIS_URL="redis.internal:6379")
    assert report.code == 64
    assert "has no scheme" in report.problem("redis.url") and "redis:// before it" in report.problem("redis.url")


def test_7_a_redis_that_wants_a_password_is_named_and_the_password_never(second_gateway, stack):
    port = redis(second_gateway, "--requirepass", "obviously-a-password")
    probe = lambda userinfo: check(stack, "--probe", REDIS_URL=f"redis://{userinfo}127.0.0.1:{port}")  # noqa: E731
    assert "wants a password" in probe("").failed()["redis.authentication"]
    wrong = probe(":not-the-password@")
    assert "refuses the password" in wrong.failed()["redis.authentication"]
    assert "not-the-password" not in wrong.printed
    assert "redis.authentication" in probe(":obviously-a-password@").passed()


@pytest.mark.parametrize(
    ("rules", "by_service", "named"),
    [
        ("~hokusai:* &hokusai:* +@all -@dangerous -@admin", True, None),
        ("~hokusai:* resetchannels +@all -@dangerous -@admin", True, "ACL is too narrow"),
        ("~hokusai:* resetchannels +@all -@dangerous -@admin", False, None),
        ("~hokusai:* &hokusai:* +@all -@sortedset", True, "ACL is too narrow"),
        ("~hokusai:* &hokusai:* +@all -@sortedset -publish", False, None),
        ("~hokusai:* &hokusai:* +ping +set", False, "ACL is too narrow"),
        ("~other:* &* +@all", False, "ACL is too narrow"),
    ],
)
def test_7_a_user_of_redis_who_may_not_do_what_the_gateway_does_is_named(second_gateway, stack, auth, rules, by_service, named):
    port = redis(second_gateway)
    allow = ["redis-cli", "-p", str(port), "acl", "setuser", "gateway", "on", ">obviously", *rules.split()]
    subprocess.run(allow, check=True, capture_output=True)
    service = {"HOKUSAI_AUTH_SERVICE_URL": auth(good_for("platform")).url} if by_service else {}
    failed = check(stack, "--probe", REDIS_URL=f"redis://gateway:obviously@127.0.0.1:{port}", **service).failed()
    assert named in failed["redis.authentication"] if named else failed == {}


def test_7_a_replica_of_redis_is_named(second_gateway, stack):
    master = redis(second_gateway)
    replica = redis(second_gateway, "--replicaof", f"127.0.0.1 {master}")
    assert "is a replica" in check(stack, "--probe", REDIS_URL=f"redis://127.0.0.1:{replica}").failed()["redis.authentication"]


def test_7_a_redis_that_wants_tls_is_named(second_gateway, stack, authority):
    certificate, key = authority.issue("IP:127.0.0.1")
    tls_port = free_port()
    files = ["--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-ca-cert-file", str(authority.certificate)]
    redis(second_gateway, "--tls-port", str(tls_port), *files, "--tls-auth-clients", "no")
    assert "rediss://" in check(stack, "--probe", REDIS_URL=f"redis://127.0.0.1:{tls_port}").failed()["redis.authentication"]
    trusted = {"SSL_CERT_FILE": str(authority.certificate)}
    assert check(stack, "--probe", REDIS_URL=f"rediss://127.0.0.1:{tls_port}", **trusted).failed() == {}
    assert "vouches" in check(stack, "--probe", REDIS_URL=f"rediss://127.0.0.1:{tls_port}").failed()["redis.tls"]


def test_7_a_redis_that_is_not_there_is_named_and_costs_no_request_its_answer(stack, second_gateway, auth, closed_port):
    settings = {"REDIS_URL": f"redis://127.0.0.1:{closed_port}", "HOKUSAI_AUTH_SERVICE_URL": auth(good_for("platform")).url}
    assert "nothing listens" in check(stack, "--probe", **settings).failed()["redis.tcp"]
    second_gateway.start_gateway(**settings)
    assert get(second_gateway, "good-key").status_code == 200


# 8


def test_8_no_key_is_in_redis_and_a_verdict_is_for_one_client_address(second_gateway, auth):
    service = auth(good_for("platform"))
    port = redis(second_gateway)
    second_gateway.start_gateway(
        HOKUSAI_AUTH_SERVICE_URL=service.url,
        REDIS_URL=f"redis://127.0.0.1:{port}",
        HOKUSAI__AUTH__PEPPER="obviously-a-pepper-of-a-test-0000",
        HOKUSAI__SERVER__TRUSTED_PROXIES="127.0.0.1",
    )
    for client in ("192.0.2.1", "192.0.2.2", "192.0.2.1"):
        headers = {"Authorization": "Bearer good-key", "X-Forwarded-For": client}
        assert requests.get(second_gateway.url + SEARCH, headers=headers, timeout=30).status_code == 200
    asked = [json.loads(body)["client_ip"] for path, _, body in service.seen if path.endswith("/validate")]
    assert asked == ["192.0.2.1", "192.0.2.2"]
    dump = lambda: subprocess.run(["redis-cli", "-p", str(port), "--scan"], capture_output=True, text=True, check=True).stdout  # noqa: E731
    eventually(lambda: "hokusai:verdict:" in dump())
    assert "good-key" not in dump()


# 9


def test_9_the_limit_is_each_keys_own_and_trying_again_does_not_push_it_away(second_gateway, stack):
    second_gateway.key = second_gateway.create_key("--user", "ada", "--test")
    other = second_gateway.create_key("--user", "eve", "--test")
    second_gateway.start_gateway(HOKUSAI__LIMITS__PER_HOUR="2")
    assert [get(second_gateway, second_gateway.key).status_code for _ in range(3)] == [200, 200, 429]
    waits = [int(get(second_gateway, second_gateway.key).headers["Retry-After"]) for _ in range(5)]
    assert waits == sorted(waits, reverse=True) and waits[0] <= 1801
    # Wrong keys use up nobody's, and the other key has its own.
    assert [get(second_gateway, "no-key-of-anybody").status_code for _ in range(3)] == [401] * 3
    assert get(second_gateway, other).status_code == 200
    assert "limit" in doctor(second_gateway, second_gateway.url).failed()["key"]
    # Nothing is begun that the limit would not let end.
    small = type(second_gateway)(second_gateway.folder / "small", second_gateway.binary)
    small.mlflow_url, small.key_file = second_gateway.mlflow_url, second_gateway.key_file
    try:
        small.start_gateway(HOKUSAI__LIMITS__PER_HOUR="60")
        report = doctor(small, small.url, key=other)
    finally:
        small.stop()
    assert "experiment" not in report.passed() and "requests are left" in report.failed()["enough requests left"]


# 10


def test_10_a_proxy_that_limits_bodies_is_named(stack):
    port = start_nginx(stack, f"location / {{ {to(stack.url)} client_max_body_size 1m; }}")
    report = doctor(stack, f"http://127.0.0.1:{port}")
    assert set(report.failed()) == {"64 MB up"}
    assert "client_max_body_size 0" in report.failed()["64 MB up"]


def test_10_identity_headers_of_a_client_do_not_pass_and_bodies_of_deletions_do(second_gateway, auth):
    """What else passes is looked at byte for byte in tests/api/forwarding.rs, memory in test_mlflow_client.py."""
    seen = []

    class Recording(AuthService):
        def do_DELETE(self):
            seen.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

    mlflow = ThreadingHTTPServer(("127.0.0.1", 0), Recording)
    threading.Thread(target=mlflow.serve_forever, daemon=True).start()
    second_gateway.mlflow_url = f"http://127.0.0.1:{mlflow.server_port}"
    second_gateway.key = second_gateway.create_key("--user", "ada", "--test", "--scope=mlflow:delete")
    try:
        second_gateway.start_gateway()
        lies = {"X-Hokusai-User-Id": "root", "X-Forwarded-For": "192.0.2.66"}
        url = f"{second_gateway.url}/api/2.0/mlflow/registered-models/delete"
        headers = {"Authorization": f"Bearer {second_gateway.key}"} | lies
        assert requests.delete(url, json={"name": "a"}, headers=headers, timeout=30).status_code == 200
    finally:
        mlflow.shutdown()
        mlflow.server_close()
    [(headers, body)] = seen
    assert (headers["x-hokusai-user-id"], headers["x-forwarded-for"], json.loads(body)) == ("ada", "127.0.0.1", {"name": "a"})


# 11


def test_11_a_key_without_the_scope_is_refused_and_what_it_lacks_is_named(stack):
    key = stack.create_key("--user", "reader", "--test", "--scope=mlflow:read")
    # Taken over within a second.
    eventually(lambda: get(stack, key).status_code == 200)
    report = doctor(stack, stack.url, key=key)
    assert report.code == 1
    assert "scope_missing" in report.failed()["key may delete"]
    assert "experiment" not in report.passed(), "something is made that cannot be removed"
    # "read" in a path opens nothing.
    path = "/api/2.0/mlflow-artifacts/artifacts/read/admin/mlflow:read"
    answer = requests.put(stack.url + path, data=b"x", headers={"Authorization": f"Bearer {key}"}, timeout=30)
    assert (answer.status_code, answer.json()["reason"]) == (403, "scope_missing")


# 12


def test_12_a_401_or_a_404_is_never_a_pass_and_the_end_is_never_a_zero(stack, second_gateway):
    report = doctor(stack, stack.url, key="not-a-good-key")
    assert report.code == 1
    assert {"key", "key as a password"} == set(report.failed())
    everything_is_404 = start_nginx(second_gateway, "return 404;")
    report = doctor(stack, f"http://127.0.0.1:{everything_is_404}")
    assert report.code == 1
    # Where nothing is found, the metrics are not either.
    assert report.passed() == {"dns", "tcp", "tls", "metrics not public"}


# 13


def test_13_code_that_is_not_the_code_that_people_thought_is_named(stack):
    sha = get(stack, None, "/version").json()["git_sha"]
    assert "version" in doctor(stack, stack.url, "--expect-sha", sha[:10], key="not-a-good-key").passed()
    failed = doctor(stack, stack.url, "--expect-sha", "0123456789", key="not-a-good-key").failed()
    assert f"the running code is {sha}, expected 0123456789" in failed["version"]
