"""A real HAProxy with deploy/haproxy/haproxy.cfg as it is, and what it says of itself."""

import re
import socket
from pathlib import Path

from stack import PATIENCE_SECONDS, ROOT, Stack, free_port
from waiting import eventually

CONFIG = ROOT / "deploy" / "haproxy" / "haproxy.cfg"


class HAProxy:
    """HAProxy before gateways, which it calls gateway-1 and so on."""

    def __init__(self, runner: Stack, gateways: list[Stack], folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.socket = folder / "haproxy.sock"
        environment = {f"HOKUSAI_GATEWAY_{n}": gateway.url.removeprefix("http://") for n, gateway in enumerate(gateways, 1)}
        environment |= {"HOKUSAI_HAPROXY_BIND": f"127.0.0.1:{self.port}", "HOKUSAI_HAPROXY_SOCKET": str(self.socket)}
        process = runner.start("haproxy", ["haproxy", "-db", "-f", str(CONFIG)], environment)
        runner.wait_for_port(process, "haproxy", "127.0.0.1", self.port)

    def _say(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.socket))
            connection.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    def is_up(self, gateway: str) -> bool:
        header, *lines = self._say("show stat").splitlines()
        names = header.lstrip("# ").split(",")
        rows = (dict(zip(names, line.split(","))) for line in lines if line)
        (status,) = (row["status"] for row in rows if row["svname"] == gateway)
        # "UP 1/2" and "DOWN 1/2" are on their way to the other.
        return status.startswith("UP")

    def wait_until_up(self, gateway: str) -> None:
        eventually(lambda: self.is_up(gateway), f"HAProxy sees {gateway}", PATIENCE_SECONDS)

    def gateway_of(self, client_port: int) -> str | None:
        """The gateway that the request of this client's connection is at."""
        session = re.search(rf"src=127\.0\.0\.1:{client_port} .*? srv=(gateway-\d)", self._say("show sess"))
        return session and session[1]
