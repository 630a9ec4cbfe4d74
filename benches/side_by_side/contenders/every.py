"""All of them, in the order of the tables."""

from __future__ import annotations

from pathlib import Path

from . import Contender
from .caddy import Caddy
from .fastapi import FastAPI
from .gateway import Gateway
from .haproxy import HAProxy
from .nginx import Nginx

GATEWAY = Gateway("gateway", "**gateway**, key file")
NGINX_AUTH = Nginx("nginx-auth", "nginx, `auth_request` cached, limit, JSON log", authenticates=True)
NGINX_BARE = Nginx("nginx-bare", "nginx, bare `proxy_pass`")
HAPROXY = HAProxy("haproxy", "HAProxy, key map, limit, JSON log")
FASTAPI = FastAPI("fastapi", "FastAPI + httpx, as the original")

EVERY: list[Contender] = [
    GATEWAY,
    Gateway("gateway-service", "**gateway**, auth service, usage reported", service=True),
    Gateway("gateway-silent", "**gateway**, auth service, usage not reported", service=True, usage="off"),
    NGINX_AUTH,
    Nginx("nginx-tuned", "the same, log in blocks, open file cache", authenticates=True, tuned=True),
    NGINX_BARE,
    Nginx("nginx-large", "the same, buffers of 64 KiB", large_buffers=True),
    HAPROXY,
    HAProxy("haproxy-splice", "the same, `option splice-auto`", splices=True),
    Caddy("caddy", "Caddy, `forward_auth`, JSON log"),
    FASTAPI,
]
# Another build of the gateway, beside the two that it is compared with.
BEFORE = {"before": "gateway before, key file", "before-service": "gateway before, auth service, usage reported"}
# The gateway that judges owners, beside one that does not.
OWNED = "gateway-owned"
TITLES = {contender.name: contender.title for contender in EVERY} | BEFORE | {
    OWNED: "**gateway**, key file, `policy.ownership = \"enforce\"`",
    "mlflow": "MLflow, bare",
    "mlflow-gateway": "MLflow behind the gateway",
    "mlflow-basic-auth": "MLflow's basic-auth app",
}


def before(binary: Path) -> list[Contender]:
    return [Gateway(name, title, service=name == "before-service", binary=binary) for name, title in BEFORE.items()]


def compared(name: str) -> str:
    """The gateway that this contender's figures are compared with."""
    return "gateway-service" if name == "before-service" else "gateway"
