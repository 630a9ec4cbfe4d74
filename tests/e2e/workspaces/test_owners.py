"""`owners` where MLflow has workspaces: all of them, or the one that is named."""

import pytest
from commands import run


def owners(stack, *arguments: str, key: str = "operator"):
    command = ["owners", *arguments, "--url", stack.url]
    return run(stack.binary, command, stack.folder, {"HOKUSAI_API_KEY": stack.keys[key]})


@pytest.fixture
def both_have(ours, theirs):
    """For as long as the test: other tests here rightly change what is ours."""
    client = ours.client()
    client.create_experiment("shared-name")
    client.create_registered_model("shared-model")
    yield client
    client.delete_registered_model("shared-model")


def test_a_name_in_two_workspaces_is_two_things(stack, both_have):
    listed = owners(stack, "list", "--experiments", "shared-name", "--models", "shared-model")
    assert listed.code == 0, listed.printed
    found = sorted((item["kind"], item["workspace"]) for item in listed.said)
    assert found == [("experiment", "ours"), ("experiment", "theirs"), ("model", "ours"), ("model", "theirs")]

    selected = ["--experiments", "shared-name", "--models", "shared-model", "--workspace", "ours"]
    assert owners(stack, "set", "acme", *selected, "--apply").code == 0
    listed = owners(stack, "list", "--experiments", "shared-name", "--models", "shared-model")
    assert {item["workspace"] for item in listed.said if item["owner"] == "acme"} == {"ours"}
    assert {item["workspace"] for item in listed.said if item["owner"] is None} == {"theirs"}
    assert both_have.get_experiment_by_name("shared-name").tags["hokusai.owner"] == "acme"
    assert both_have.get_registered_model("shared-model").tags["hokusai.owner"] == "acme"


def test_a_key_of_one_workspace_is_not_led_to_take_it_for_another(stack):
    report = owners(stack, "list", "--workspace", "theirs", key="ours")
    assert report.code == 1
    assert "bound to none of them" in report.printed, report.printed


def test_a_workspace_that_is_not_there_is_told(stack):
    report = owners(stack, "list", "--workspace", "nowhere")
    assert report.code == 1
    assert "MLflow has no workspace nowhere" in report.printed, report.printed
