"""Ports for servers that cannot be given port 0, or whose address must be known before they start."""

from __future__ import annotations

import random
import socket
import sys

# Below what the kernel gives to connections and to port 0 (net.ipv4.ip_local_port_range: from 32768 on), so that nobody
# takes one between its choice and the server's bind. Redis has a second port 10,000 above: the range of each is apart.
CHOSEN = range(20_000, 32_000)
# Ports are claimed by the name of an abstract socket, which is gone with this process: no two test runs have the same.
_claims: list[socket.socket] = []


def free_port(wanted: int = 0) -> int:
    """`wanted` if it is free, else any other, which is nobody else's as long as this process lives."""
    if wanted and _is_free(wanted):
        return wanted
    for port in random.sample(CHOSEN, len(CHOSEN)):
        if _claim(port):
            return port
    raise RuntimeError("no port is free on 127.0.0.1")


def _claim(port: int) -> bool:
    if sys.platform != "linux":
        return _is_free(port)
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0hokusai-gateway-port-{port}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return _is_free(port)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
