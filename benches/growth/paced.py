"""A load of so many requests a second over several gateways, each request with one of many keys: as a balancer spreads a fleet's."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter

from ..side_by_side.load import GET, WrongAnswer
from ..side_by_side.processes import Server

# To each gateway. Each asks again when its turn has come and it is answered.
CONNECTIONS = 4


def paced(servers: list[Server], authorizations: list[str], per_second: float, seconds: float) -> int:
    """How many requests there were, all of them answered with a 200."""
    answers = statuses(servers, authorizations, per_second, seconds)
    if wrong := {status: count for status, count in answers.items() if status != 200}:
        raise WrongAnswer(f"of {answers.total()} answers by status: {wrong}")
    return answers.total()


def statuses(servers: list[Server], authorizations: list[str], per_second: float, seconds: float) -> Counter[int]:
    """How many answers there were of each status."""
    return asyncio.run(_paced(servers, authorizations, per_second, seconds))


async def _paced(servers: list[Server], authorizations: list[str], per_second: float, seconds: float) -> Counter[int]:
    interval = len(servers) * CONNECTIONS / per_second
    end = time.monotonic() + seconds
    clients = [_ask(server, authorizations, interval, end) for server in servers for _ in range(CONNECTIONS)]
    answers: Counter[int] = sum(await asyncio.gather(*clients), Counter())
    if answers.total() < 0.95 * per_second * seconds:
        raise WrongAnswer(f"{answers.total()} requests in {seconds} s, where {per_second} a second were wanted")
    return answers


async def _ask(server: Server, authorizations: list[str], interval: float, end: float) -> Counter[int]:
    address, path = server.base.removeprefix("http://").split("/", 1)
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"GET /{path}{GET.path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: "
    answers, turn = Counter(), time.monotonic() + random.random() * interval
    while turn < end:
        await asyncio.sleep(max(0.0, turn - time.monotonic()))
        writer.write(f"{head}{random.choice(authorizations)}\r\n\r\n".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        length = answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        answers[int(answer.split(b" ", 2)[1])] += 1
        turn += interval
    writer.close()
    return answers
