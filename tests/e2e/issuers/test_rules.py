"""What the rules allow, and what they refuse: MLflow has nothing of that."""

import pytest

from .site import EXPERIMENTS, MODELS, READ, WRITE, reason, rule

MAIN = {"repository": "acme/churn", "ref": "refs/heads/main"}
BRANCH = {"repository": "acme/churn", "ref": "refs/heads/idea"}
STRANGER = {"repository": "stranger/churn", "ref": "refs/heads/main"}
EMPLOYEE = {"repository": "acme/docs", "ref": "refs/heads/main", "roles": ["reader", "writer"]}
NOT_QUITE = {"repository": "acme/docs", "ref": "refs/heads/main", "roles": ["writers"]}


# Of the gateway.
RULES = [
    rule({"repository": "acme/churn", "ref": "refs/heads/main"}, WRITE, models=["acme-*"], experiments=["acme/*"]),
    # After a narrower one: for what that does not fit.
    rule({"repository": "acme/churn"}, READ),
    rule({"repository": "acme/*", "roles": "writer"}, WRITE),
]


@pytest.mark.parametrize("path, name", [(EXPERIMENTS, "acme/by main"), (MODELS, "acme-by-main")])
def test_a_rule_allows_what_is_within_its_fence(path, name, site, ci):
    answer = site.create(ci.token(**MAIN), path, name)
    assert answer.status_code == 200, answer.text
    assert name in str(site.state())


def test_a_rule_fits_an_item_of_a_list(site, ci):
    answer = site.create(ci.token(**EMPLOYEE), MODELS, "by-a-writer")
    assert answer.status_code == 200, answer.text


REFUSED = [
    ("no rule", STRANGER, MODELS, "no_rule"),
    ("no rule for a part of an item", NOT_QUITE, MODELS, "no_rule"),
    ("no rule for a claim that is not there", {"repository": None}, MODELS, "no_rule"),
    ("the first rule that fits only reads", BRANCH, MODELS, "scope_missing"),
    ("a model outside the fence", MAIN, MODELS, "outside_fence"),
    ("an experiment outside the fence", MAIN, EXPERIMENTS, "outside_fence"),
]


@pytest.mark.parametrize("claims, path, expected", [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_no_rule_allows_changes_nothing(claims, path, expected, site, ci):
    before = site.state()
    answer = site.create(ci.token(**claims), path, "refused")
    assert (answer.status_code, answer.json()["error_code"], reason(answer)) == (403, "PERMISSION_DENIED", expected)
    assert site.state() == before


def test_a_stranger_is_not_told_what_a_rule_asks_for(site, ci):
    text = site.create(ci.token(**STRANGER), MODELS, "refused").text
    assert not [word for word in ("acme", "repository", "refs/heads", "roles", "writer") if word in text]


def test_who_only_reads_reads(site, ci):
    assert site.read(ci.token(**BRANCH)).status_code == 200
    assert site.read(ci.token(**STRANGER)).status_code == 403
