"""`check --probe` at what real deployments have at MLflow's address: MLflow itself, nginx, certificates."""

import socket

import pytest
import requests
from commands import check, doctor
from front import Authority, start_nginx, to


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "authority")


def test_a_public_load_balancer_that_leads_back_is_a_508_and_is_named(second_gateway):
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
    headers = {"Authorization": f"Bearer {second_gateway.key}"}
    answer = requests.get(f"{second_gateway.url}/api/2.0/mlflow/experiments/search", headers=headers, timeout=30)
    assert (answer.status_code, answer.json()["reason"]) == (508, "loop_detected")
    report = check(second_gateway, "--probe")
    assert "leads back to a gateway" in report.failed()["mlflow.http"]
    assert "leads back to a gateway" in doctor(second_gateway, second_gateway.url).failed()["health/mlflow"]


def test_an_mlflow_that_refuses_the_host_is_named_with_the_host(stack):
    failed = check(stack, "--probe", HOKUSAI__MLFLOW__HOST_HEADER="mlflow.example.com").failed()["mlflow.api"]
    assert "refuses the Host `mlflow.example.com`" in failed and "--allowed-hosts mlflow.example.com" in failed


def test_an_mlflow_under_another_prefix_is_named_with_the_prefix(stack):
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


def test_a_server_that_wants_tls_is_named(stack, authority):
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
        ("IP:127.0.0.1", 30, False, "no trusted authority issued"),
        ("IP:127.0.0.1", 90, True, "not valid before"),
    ],
)
def test_a_certificate_that_is_not_good_is_named_with_what_is_wrong(stack, authority, names, days, trusted, named):
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
def test_an_address_of_ipv6_is_one_over_tls_too(stack, authority):
    certificate, key = authority.issue("IP:::1")
    inside = f"ssl_certificate {certificate}; ssl_certificate_key {key}; location / {{ proxy_pass {stack.mlflow_url}; }}"
    url = f"https://[::1]:{start_nginx(stack, inside, '[::1]:{port} ssl')}"
    ca = {"HOKUSAI__MLFLOW__TLS__CA": str(authority.certificate)}
    assert check(stack, "--probe", MLFLOW_SERVER_URL=url, **ca).failed() == {}
