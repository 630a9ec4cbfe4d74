"""A gateway that takes tokens of issuers, before an MLflow with workspaces."""

import json
from pathlib import Path

import requests
from mlflow_state import kept_in
from stack import Stack

from .issuer import Issuer

EXPERIMENTS, MODELS = "/api/2.0/mlflow/experiments/create", "/api/2.0/mlflow/registered-models/create"
READ, WRITE = ["mlflow:read"], ["mlflow:read", "mlflow:write", "mlflow:delete"]


def toml(value: object) -> str:
    """A value as TOML has it, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def rule(when: dict, scopes: list[str], **more: object) -> dict:
    return {"when": when, "scopes": scopes} | more


def machines(issuer: Issuer, *rules: dict, **more: object) -> dict:
    """`[[auth.issuers]]` for an issuer of ours; tokens end when they say."""
    about = {"issuer": issuer.url, "audience": "mlflow.example.com", "algorithms": [issuer.algorithm], "leeway": "0s"}
    about |= {"user": "{repository}"}
    if issuer.authority:
        about["tls"] = {"ca": str(issuer.authority.certificate)}
    return about | more | {"rules": list(rules)}


def reason(answer: requests.Response) -> str | None:
    """Of the gateway's refusal; `None`: the answer is MLflow's."""
    return answer.json().get("reason")


class Site:
    """A gateway of its own with these issuers, before the MLflow of `mlflow`; a context manager."""

    def __init__(self, mlflow: Stack, folder: Path, *issuers: dict, **settings: str) -> None:
        self.mlflow, self.issuers, self.settings = mlflow, issuers, settings
        self.gateway = Stack(folder, mlflow.binary)
        self.gateway.mlflow_url, self.gateway.key_file = mlflow.mlflow_url, mlflow.key_file
        self.gateway.settings_file = folder / "gateway.toml"
        tables = ["\n".join(["[[auth.issuers]]", *(f"{key} = {toml(value)}" for key, value in about.items())]) for about in issuers]
        self.gateway.settings_file.write_text("\n\n".join(tables))
        self.session = requests.Session()

    def __enter__(self) -> "Site":
        self.gateway.start_gateway(HOKUSAI__LIMITS__MODE="off", **self.settings)
        return self

    def __exit__(self, *_: object) -> None:
        self.gateway.stop()

    def ask(self, token: str, method: str, path: str, headers: dict | None = None, **parts) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} | (headers or {})
        return self.session.request(method, self.gateway.url + path, headers=headers, timeout=60, **parts)

    def read(self, token: str, headers: dict | None = None) -> requests.Response:
        return self.ask(token, "GET", "/api/2.0/mlflow/experiments/get?experiment_id=0", headers)

    def create(self, token: str, path: str, name: str) -> requests.Response:
        return self.ask(token, "POST", path, json={"name": name})

    def state(self) -> set:
        return kept_in(self.mlflow.folder)

    def requests(self) -> list[dict]:
        """The lines of the log about requests to MLflow's routes."""
        lines = [json.loads(line) for line in self.gateway.log("gateway").read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("message") == "request" and "/mlflow/" in line.get("path", "")]
