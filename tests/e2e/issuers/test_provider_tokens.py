"""Tokens of the certified provider: a machine's, and one that a person got for a program of hers."""

import pytest

from .people import AUDIENCE
from .site import READ, WRITE, Site, reason, rule


@pytest.fixture(scope="module")
def site(mlflow, provider, tmp_path_factory):
    about = {"issuer": provider.url, "audience": [AUDIENCE, "notebook"], "algorithms": ["RS256", "ES256"], "user": "{sub}"}
    about["rules"] = [rule({"groups": "scientists"}, WRITE), rule({"client_id": "pipeline"}, READ)]
    with Site(mlflow, tmp_path_factory.mktemp("provider-tokens"), about) as site:
        yield site


def test_a_machine_has_what_its_rule_gives(site, provider):
    token = provider.machine_token("pipeline", AUDIENCE)
    assert site.read(token).status_code == 200
    refused = site.create(token, "/api/2.0/mlflow/experiments/create", "by a machine")
    assert (refused.status_code, reason(refused)) == (403, "scope_missing")


def test_a_machine_has_nothing_by_a_token_for_another_audience(site, provider):
    answer = site.read(provider.machine_token("pipeline", "https://other.example.com"))
    assert (answer.status_code, reason(answer)) == (401, "credential_rejected")


@pytest.mark.parametrize("user, status", [("ada", 200), ("bob", 403)])
def test_a_person_has_what_the_rule_of_a_group_gives(user, status, site, provider):
    token = provider.log_in(user, "notebook")["id_token"]
    assert site.create(token, "/api/2.0/mlflow/registered-models/create", f"by-{user}").status_code == status


def test_a_token_of_another_client_is_for_that_client(site, provider):
    assert site.read(provider.log_in("ada", "gateway")["id_token"]).status_code == 401


def test_an_opaque_token_is_no_key(site, provider):
    assert site.read(provider.log_in("ada", "notebook")["access_token"]).status_code == 401
