"""A team with a key of its own."""

import requests
from mlflow.tracking import MlflowClient
from signing_in import sign_in

# It is in everything that the other team has, and no answer to ours may have it.
SECRET = "told-to-nobody"


class Team:
    """It uses MLflow's client and plain requests."""

    def __init__(self, stack, name, monkeypatch):
        self.stack, self.key, self.monkeypatch = stack, stack.keys[name], monkeypatch

    def client(self) -> MlflowClient:
        return sign_in(self.monkeypatch, self.stack.tracking_uri, self.key)

    def ask(self, method, path, headers=None, **parts) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.key}"} | (headers or {})
        return requests.request(method, self.stack.tracking_uri + path, headers=headers, timeout=60, **parts)

    def ask_as_written(self, method, path, body=None) -> requests.Response:
        """Sent with the path as it is written, which requests by itself would not do."""
        url = self.stack.tracking_uri + path
        prepared = requests.Request(method, url, headers={"Authorization": f"Bearer {self.key}"}, data=body).prepare()
        prepared.url = url
        with requests.Session() as session:
            return session.send(prepared, timeout=60)
