"""Memory: under load with 256 connections, and of ten thousand that wait."""

from __future__ import annotations

import select
import socket

from .. import load
from ..contenders import Contender
from ..cost import memory
from ..load import GET, WrongAnswer
from ..processes import Server
from ..results import Record
from ..testbed import Testbed
from . import Plan, running

LOADED, IDLE = "memory", "idle"
CONNECTIONS, IDLE_CONNECTIONS = 256, 10_000
MEASURED = ("gateway", "before", "nginx-auth", "haproxy", "caddy")
# Each round starts all anew; more of them say nothing new.
MOST_ROUNDS = 2


def measure(plan: Plan, scenario: str, bed: Testbed, workers: int) -> None:
    for number in range(min(plan.rounds, MOST_ROUNDS)):
        for contender in plan.among(*MEASURED):
            figures = _loaded(contender, bed, workers, plan.seconds) if scenario == LOADED else _idle(contender, bed, workers)
            plan.results.add(Record(scenario, contender.name, workers, number, figures))


def _loaded(contender: Contender, bed: Testbed, workers: int, seconds: int) -> dict[str, float]:
    with running(bed, [contender], workers) as servers:
        server = servers[contender.name]
        load.ask_once(server, GET)
        before = memory(server).resident
        load.as_fast_as_it_goes(server, GET, CONNECTIONS, seconds, bed.cores.rest)
        after = memory(server)
        return {"before_mib": before / 1024, "after_mib": after.resident / 1024, "peak_mib": after.peak / 1024}


def _idle(contender: Contender, bed: Testbed, workers: int) -> dict[str, float]:
    with running(bed, [contender], workers) as servers:
        server = servers[contender.name]
        load.ask_once(server, GET)
        before = memory(server).resident
        connections = [_ask_and_stay(server) for _ in range(IDLE_CONNECTIONS)]
        after = memory(server).resident
        try:
            _assert_open(server, connections)
        finally:
            for connection in connections:
                connection.close()
        return {"each_kib": (after - before) / IDLE_CONNECTIONS, "before_mib": before / 1024, "after_mib": after / 1024}


def _ask_and_stay(server: Server) -> socket.socket:
    """A connection on which one request with a key was answered."""
    address, path = server.base.removeprefix("http://").split("/", 1)
    host, port = address.split(":")
    connection = socket.create_connection((host, int(port)), timeout=10)
    head = f"GET /{path}{GET.path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: {server.authorization}\r\n\r\n"
    connection.sendall(head.encode())
    # It ends with the upstream's body.
    answer = b""
    while not answer.endswith(b"}}"):
        if not (more := connection.recv(4096)):
            raise WrongAnswer(f"{server.name} closed a connection: {answer!r}")
        answer += more
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise WrongAnswer(f"{server.name}: {answer!r}")
    return connection


def _assert_open(server: Server, connections: list[socket.socket]) -> None:
    poll = select.poll()
    for connection in connections:
        poll.register(connection, select.POLLIN)
    if closed := poll.poll(0):
        raise WrongAnswer(f"{server.name} closed {len(closed)} of {len(connections)} connections")
