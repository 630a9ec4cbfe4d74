"""A token ends before its time when its end is published."""

import subprocess

import pytest
from redis_server import start_redis
from waiting import eventually

from .site import WRITE, Site, machines, reason, rule


@pytest.fixture(scope="module")
def redis(mlflow):
    _, port = start_redis(mlflow)
    return port


@pytest.fixture(scope="module")
def site(mlflow, ci, redis, tmp_path_factory):
    about, address = machines(ci, rule({"sub": "*"}, WRITE), user="{sub}"), f"redis://127.0.0.1:{redis}"
    with Site(mlflow, tmp_path_factory.mktemp("revocation"), about, HOKUSAI__REDIS__URL=address) as site:
        listening = ["redis-cli", "-p", str(redis), "pubsub", "numsub", "hokusai:revoked"]
        eventually(lambda: b"hokusai:revoked\n1" in subprocess.run(listening, check=True, capture_output=True).stdout)
        yield site


def publish(redis: int, message: str) -> None:
    subprocess.run(["redis-cli", "-p", str(redis), "publish", "hokusai:revoked", message], check=True, capture_output=True)


def test_a_revoked_subject_is_refused_and_nobody_else(site, ci, redis):
    revoked, other = ci.token("alice"), ci.token("bob")
    assert [site.read(token).status_code for token in (revoked, other)] == [200, 200]
    publish(redis, f"{ci.url}|alice")
    eventually(lambda: site.read(revoked).status_code == 401)
    assert reason(site.read(revoked)) == "credential_rejected"
    assert site.read(other).status_code == 200
    # What the issuer gives to the same one later is good; a second is the least that its time tells.
    eventually(lambda: site.read(ci.token("alice")).status_code == 200)
    assert site.read(revoked).status_code == 401


def test_a_token_that_was_never_seen_is_revoked_with_its_subject(site, ci, redis):
    seen, unseen = ci.token("carol"), ci.token("carol", nonce="another")
    assert site.read(seen).status_code == 200
    publish(redis, f"{ci.url}|carol")
    eventually(lambda: site.read(seen).status_code == 401)
    assert site.read(unseen).status_code == 401


def test_a_revoked_token_is_refused_and_no_other_of_its_subject(site, ci, redis):
    revoked, other = (ci.token("dave", jti=f"obviously-the-{which}-token-of-a-test") for which in ("first", "second"))
    assert [site.read(token).status_code for token in (revoked, other)] == [200, 200]
    publish(redis, "obviously-the-first-token-of-a-test")
    eventually(lambda: site.read(revoked).status_code == 401)
    assert site.read(other).status_code == 200


def test_the_same_subject_of_another_issuer_is_another(site, ci, redis):
    token = ci.token("erin")
    assert site.read(token).status_code == 200
    publish(redis, "https://other.example.com|erin")
    publish(redis, f"{ci.url}|frank")
    # The gateway hears of them in their order.
    known = ci.token("frank")
    eventually(lambda: site.read(known).status_code == 401)
    assert site.read(token).status_code == 200
