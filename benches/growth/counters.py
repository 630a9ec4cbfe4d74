"""What a gateway counts itself (`/metrics`)."""

from __future__ import annotations

import urllib.request
from collections import Counter

from ..side_by_side.processes import Server

PREFIX = "hokusai_gateway_"


def counters(server: Server) -> Counter[str]:
    """Every series as it is written, without the prefix of all."""
    with urllib.request.urlopen(server.metrics, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    series = (line.rpartition(" ") for line in lines if line.startswith(PREFIX))
    return Counter({name.removeprefix(PREFIX): float(value) for name, _, value in series})
