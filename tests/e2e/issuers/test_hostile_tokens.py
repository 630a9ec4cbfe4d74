"""Tokens that no issuer would give, and tokens that are for others."""

import json
import time

import pytest

from . import signing
from .issuer import Issuer
from .site import WRITE, Site, machines, reason, rule

REPOSITORY = "acme/churn"
# Of the gateway.
RULES = [rule({"repository": "acme/*"}, WRITE)]


def claims(ci: Issuer, **more: object) -> dict:
    """Of a good token, issued before the keys were read."""
    now = int(time.time())
    about = {"iss": ci.url, "aud": "mlflow.example.com", "sub": "machine", "repository": REPOSITORY}
    return {name: value for name, value in (about | {"iat": now - 600, "exp": now + 600} | more).items() if value is not None}


def signed(ci: Issuer, header: dict | None = None, key: object = None, **more: object) -> str:
    return signing.token(ci.key.header(**header or {}), claims(ci, **more), key or ci.key)


def twice(ci: Issuer, name: str, other: object) -> str:
    """A claim is there twice; the last is the good one."""
    text = json.dumps(claims(ci))
    return signing.token(ci.key.header(), f"{{{json.dumps(name)}: {json.dumps(other)}, {text[1:]}".encode(), ci.key)


def with_another_part(ci: Issuer, at: int, part: str) -> str:
    parts = signed(ci).split(".")
    parts[at] = part
    return ".".join(parts)


OTHERS = signing.Key("theirs")
SAME_NAME = signing.Key("key-1")
REFUSED = {
    "alg none": lambda ci: signed(ci, {"alg": "none"}, signing.Unsigned()),
    "alg None": lambda ci: signed(ci, {"alg": "None"}, signing.Unsigned()),
    "no signature": lambda ci: with_another_part(ci, 2, ""),
    "another's signature": lambda ci: signed(ci, key=SAME_NAME),
    "other claims under a signature": lambda ci: with_another_part(ci, 1, signing.encoded(claims(ci, sub="somebody"))),
    "HS256 by the public key as text": lambda ci: signed(ci, {"alg": "HS256"}, signing.Secret(ci.key.pem())),
    "HS256 by the public key's number": lambda ci: signed(ci, {"alg": "HS256"}, signing.Secret(ci.key.jwk()["n"].encode())),
    "an algorithm that is not pinned": lambda ci: signed(ci, {"alg": "PS256"}, ci.key.used_for("PS256")),
    "an unknown key": lambda ci: signed(ci, {"kid": "theirs"}, OTHERS),
    "a key in the header": lambda ci: signed(ci, {"kid": "theirs", "jwk": OTHERS.jwk()}, OTHERS),
    "a key in the header under a known name": lambda ci: signed(ci, {"jwk": SAME_NAME.jwk()}, SAME_NAME),
    "an address of keys": lambda ci: signed(ci, {"kid": "theirs", "jku": f"{ci.url}/theirs"}, OTHERS),
    "an address of a certificate": lambda ci: signed(ci, {"kid": "theirs", "x5u": f"{ci.url}/theirs"}, OTHERS),
    "an extension that must be understood": lambda ci: signed(ci, {"crit": ["mine"], "mine": True}),
    "a known name that must be understood": lambda ci: signed(ci, {"crit": ["exp"], "exp": 1}),
    # The library would understand it (RFC 7797).
    "an extension that changes nothing": lambda ci: signed(ci, {"crit": ["b64"], "b64": True}),
    "another audience": lambda ci: signed(ci, aud="other.example.com"),
    "an audience in capitals": lambda ci: signed(ci, aud="MLFLOW.example.com"),
    "no audience": lambda ci: signed(ci, aud=None),
    "audiences without ours": lambda ci: signed(ci, aud=["a.example.com", "b.example.com"]),
    "an issuer with a slash": lambda ci: signed(ci, iss=f"{ci.url}/"),
    "an issuer in a list": lambda ci: signed(ci, iss=[ci.url]),
    "not valid yet": lambda ci: signed(ci, nbf=int(time.time()) + 300),
    "expired": lambda ci: signed(ci, exp=int(time.time()) - 1),
    "no end": lambda ci: signed(ci, exp=None),
    "an end that is a text": lambda ci: signed(ci, exp="9999999999"),
    "two subjects": lambda ci: twice(ci, "sub", "somebody"),
    "two audiences": lambda ci: twice(ci, "aud", "other.example.com"),
    "two repositories": lambda ci: twice(ci, "repository", "stranger/churn"),
    "two ends": lambda ci: twice(ci, "exp", 1),
    "claims in a list": lambda ci: signing.token(ci.key.header(), json.dumps([claims(ci)]).encode(), ci.key),
    "claims that are no JSON": lambda ci: signing.token(ci.key.header(), b"repository=acme/churn", ci.key),
    "four parts": lambda ci: signed(ci) + ".e30",
    "a token for a logout": lambda ci: signed(ci, {"typ": "logout+jwt"}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_token_that_is_not_the_issuers_is_refused(name, site, ci):
    token = REFUSED[name](ci)
    answer = site.read(token)
    assert (answer.status_code, reason(answer)) == (401, "credential_rejected"), answer.text
    assert "WWW-Authenticate" in answer.headers
    assert "/theirs" not in [path for _, path in ci.asked]
    assert token not in site.gateway.log("gateway").read_text()


ACCEPTED = {
    "as it should be": lambda ci: signed(ci),
    "for several audiences": lambda ci: signed(ci, aud=["other.example.com", "mlflow.example.com"]),
    "with parts of a second": lambda ci: signed(ci, exp=time.time() + 60.5),
    "of another type": lambda ci: signed(ci, {"typ": "at+jwt"}),
    "with four thousand bytes of claims": lambda ci: signed(ci, groups=["x" * 40] * 100),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_token_of_the_issuers_is_accepted(name, site, ci):
    assert site.read(ACCEPTED[name](ci)).status_code == 200


def test_a_token_that_is_longer_than_a_key_may_be_is_refused(site, ci):
    token = signed(ci, groups=["x" * 40] * 200)
    assert len(token) > 8192
    assert site.read(token).status_code == 401


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
@pytest.mark.parametrize("over", ["http", "https"])
def test_keys_of_each_kind_are_read_over(over, algorithm, mlflow, authority, tmp_path):
    with Issuer(authority if over == "https" else None, algorithm) as ci:
        about = machines(ci, rule({"repository": "acme/*"}, WRITE))
        with Site(mlflow, tmp_path / "gateway", about) as site:
            assert site.read(ci.token(repository=REPOSITORY)).status_code == 200
            answer = site.read(signed(ci, key=signing.Key(ci.key.kid, algorithm)))
            assert (answer.status_code, reason(answer)) == (401, "credential_rejected")


def test_of_two_keys_with_one_name_either_signs(mlflow, tmp_path):
    with Issuer() as ci:
        twin = signing.Key(ci.key.kid)
        ci.published.append(twin)
        with Site(mlflow, tmp_path / "gateway", machines(ci, rule({"repository": "acme/*"}, WRITE))) as site:
            assert site.read(signed(ci)).status_code == 200
            assert site.read(signed(ci, key=twin)).status_code == 200
            assert site.read(signed(ci, key=SAME_NAME)).status_code == 401
