"""Where a fault is set up: what it shares with others, and what it starts for itself."""

import json

import requests
from commands import Report, check, doctor
from front import Authority, start_nginx

QUICK = {"HOKUSAI__MLFLOW__CONNECT_TIMEOUT": "200ms", "HOKUSAI__MLFLOW__PROBE_INTERVAL": "100ms"}


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

    # A gateway of its own.

    def serve(self, **variables: str) -> None:
        """Starts a gateway, ready or not."""
        self.own.start_gateway_ready_or_not(HOKUSAI__AUTH__KEY_FILE__PATH=str(self.stack.key_file), **variables)

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
