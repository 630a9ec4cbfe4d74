"""Clients that never send anything twice, and remember all that went wrong."""

import hashlib
import http.client
import threading
import time

import requests

CHUNK = 64 * 1024
# A transfer that is held moves at about 1 MiB/s.
PACE_SECONDS = 0.06
TIMEOUT = 120


class Client(threading.Thread):
    """One client's thread; a failure is kept, for the test to tell."""

    def __init__(self, url: str, key: str) -> None:
        super().__init__(daemon=True)
        self.url, self.headers = url, {"Authorization": f"Bearer {key}"}
        self.failures: list[str] = []

    def run(self) -> None:
        try:
            self.work()
        except Exception as error:  # noqa: BLE001: whatever it is, the request is lost
            self.failures.append(repr(error))

    def work(self) -> None:
        raise NotImplementedError


class Metadata(Client):
    """Searches, reads and logs parameters without a pause, on a connection that is kept or on new ones."""

    def __init__(self, url: str, key: str, run_id: str, keeps_connections: bool) -> None:
        super().__init__(url, key)
        self.run_id, self.http = run_id, requests.Session() if keeps_connections else requests
        self.stopping = threading.Event()
        self.answered = 0
        self.logged: set[str] = set()

    def work(self) -> None:
        while not self.stopping.is_set():
            name = f"p{len(self.logged)}"
            if self.ask("POST", "runs/log-parameter", json={"run_id": self.run_id, "key": name, "value": "1"}):
                self.logged.add(name)
            self.ask("POST", "runs/search", json={"experiment_ids": ["0"], "max_results": 1})
            self.ask("GET", "experiments/get", params={"experiment_id": "0"})

    def ask(self, method: str, call: str, **arguments) -> bool:
        url = f"{self.url}/api/2.0/mlflow/{call}"
        try:
            response = self.http.request(method, url, headers=self.headers, timeout=TIMEOUT, **arguments)
        except requests.RequestException as error:
            self.failures.append(f"{call}: {error!r}")
            return False
        if response.status_code != 200:
            self.failures.append(f"{call}: {response.status_code} {response.text[:300]}")
        self.answered += 1
        return response.status_code == 200


class Transfer(Client):
    """An artifact on its way, slowly, that is not let arrive before it is released."""

    method = ""

    def __init__(self, url: str, key: str, name: str, size: int) -> None:
        super().__init__(url, key)
        self.name, self.size, self.moved, self.status = name, size, 0, 0
        self.digest = hashlib.sha256()
        # Which connection it is on, and at which gateway.
        self.port: int | None = None
        self.gateway: str | None = None
        self.released = threading.Event()
        self.done = threading.Event()

    def work(self) -> None:
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=TIMEOUT)
        try:
            connection.connect()
            self.port = connection.sock.getsockname()[1]
            self.transfer(connection, f"/api/2.0/mlflow-artifacts/artifacts/{self.name}")
        finally:
            connection.close()
            self.done.set()

    def transfer(self, connection: http.client.HTTPConnection, path: str) -> None:
        raise NotImplementedError

    def went(self, chunk: bytes) -> None:
        self.moved += len(chunk)
        self.digest.update(chunk)
        if not self.released.is_set():
            time.sleep(PACE_SECONDS)
        if self.size - self.moved <= self.size // 4:
            self.released.wait(TIMEOUT)

    def is_under_way(self) -> bool:
        return self.moved > 0 and not self.done.is_set()


class Upload(Transfer):
    def __init__(self, url: str, key: str, name: str, content: bytes) -> None:
        super().__init__(url, key, name, len(content))
        self.content = content

    def transfer(self, connection: http.client.HTTPConnection, path: str) -> None:
        connection.putrequest("PUT", path)
        for header, value in {**self.headers, "Content-Length": str(self.size)}.items():
            connection.putheader(header, value)
        connection.endheaders()
        for start in range(0, self.size, CHUNK):
            chunk = self.content[start : start + CHUNK]
            connection.send(chunk)
            self.went(chunk)
        response = connection.getresponse()
        response.read()
        self.status = response.status


class Download(Transfer):
    def transfer(self, connection: http.client.HTTPConnection, path: str) -> None:
        connection.request("GET", path, headers=self.headers)
        response = connection.getresponse()
        self.status = response.status
        while chunk := response.read(CHUNK):
            self.went(chunk)
