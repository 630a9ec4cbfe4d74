"""A key that the auth service has revoked does nothing more, and a good one goes on: MLflow itself is asked what was created."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from commands import check
from front import start_nginx
from waiting import eventually
from test_what_broke import auth, redis  # noqa: F401 (a fixture)

CREATE, SEARCH = "/api/2.0/mlflow/experiments/create", "/api/2.0/mlflow/experiments/search"
GOOD = {"is_valid": True, "user_id": "ada", "scopes": ["mlflow:read", "mlflow:write"]}
REFUSED = {"is_valid": False}


def create(gateway, key: str, name: str, client: str = "192.0.2.1") -> int:
    headers = {"Authorization": f"Bearer {key}", "X-Forwarded-For": client}
    return requests.post(gateway.url + CREATE, json={"name": name}, headers=headers, timeout=60).status_code


def created(stack, prefix: str) -> int:
    """How many experiments MLflow has whose names begin so."""
    asked = {"max_results": 1000, "filter": f"name LIKE '{prefix}%'"}
    return len(requests.post(stack.mlflow_url + SEARCH, json=asked, timeout=30).json().get("experiments", []))


@pytest.fixture
def third_gateway(second_gateway):
    third = type(second_gateway)(second_gateway.folder / "third", second_gateway.binary)
    third.mlflow_url = second_gateway.mlflow_url
    yield third
    third.stop()


def test_sixteen_keys_that_are_asked_about_let_no_revoked_one_create(stack, second_gateway, auth):  # noqa: F811
    revoked = []

    def answer(authorization, _):
        if not revoked:
            return 200, GOOD
        if authorization == "Bearer the-key":
            return 200, REFUSED
        time.sleep(0.5)
        return 200, GOOD

    second_gateway.start_gateway(
        HOKUSAI_AUTH_SERVICE_URL=auth(answer).url,
        HOKUSAI__AUTH__SERVICE__MAX_IN_FLIGHT="4",
        HOKUSAI__AUTH__SERVICE__TIMEOUT="20s",
        HOKUSAI__AUTH__CACHE__TTL="200ms",
    )
    keys = [f"key-{number}" for number in range(16)]
    assert {create(second_gateway, key, f"crowd-before-{key}") for key in keys} == {200}
    assert create(second_gateway, "the-key", "revoked-before") == 200
    revoked.append(True)
    time.sleep(0.3)
    with ThreadPoolExecutor(17) as pool:
        crowd = [pool.submit(create, second_gateway, key, f"crowd-after-{key}") for key in keys]
        time.sleep(0.1)
        statuses = [create(second_gateway, "the-key", f"revoked-after-{number}") for number in range(10)]
        assert {asked.result() for asked in crowd} == {200}
    assert set(statuses) == {401}
    assert (created(stack, "revoked-after"), created(stack, "crowd-after")) == (0, 16)


@pytest.mark.parametrize("key_id", ["k-1", None])
def test_a_key_that_one_instance_was_told_to_refuse_creates_nothing_at_another(stack, second_gateway, third_gateway, auth, key_id):  # noqa: F811
    refuses = []
    service = auth(lambda *_: (200, REFUSED if refuses else GOOD | {"key_id": key_id}))
    settings = {
        "HOKUSAI_AUTH_SERVICE_URL": service.url,
        "REDIS_URL": f"redis://127.0.0.1:{redis(second_gateway)}",
        "HOKUSAI__AUTH__PEPPER": "obviously-a-pepper-of-a-test-0000",
        "HOKUSAI__SERVER__TRUSTED_PROXIES": "127.0.0.1",
    }
    for gateway in (second_gateway, third_gateway):
        gateway.start_gateway(**settings)
    name = f"everywhere-{key_id}"
    assert create(third_gateway, "the-key", f"{name}-before", "198.51.100.7") == 200
    time.sleep(0.5)
    refuses.append(True)
    def is_refused_at_both():
        # Again, where Redis could not tell in 50 ms whose key it was.
        assert create(second_gateway, "the-key", f"{name}-here") == 401
        return create(third_gateway, "the-key", f"{name}-{time.monotonic_ns()}", "198.51.100.7") == 401

    eventually(is_refused_at_both)
    had = created(stack, name)
    # For a minute its yes would have been believed.
    assert {create(third_gateway, "the-key", f"{name}-late-{number}", "198.51.100.7") for number in range(20)} == {401}
    assert created(stack, name) == had and created(stack, f"{name}-late") == 0
    assert created(stack, f"{name}-here") == 0


def test_a_load_balancer_that_has_lost_the_auth_service_refuses_nobody_and_is_named(stack, second_gateway, auth):  # noqa: F811
    lost = second_gateway.folder / "lost"
    service = auth(lambda authorization, _: (200, GOOD if authorization == "Bearer the-key" else REFUSED))
    inside = f"location / {{ if (-f {lost}) {{ return 404; }} proxy_pass {service.url}; }}"
    balancer = f"http://127.0.0.1:{start_nginx(second_gateway, inside)}"
    second_gateway.start_gateway(HOKUSAI_AUTH_SERVICE_URL=balancer, HOKUSAI__AUTH__CACHE__TTL="100ms")
    assert create(second_gateway, "the-key", "balancer-before") == 200
    assert create(second_gateway, "wrong", "balancer-wrong") == 401
    lost.touch()
    time.sleep(0.2)
    assert {create(second_gateway, "the-key", f"balancer-after-{number}") for number in range(10)} == {200}
    assert create(second_gateway, "a-stranger", "balancer-stranger") == 503
    assert (created(stack, "balancer-after"), created(stack, "balancer-wrong"), created(stack, "balancer-stranger")) == (10, 0, 0)
    assert "404 with text/html" in second_gateway.log("gateway").read_text()
    failed = check(stack, "--probe", HOKUSAI_AUTH_SERVICE_URL=balancer).failed()["auth.http"]
    assert "answered 404 with text/html" in failed and "load balancer" in failed
