"""MLflow, a gateway that enforces ownership before it, and users of it; the judge is what MLflow has in its database and on disk."""

import contextlib
import os
import sqlite3
from pathlib import Path

import pytest
import requests
from mlflow_state import kept_in
from signing_in import sign_in
from stack import ROOT, Stack

SCOPES = ("mlflow:read", "mlflow:write", "mlflow:delete")


def binary() -> Path:
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return Path(os.environ.get("HOKUSAI_GATEWAY", target / "debug" / "hokusai-gateway")).absolute()


class Enforced:
    def __init__(self, stack: Stack) -> None:
        self.stack, self.session = stack, requests.Session()
        self.keys: dict[str, str] = {}
        self.database = sqlite3.connect(f"file:{stack.folder}/mlflow.db?mode=ro", uri=True, isolation_level=None)

    def add(self, name: str, *more: str, user: str | None = None, fence: str = "", scopes: tuple[str, ...] = SCOPES) -> str:
        """A key, under the name of its user if no other is said."""
        key = self.stack.create_key("--user", user or name, "--test", *(f"--scope={scope}" for scope in scopes), *more)
        # A new key is the last of the file.
        with self.stack.key_file.open("a") as file:
            file.write(fence)
        self.keys[name] = key
        return key

    @contextlib.contextmanager
    def signed_in(self, name: str):
        """MLflow's client with this key."""
        with pytest.MonkeyPatch.context() as monkeypatch:
            yield sign_in(monkeypatch, self.stack.tracking_uri, self.keys[name])

    def ask(self, name: str, method: str, path: str, headers=None, **parts) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.keys[name]}"} | (headers or {})
        return self.session.request(method, self.stack.url + path, headers=headers, timeout=60, **parts)

    def state(self) -> set:
        """All rows and all files."""
        return kept_in(self.stack.folder)


def reason(answer: requests.Response) -> str | None:
    """Of the gateway's refusal; `None`: the answer is MLflow's."""
    try:
        return answer.json().get("reason")
    except ValueError:
        return None
