"""The simulator itself: how patterns match, how rules are chosen, what AWS would refuse."""

import pytest
from alb import Condition, LoadBalancer, Refused, Rule, covers, matches


def rule(priority: int, target: str, *paths: str, **more: list[str]) -> Rule:
    conditions = [Condition("path_pattern", paths)] if paths else []
    conditions += [Condition(kind, tuple(values)) for kind, values in more.items()]
    return Rule(f"rule {priority}", priority, target, tuple(conditions))


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/api/*", "/api/x", True),
        ("/api/*", "/api/x/y/z", True),
        ("/api/*", "/api/", True),
        ("/api/*", "/api", False),
        ("/api*", "/api", True),
        ("/api*", "/apix/y", True),
        ("/api", "/api/", False),
        ("/api", "/API", False),
        ("/a?c", "/abc", True),
        ("/a?c", "/a/c", True),
        ("/a?c", "/ac", False),
        ("/a?c", "/abbc", False),
        ("*/x", "/a/b/x", True),
        ("/x", "/y/x", False),
        ("/a.b", "/axb", False),
        ("/*b*", "/abc", True),
        ("*", "", True),
    ],
)
def test_a_pattern_matches_the_whole_path(pattern, path, expected):
    assert matches(pattern, path) is expected


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        ("/api*", "/api/mlflow/*", True),
        ("/api*", "/api", True),
        ("/api/*", "/api", False),
        ("/api/*", "/api*", False),
        ("/*", "/a?c*", True),
        ("/a?", "/ab", True),
        ("/ab", "/a?", False),
        ("/a?*", "/a*", False),
        ("/a*", "/a?*", True),
        ("/*b*", "/xb/*", True),
        ("/*b", "/*b*", False),
        ("?*", "*?", True),
    ],
)
def test_a_pattern_covers_another(wide, narrow, expected):
    assert covers(wide, narrow) is expected


def test_the_lowest_priority_that_matches_wins():
    balancer = LoadBalancer([rule(20, "late", "/api/*"), rule(10, "early", "/api/mlflow/*")])
    assert (balancer.target("/api/mlflow/x"), balancer.target("/api/x")) == ("early", "late")


def test_nothing_that_matches_is_the_default():
    assert LoadBalancer([rule(1, "a", "/a")]).target("/b") == "default"


def test_one_value_of_a_condition_is_enough():
    assert LoadBalancer([rule(1, "a", "/a", "/b")]).target("/b") == "a"


def test_all_conditions_are_wanted():
    balancer = LoadBalancer([rule(1, "a", "/a", http_request_method=["POST"])])
    assert (balancer.target("/a"), balancer.target("/a", method="POST")) == ("default", "a")


@pytest.mark.parametrize(("host", "target"), [("MLFLOW.Example.com", "a"), ("example.com", "default")])
def test_hosts_have_no_case(host, target):
    assert LoadBalancer([rule(1, "a", host_header=["*.example.COM"])]).target("/", host=host) == target


@pytest.mark.parametrize(("query", "target"), [([("version", "v1")], "a"), ([("other", "v1")], "default"), ([], "default")])
def test_query_strings_are_looked_at(query, target):
    balancer = LoadBalancer([Rule("q", 1, "a", (Condition("query_string", ("v*",), ("version",)),))])
    assert balancer.target("/", query=tuple(query)) == target


def test_a_condition_that_is_not_simulated_is_an_error():
    with pytest.raises(Refused, match="source_ip is not simulated"):
        LoadBalancer([rule(1, "a", source_ip=["10.0.0.0/8"])]).target("/")


@pytest.mark.parametrize(
    ("refused", "because"),
    [
        (rule(1, "a", "/1", "/2", "/3", "/4"), "4 values in one condition"),
        (rule(1, "a", "/1", "/2", "/3", host_header=["a.b", "c.d"], http_request_method=["GET"]), "6 values"),
        (rule(1, "a", "/*a*", "/?b?", "/*c*"), "6 wildcards"),
        (rule(0, "a", "/1"), "priority 0"),
        (rule(50_001, "a", "/1"), "priority 50001"),
        (rule(1, "a"), "no condition"),
        (rule(1, "a", "/" + "x" * 128), "128 characters"),
        (rule(1, "a", "/a b"), "is no path pattern"),
    ],
)
def test_what_aws_would_refuse_is_refused(refused, because):
    with pytest.raises(Refused, match=because):
        LoadBalancer([refused])


def test_quotas_that_are_just_held_are_no_error():
    LoadBalancer([rule(1, "a", "/*1*", "/*2*", "/*3", host_header=["a.b", "c.d"]), rule(50_000, "a", "/" + "x" * 127)])


def test_one_priority_for_two_is_refused():
    with pytest.raises(Refused, match="both have the priority 1"):
        LoadBalancer([rule(1, "a", "/a"), rule(1, "b", "/b")])


@pytest.mark.parametrize(
    "rules",
    [
        [rule(1, "other", "/api*"), rule(2, "gateway", "/api/mlflow", "/api/mlflow/*")],
        [rule(1, "other", "/a*"), rule(2, "other", "/b*"), rule(3, "gateway", "/ab", "/ba")],
        [rule(1, "other", "/api*"), rule(2, "gateway", "/api/x", http_request_method=["POST"])],
        [rule(1, "other", http_request_method=["POST", "PUT"]), rule(2, "gateway", "/x", http_request_method=["POST"])],
    ],
    ids=["by one", "by two together", "though it asks for more", "by one without paths"],
)
def test_a_rule_that_can_never_match_is_found(rules):
    [told] = LoadBalancer(rules).shadowed()
    assert told.startswith(rules[-1].name)


@pytest.mark.parametrize(
    "rules",
    [
        [rule(1, "other", "/api/*"), rule(2, "gateway", "/api")],
        [rule(1, "other", "/a"), rule(2, "gateway", "/a", "/b")],
        [rule(1, "other", "/a*", http_request_method=["POST"]), rule(2, "gateway", "/a")],
        [rule(2, "other", "/api*"), rule(1, "gateway", "/api/mlflow/*")],
    ],
    ids=["beside it", "in part", "for one method", "behind it"],
)
def test_a_rule_that_can_match_is_not_called_shadowed(rules):
    assert LoadBalancer(rules).shadowed() == []


def test_a_mount_of_which_a_part_is_taken_is_found():
    balancer = LoadBalancer([rule(1, "other", "/api/mlflow/old*"), rule(2, "gateway", "/api/mlflow/*")])
    assert balancer.shadowed_patterns() == ["/api/mlflow/old* of rule 2's /api/mlflow/* is rule 1's"]


def test_a_mount_that_is_taken_for_one_method_only_is_not_called_shadowed():
    balancer = LoadBalancer([rule(1, "other", "/api*", http_request_method=["POST"]), rule(2, "gateway", "/api/mlflow/*")])
    assert balancer.shadowed_patterns() == []


@pytest.mark.parametrize(("version", "shadowed"), [("v1", 1), ("v2", 0)])
def test_a_rule_is_shadowed_by_one_with_the_same_query_string_only(version, shadowed):
    paths = Condition("path_pattern", ("/a",))
    rules = [
        Rule("first", 1, "other", (paths, Condition("query_string", ("v1",), ("version",)))),
        Rule("second", 2, "gateway", (paths, Condition("query_string", (version,), ("version",)))),
    ]
    assert len(LoadBalancer(rules).shadowed()) == shadowed


def test_a_pattern_that_leads_to_the_same_target_is_no_shadow():
    assert LoadBalancer([rule(1, "a", "/a*"), rule(2, "a", "/ab")]).shadowed_patterns() == []
