"""Requests as they are written, on a kept connection: no client's library between them and the wire."""

import socket
from urllib.parse import urlsplit


class Wire:
    """One connection, made anew when the other side has closed it."""

    def __init__(self, url: str, key: str | None = None) -> None:
        where = urlsplit(url)
        self.address, self.base = (where.hostname, where.port), where.path.encode()
        self.head = f"Host: {where.netloc}\r\n" + (f"Authorization: Bearer {key}\r\n" if key else "")
        self.stream = None

    def ask(self, method: str, target: bytes, body: bytes = b"") -> tuple[int, bytes]:
        """Status and body, or 0 where no answer came."""
        length = f"Content-Length: {len(body)}\r\n" if body or method in ("PUT", "POST", "PATCH") else ""
        request = method.encode() + b" " + self.base + target + b" HTTP/1.1\r\n" + (self.head + length + "\r\n").encode() + body
        for _ in range(2):
            try:
                if self.stream is None:
                    self.stream = socket.create_connection(self.address, timeout=60).makefile("rwb")
                self.stream.write(request)
                self.stream.flush()
                return self.answer(method)
            except (OSError, ValueError, IndexError):
                self.stream = None
        return 0, b""

    def answer(self, method: str) -> tuple[int, bytes]:
        status, fields = int(self.stream.readline().split()[1]), {}
        while line := self.stream.readline().strip():
            name, _, value = line.partition(b":")
            fields[name.lower()] = value.strip().lower()
        if method == "HEAD":
            body = b""
        elif fields.get(b"transfer-encoding") == b"chunked":
            body = b"".join(self.chunks())
        else:
            body = self.stream.read(int(fields.get(b"content-length", 0)))
        if fields.get(b"connection") == b"close":
            self.stream = None
        return status, body

    def chunks(self):
        while size := int(self.stream.readline(), 16):
            yield self.stream.read(size)
            self.stream.readline()
        self.stream.readline()
