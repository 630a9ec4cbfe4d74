"""How the gateway comes by an issuer's keys: when they rotate, when they are asked for too often, and when nobody answers."""

import contextlib
import json
import secrets
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from waiting import eventually

from . import signing
from .issuer import DISCOVERY, KEYS, Issuer
from .site import WRITE, Site, machines, reason, rule

# The issuer is asked no more often.
INTERVAL = 10
MANY = 10_000


@pytest.fixture
def ci():
    with Issuer() as issuer:
        yield issuer


def gateway(mlflow, folder, ci: Issuer) -> Site:
    behind = {"HOKUSAI__SERVER__TRUSTED_PROXIES": "127.0.0.1/32"}
    return Site(mlflow, folder / "gateway", machines(ci, rule({"repository": "acme/*"}, WRITE)), **behind)


@pytest.fixture
def site(mlflow, ci, tmp_path):
    with gateway(mlflow, tmp_path, ci) as site:
        yield site


def may_be_asked(ci: Issuer) -> None:
    """Waits until the gateway has not asked for so long."""
    eventually(lambda: ci.asked and time.monotonic() - ci.asked[-1][0] > INTERVAL + 0.5)


def status(site: Site, token: str) -> int:
    return site.read(token).status_code


def test_tokens_of_a_new_key_work_at_once_and_of_an_old_one_while_it_is_published(site, ci):
    first = ci.token(repository="acme/churn")
    assert status(site, first) == 200
    may_be_asked(ci)
    ci.rotate(keep=1)
    second = ci.token(repository="acme/churn")
    assert [status(site, token) for token in (second, first)] == [200, 200]
    may_be_asked(ci)
    ci.rotate(keep=0)
    third = ci.token(repository="acme/churn")
    # By the third it is known that the others are gone.
    assert [status(site, token) for token in (third, second, first)] == [200, 401, 401]


def test_an_issuer_is_asked_once_in_ten_seconds_whatever_keys_strangers_name(site, ci):
    assert status(site, ci.token(repository="acme/churn")) == 200
    _, claims, signature = ci.token(repository="acme/churn").split(".")

    def try_unknown(number: int) -> int:
        head = signing.encoded(ci.key.header(kid=secrets.token_hex(8)))
        # From everywhere: one address may not fail so often.
        address = f"198.51.{number // 250}.{1 + number % 250}"
        return site.read(f"{head}.{claims}.{signature}", {"X-Forwarded-For": address}).status_code

    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        statuses = set(pool.map(try_unknown, range(MANY)))
    assert statuses <= {401, 503}
    for path in (KEYS, DISCOVERY):
        moments = [at for at, asked in ci.asked if asked == path]
        gaps = [after - before for before, after in zip(moments, moments[1:])]
        assert all(gap > INTERVAL - 0.5 for gap in gaps), gaps
    assert max(at for at, _ in ci.asked) > began
    assert status(site, ci.token(repository="acme/churn")) == 200


def test_known_keys_work_while_the_issuer_is_down(site, ci):
    seen = ci.token(repository="acme/churn")
    assert status(site, seen) == 200
    may_be_asked(ci)
    with ci.down():
        assert status(site, seen) == 200
        assert status(site, ci.token(repository="acme/docs")) == 200
        # Its key may be one that the issuer has published since.
        ci.rotate()
        answer = site.read(ci.token(repository="acme/churn"))
        assert (answer.status_code, reason(answer)) == (503, "auth_unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
        # One that is not the issuer's is refused all the same.
        assert status(site, signing.token(ci.published[1].header(), {"iss": ci.url, "exp": 9**10}, signing.Key("key-1"))) == 401


FAULTS = {
    "down": lambda ci: ci.down(),
    "hanging": lambda ci: ci.hanging(),
    "an error": lambda ci: ci.answering(KEYS, b"{}", 500),
    "another issuer's name": lambda ci: ci.answering(DISCOVERY, json.dumps(ci.discovery() | {"issuer": f"{ci.url}/"}).encode()),
    "10 MB": lambda ci: ci.answering(KEYS, ci.huge()),
    "a page": lambda ci: ci.answering(KEYS, b"<html>Please log in</html>"),
    "no keys": lambda ci: ci.answering(KEYS, b'{"keys": []}'),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_outage_is_no_refusal_and_ends(fault, mlflow, ci, tmp_path):
    with contextlib.ExitStack() as outage:
        outage.enter_context(FAULTS[fault](ci))
        with gateway(mlflow, tmp_path, ci) as site:
            answer = site.read(ci.token(repository="acme/churn"))
            assert (answer.status_code, reason(answer)) == (503, "auth_unavailable")
            assert int(answer.headers["Retry-After"]) >= 1
            # Keys of the key file do not wait for it.
            assert status(site, mlflow.key) == 200
            outage.close()
            eventually(lambda: status(site, ci.token(repository="acme/churn")) == 200)
