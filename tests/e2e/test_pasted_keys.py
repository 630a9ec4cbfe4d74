"""A key as people paste it into a variable or a file of MLflow's own client: white space around it is not the key's."""

import pytest
from mlflow.exceptions import MlflowException

VARIABLES = {
    "a token with a space before it": {"MLFLOW_TRACKING_TOKEN": " {key}"},
    "a token with white space behind it": {"MLFLOW_TRACKING_TOKEN": "{key} \t"},
    "a password with a line end": {"MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_PASSWORD": "{key}\n"},
    "a password with a Windows line end": {"MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_PASSWORD": " {key}\r\n"},
    "a user name in Latin-1": {"MLFLOW_TRACKING_USERNAME": "josé", "MLFLOW_TRACKING_PASSWORD": "{key}"},
}


@pytest.mark.parametrize("variables", VARIABLES.values(), ids=VARIABLES)
def test_a_pasted_key_is_the_key(client, stack, monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(key=stack.key))
    assert client.search_experiments()


@pytest.mark.parametrize("around", [("", "\n"), ("  ", " \r\n"), ("", "\u00a0\n")], ids=["plain", "Windows", "a web page"])
def test_a_key_in_the_credentials_file_of_mlflow_is_the_key(client, stack, monkeypatch, tmp_path, around):
    folder = tmp_path / ".mlflow"
    folder.mkdir()
    lines = ["[mlflow]", "mlflow_tracking_username = ada", f"mlflow_tracking_password ={around[0]}{stack.key}{around[1]}"]
    (folder / "credentials").write_bytes("\r\n".join(lines).encode())
    monkeypatch.setenv("HOME", str(tmp_path))
    assert client.search_experiments()


@pytest.mark.parametrize(
    ("token", "told"),
    [
        ("eyJ" * 3000, "the API key is too long: a key has at most 8192 characters"),
        ("Bearer {key}", "the API key has white space or another character in it that no key has"),
        ("{key} {key}", "the API key has white space or another character in it that no key has"),
    ],
    ids=["too long", "Bearer twice", "two keys"],
)
def test_what_is_no_key_is_told_what_it_is_and_how_it_was_sent(client, stack, monkeypatch, token, told):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", token.format(key=stack.key))
    with pytest.raises(MlflowException, match="MLFLOW_TRACKING_TOKEN") as refusal:
        client.search_experiments()
    assert str(refusal.value).startswith(f"UNAUTHENTICATED: {told}"), refusal.value
    assert stack.key not in str(refusal.value)
