"""Checks that a server did all the work that it was measured at, its log lines included."""

from __future__ import annotations

import os
import time
import urllib.request

from .load import WrongAnswer
from .processes import Server


def assert_logged(server: Server, requests: int) -> None:
    """One line for each request; the log begins anew. HAProxy drops a line where its buffer is full: one in a thousand may be
    missing."""
    if server.request_log is None:
        return
    deadline = time.monotonic() + 5
    while (lines := server.request_log.read_bytes().count(b"\n")) < requests - requests // 1000:
        # Some write in blocks, and once a second.
        if time.monotonic() > deadline:
            raise WrongAnswer(f"{server.name} wrote {lines} lines for {requests} requests")
        time.sleep(0.1)
    os.truncate(server.request_log, 0)


def assert_nothing_dropped(gateway: Server) -> None:
    """Neither lines nor audit records, by its own metrics. Usage that waits has a bound, beyond which it is dropped."""
    for name, value in _metrics(gateway).items():
        counted = name in ("hokusai_gateway_log_lines_dropped", 'hokusai_gateway_audit_records_total{outcome="dropped"}')
        if counted and value:
            raise WrongAnswer(f"{gateway.name}: {name} {value:.0f}")


def usage_reports(server: Server) -> dict[str, float]:
    """How many had which outcome so far; empty for a server that reports none."""
    family = "hokusai_gateway_usage_reports_total{"
    return {name: value for name, value in _metrics(server).items() if name.startswith(family)} if server.metrics else {}


def usage_settled(server: Server, before: dict[str, float], requests: int) -> dict[str, float]:
    """What became of the usage of these requests: sums are told a moment later."""
    deadline = time.monotonic() + 10
    while now := usage_reports(server):
        if sum(now.values()) - sum(before.values()) >= requests:
            break
        if time.monotonic() > deadline:
            raise WrongAnswer(f"{server.name} told the usage of {now}, after {before} and {requests} requests")
        time.sleep(0.1)
    return now


def reported_percent(before: dict[str, float], after: dict[str, float]) -> float:
    """How many of the reports between the two were delivered."""
    more = {name: value - before.get(name, 0) for name, value in after.items()}
    delivered = sum(value for name, value in more.items() if 'outcome="ok"' in name)
    if not delivered:
        raise WrongAnswer(f"no usage was reported: {more}")
    return 100 * delivered / sum(more.values())


def _metrics(gateway: Server) -> dict[str, float]:
    with urllib.request.urlopen(gateway.metrics, timeout=10) as answer:
        lines = (line.rpartition(" ") for line in answer.read().decode().splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}
