"""An issuer of tokens for machines, like that of a CI server: it publishes its keys, and can fail in every way that a test wants."""

import contextlib
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from front import Authority
from stack import free_port

from . import signing

DISCOVERY, KEYS = "/.well-known/openid-configuration", "/keys"
HUGE = 10 * 1024 * 1024


class Handler(BaseHTTPRequestHandler):
    # A connection an answer: when the server is closed nothing of it answers.
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        issuer: Issuer = self.server.issuer
        issuer.asked.append((time.monotonic(), self.path))
        status, body = issuer.answer(self.path)
        # Who asked may have gone.
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Issuer:
    """A context manager. It signs with the newest of its keys, and publishes all of `published`."""

    def __init__(self, authority: Authority | None = None, algorithm: str = "RS256") -> None:
        self.authority, self.algorithm, self.port = authority, algorithm, free_port()
        self.url = f"{'https' if authority else 'http'}://127.0.0.1:{self.port}"
        # When it was asked for which path.
        self.asked: list[tuple[float, str]] = []
        self._numbers = 0
        self.key = self._new_key()
        self.published = [self.key]
        # How it misbehaves: other answers by path, and answers that wait.
        self.instead: dict[str, tuple[int, bytes]] = {}
        self._answering = threading.Event()
        self._answering.set()

    def __enter__(self) -> "Issuer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._answering.set()
        self.stop()

    def start(self) -> None:
        """Where it was before, if it was."""
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.issuer = self
        if self.authority:
            certificate, key = self.authority.issue("IP:127.0.0.1")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Connections to it are refused from now on."""
        self.server.shutdown()
        self.server.server_close()

    # What it serves.

    def answer(self, path: str) -> tuple[int, bytes]:
        self._answering.wait()
        if path in self.instead:
            return self.instead[path]
        served = {DISCOVERY: self.discovery(), KEYS: self.key_set()}.get(path)
        return (404, b"{}") if served is None else (200, json.dumps(served).encode())

    def discovery(self) -> dict:
        # What it must have (OpenID Connect Discovery 1.0, 3).
        about = {"issuer": self.url, "jwks_uri": self.url + KEYS, "authorization_endpoint": f"{self.url}/authorize"}
        about |= {"response_types_supported": ["id_token"], "subject_types_supported": ["public"]}
        return about | {"id_token_signing_alg_values_supported": [self.algorithm]}

    def key_set(self) -> dict:
        return {"keys": [key.jwk() for key in self.published]}

    def _new_key(self) -> signing.Key:
        self._numbers += 1
        return signing.Key(f"key-{self._numbers}", self.algorithm)

    def rotate(self, keep: int = 1) -> None:
        """A new key; so many of the old ones are still published."""
        self.key = self._new_key()
        self.published = [self.key, *self.published[:keep]]

    def token(self, subject: str = "repo:acme/churn:ref:refs/heads/main", seconds: float = 600, **claims: object) -> str:
        """For a machine; `None` leaves a claim out."""
        now = int(time.time())
        made = {"iss": self.url, "sub": subject, "aud": "mlflow.example.com", "iat": now, "nbf": now, "exp": int(now + seconds)} | claims
        return signing.token(self.key.header(), {name: value for name, value in made.items() if value is not None}, self.key)

    # How it fails.

    @contextlib.contextmanager
    def hanging(self):
        """It takes requests, and does not answer."""
        self._answering.clear()
        try:
            yield
        finally:
            self._answering.set()

    @contextlib.contextmanager
    def down(self):
        """Nobody listens."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextlib.contextmanager
    def answering(self, path: str, body: bytes, status: int = 200):
        """Something else than it should."""
        self.instead[path] = (status, body)
        try:
            yield
        finally:
            del self.instead[path]

    def huge(self) -> bytes:
        """Its keys, and 10 MB of white space among them."""
        return b"{" + b" " * HUGE + json.dumps(self.key_set()).encode()[1:]
