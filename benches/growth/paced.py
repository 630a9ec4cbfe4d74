"""A load of so many requests a second over several gateways, each request with one of many keys: as a balancer spreads a fleet's."""

from __future__ import annotations

import asyncio
import random
import time

from ..side_by_side.load import GET, WrongAnswer
from ..side_by_side.processes import Server

# To each gateway. Each asks again when its turn has come and it is answered.
CONNECTIONS = 4


def paced(servers: list[Server], authorizations: list[str], per_second: float, seconds: float) -> int:
    """How many requests there were, in all."""
    return asyncio.run(_paced(servers, authorizations, per_second, seconds))


async def _paced(servers: list[Server], authorizations: list[str], per_second: float, seconds: float) -> int:
    interval = len(servers) * CONNECTIONS / per_second
    end = time.monotonic() + seconds
    clients = [_ask(server, authorizations, interval, end) for server in servers for _ in range(CONNECTIONS)]
    requests = sum(await asyncio.gather(*clients))
    if requests < 0.95 * per_second * seconds:
        raise WrongAnswer(f"{requests} requests in {seconds} s, where {per_second} a second were wanted")
    return requests


async def _ask(server: Server, authorizations: list[str], interval: float, end: float) -> int:
    address, path = server.base.removeprefix("http://").split("/", 1)
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"GET /{path}{GET.path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: "
    requests, turn = 0, time.monotonic() + random.random() * interval
    while turn < end:
        await asyncio.sleep(max(0.0, turn - time.monotonic()))
        writer.write(f"{head}{random.choice(authorizations)}\r\n\r\n".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise WrongAnswer(f"{server.name}: {answer.decode()}")
        length = answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        requests, turn = requests + 1, turn + interval
    writer.close()
    return requests
