"""`doctor` through load balancers that lead some requests elsewhere or limit them."""

import pytest
from commands import doctor
from front import Authority, start_nginx, to


def test_a_mount_that_leads_to_mlflow_past_the_gateway_is_named(stack):
    port = start_nginx(stack, f"location / {{ {to(stack.url)} }} location /ajax-api/ {{ proxy_pass {stack.mlflow_url}; }}")
    failed = doctor(stack, f"http://127.0.0.1:{port}").failed()
    assert set(failed) == {"mount /ajax-api"} and "answered without a key" in failed["mount /ajax-api"]


@pytest.mark.parametrize(
    ("inside", "named"),
    [
        ("location /api { return 404; }", "a rule for `/api*` matches first"),
        ("location /api/ { return 404; }", "a rule for `/api/*` matches first"),
        ("location /api/mlflow { return 404; }", "a rule for `/api/mlflow*` matches first"),
        ("location = /api/mlflow/api/2.0/mlflow/experiments/search { return 404; }", "a rule for this very path"),
    ],
)
def test_the_rule_that_shadows_a_mount_is_named(stack, inside, named):
    port = start_nginx(stack, f"location / {{ {to(stack.url)} }} {inside}")
    report = doctor(stack, f"http://127.0.0.1:{port}")
    assert report.code == 1
    assert named in report.failed()["mount /api/mlflow"]
    assert "mount /mlflow" in report.passed()


def test_a_listener_without_rules_is_named(stack, tmp_path):
    authority = Authority(tmp_path / "authority")
    certificate, key = authority.issue("IP:127.0.0.1")
    inside = f"ssl_certificate {certificate}; ssl_certificate_key {key}; return 503;"
    port = start_nginx(stack, inside, "127.0.0.1:{port} ssl")
    report = doctor(stack, f"https://127.0.0.1:{port}", "--ca", str(authority.certificate))
    assert {"dns", "tcp", "tls"} <= report.passed()
    assert "no rule leads it to the gateway" in report.failed()["mount /api/mlflow"]


def test_a_proxy_that_limits_bodies_is_named(stack):
    port = start_nginx(stack, f"location / {{ {to(stack.url)} client_max_body_size 1m; }}")
    report = doctor(stack, f"http://127.0.0.1:{port}")
    assert set(report.failed()) == {"64 MB up"}
    assert "client_max_body_size 0" in report.failed()["64 MB up"]
