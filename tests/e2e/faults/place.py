"""Where a fault is set up: what it shares with others, and what it starts for itself."""

import json
import os
import signal
import socket

import requests
from commands import Report, check, doctor, run
from fake_auth_service import AuthService, start_auth_service
from front import Authority, start_nginx
from redis_server import start_redis
from stack import free_port

QUICK = {"HOKUSAI__MLFLOW__CONNECT_TIMEOUT": "200ms", "HOKUSAI__MLFLOW__PROBE_INTERVAL": "100ms"}
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
NOBODY = "nobody.invalid"


class Place:
    """One MLflow and one gateway that are well (`stack`), and a folder for what is not."""

    def __init__(self, stack, folder, shared) -> None:
        self.stack, self.folder, self.shared = stack, folder, shared
        self.own = type(stack)(folder, stack.binary)
        self.own.mlflow_url = stack.mlflow_url
        self.ends = [self.own.stop]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for end in reversed(self.ends):
            end()

    # What looks.

    def check(self, *arguments: str, **variables: str) -> Report:
        return check(self.stack, *arguments, **variables)

    def probe(self, *arguments: str, **variables: str) -> Report:
        """`check --probe`, which waits as little as it can."""
        return check(self.stack, "--probe", *arguments, **(QUICK | variables))

    def doctor(self, url: str, *arguments: str, key: str | None = None) -> Report:
        return doctor(self.stack, url, *arguments, key=key)

    def run(self, *arguments: str, **variables: str) -> Report:
        return run(self.stack.binary, list(arguments), self.folder, variables)

    # What is looked at.

    def nginx(self, inside: str, listen: str = "127.0.0.1:{port}") -> str:
        scheme = "https" if listen.endswith(" ssl") else "http"
        return f"{scheme}://127.0.0.1:{start_nginx(self.own, inside, listen)}"

    def nginx_over_tls(self, names: str = "IP:127.0.0.1", days: int = 30, more: str = "") -> str:
        """With a certificate of the authority's."""
        certificate, key = self.authority.issue(names, days)
        inside = f"ssl_certificate {certificate}; ssl_certificate_key {key}; {more} return 200 OK;"
        return self.nginx(inside, "127.0.0.1:{port} ssl")

    @property
    def authority(self) -> Authority:
        if "authority" not in self.shared:
            self.shared["authority"] = Authority(self.stack.folder / "authority")
        return self.shared["authority"]

    def auth_service(self, answer, handler=AuthService) -> str:
        """One that answers with the status and the JSON that a function gives for a key and a question."""
        server = start_auth_service(answer, handler)
        self.ends += [server.server_close, server.shutdown]
        return server.url

    def redis(self, *arguments: str) -> int:
        self.redis_process, port = start_redis(self.own, *arguments)
        return port

    def hole(self) -> str:
        """What takes connections, and says nothing."""
        hole = socket.create_server(("127.0.0.1", 0))
        self.ends.append(hole.close)
        return f"http://127.0.0.1:{hole.getsockname()[1]}"

    @staticmethod
    def closed() -> str:
        """Where nobody listens."""
        return f"http://127.0.0.1:{free_port()}"

    # A gateway of its own.

    def serve(self, **variables: str):
        """Starts a gateway, ready or not."""
        variables = {
            "MLFLOW_SERVER_URL": self.own.mlflow_url,
            "HOKUSAI__SERVER__BIND": self.own.url.removeprefix("http://"),
            "HOKUSAI__METRICS__BIND": "off",
            "HOKUSAI__AUTH__KEY_FILE__PATH": str(self.stack.key_file),
            "HOKUSAI__SERVER__SETTLE_TIME": "0s",
            **variables,
        }
        config = variables.pop("config", None)
        command = [str(self.stack.binary), "serve", *(["--config", config] if config else [])]
        self.gateway = self.own.start("gateway", command, variables)
        host, port = variables["HOKUSAI__SERVER__BIND"].rsplit(":", 1)
        if not variables.get("fails"):
            self.own.wait_for_port(self.gateway, "gateway", host, int(port))
        return self.gateway

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.gateway.pid, number)

    def get(self, path: str = SEARCH, key: str | None = None, timeout: float = 30) -> requests.Response:
        headers = {"Authorization": f"Bearer {key or self.stack.key}"}
        return requests.get(self.own.url + path, headers=headers, timeout=timeout)

    def logged(self) -> set[str]:
        """The codes in the gateway's log."""
        lines = self.own.log("gateway").read_text().splitlines()
        return {json.loads(line).get("code") for line in lines if line.startswith("{")}

    def ready(self) -> set[str]:
        """The codes of /ready."""
        said = requests.get(f"{self.own.url}/ready", timeout=30).json()
        codes = set(said.get("codes", []))
        assert {text.split(" ")[0] for text in said.get("reasons", []) + said.get("warnings", [])} == codes
        return codes
