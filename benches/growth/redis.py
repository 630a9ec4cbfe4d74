"""A Redis of the run's own, and what it says of itself."""

from __future__ import annotations

import socket
from pathlib import Path

from ..side_by_side.processes import Server, free_port, start


def start_redis(folder: Path, cores: frozenset[int]) -> Server:
    """In memory alone, as a cache is."""
    port = free_port()
    command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    return start("redis", command, f"http://127.0.0.1:{port}", folder, cores)


def url(redis: Server) -> str:
    return redis.base.replace("http://", "redis://")


def calls(redis: Server) -> dict[str, int]:
    """How often each command was called so far; those of a script count too."""
    told = _info(redis, "commandstats").items()
    return {name.removeprefix("cmdstat_"): int(value.split(",")[0].removeprefix("calls=")) for name, value in told}


def used_memory(redis: Server) -> int:
    """In bytes."""
    return int(_info(redis, "memory")["used_memory"])


def clients(redis: Server) -> int:
    return int(_info(redis, "clients")["connected_clients"]) - 1


def _info(redis: Server, section: str) -> dict[str, str]:
    host, port = redis.base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection, connection.makefile("rb") as answer:
        connection.sendall(f"INFO {section}\r\n".encode())
        length = int(answer.readline().removeprefix(b"$"))
        lines = answer.read(length).decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)
