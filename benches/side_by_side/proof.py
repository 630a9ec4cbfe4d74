"""That a server did all that it was measured at: a line that was not written is work that was not done."""

from __future__ import annotations

import os
import time
import urllib.request

from .load import WrongAnswer
from .processes import Server


def assert_logged(server: Server, requests: int) -> None:
    """One line for each request, at least; the log begins anew."""
    if server.request_log is None:
        return
    deadline = time.monotonic() + 5
    while (lines := server.request_log.read_bytes().count(b"\n")) < requests:
        # Some write in blocks, and once a second.
        if time.monotonic() > deadline:
            raise WrongAnswer(f"{server.name} wrote {lines} lines for {requests} requests")
        time.sleep(0.1)
    os.truncate(server.request_log, 0)


def assert_nothing_dropped(gateway: Server) -> None:
    """Neither lines nor audit records, as its own metrics tell. Usage reports are dropped by design where there are too many."""
    with urllib.request.urlopen(gateway.metrics, timeout=10) as answer:
        metrics = answer.read().decode().splitlines()
    for line in metrics:
        name, _, value = line.rpartition(" ")
        told = name in ("hokusai_gateway_log_lines_dropped", 'hokusai_gateway_audit_records_total{outcome="dropped"}')
        if told and float(value):
            raise WrongAnswer(f"{gateway.name}: {line}")
