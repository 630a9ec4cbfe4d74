"""A proxy as they are written in an afternoon: whole bodies in memory, one timeout of 30 s, verdicts in a dictionary.

Run by uvicorn in a venv of its own (scripts/bench/requirements.in); nothing of the benchmark is imported here.
"""

import os
import time
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, HTTPException, Request, Response

UPSTREAM, AUTH_SERVICE = os.environ["UPSTREAM"], os.environ["AUTH_SERVICE"]
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host", "content-length"}
VERDICT_SECONDS, PER_HOUR = 60, 4_000_000_000

verdicts: dict[str, tuple[float, dict]] = {}
asked: dict[tuple[str, int], int] = {}


@asynccontextmanager
async def lifespan(app: FastAPI):
    limits = httpx.Limits(max_connections=256, max_keepalive_connections=256)
    async with httpx.AsyncClient(timeout=30.0, limits=limits) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)


async def verify(client: httpx.AsyncClient, key: str) -> dict:
    until, verdict = verdicts.get(key, (0.0, {}))
    if until > time.monotonic():
        return verdict
    headers = {"Authorization": f"Bearer {key}"}
    answer = await client.post(f"{AUTH_SERVICE}/api/v1/keys/validate", headers=headers, json={"service_id": "platform"})
    verdict = answer.json() if answer.status_code == 200 else {}
    if verdict.get("is_valid") is not True:
        raise HTTPException(401, "Invalid API key")
    verdicts[key] = (time.monotonic() + VERDICT_SECONDS, verdict)
    return verdict


def limit(key_id: str) -> None:
    window = (key_id, int(time.time() // 3600))
    asked[window] = asked.get(window, 0) + 1
    if asked[window] > PER_HOUR:
        raise HTTPException(429, "Rate limit exceeded")


@app.get("/health")
async def health():
    return {"status": "ok"}


@app.api_route("/api/mlflow/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
async def proxy(path: str, request: Request) -> Response:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise HTTPException(401, "Missing API key")
    client: httpx.AsyncClient = request.app.state.client
    verdict = await verify(client, key)
    limit(verdict["key_id"])
    headers = {name: value for name, value in request.headers.items() if name not in HOP_BY_HOP | {"authorization"}}
    headers |= {"X-Hokusai-User-Id": verdict["user_id"], "X-Hokusai-Key-Id": verdict["key_id"]}
    answer = await client.request(
        request.method, f"{UPSTREAM}/{path}", params=request.query_params, headers=headers, content=await request.body()
    )
    passed = {name: value for name, value in answer.headers.items() if name not in HOP_BY_HOP | {"content-encoding"}}
    return Response(answer.content, answer.status_code, passed)
