"""A provider of models, as MLflow's AI gateway calls it: it answers every call, and keeps what reached it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# A question to a judge has this in it; the answer is no.
JUDGED = "Judge whether this is polite"
# What MLflow's guardrails ask for in such a case, and the answer to it.
SANITIZED, BETTER = "You are a content sanitizer", "a kind hello"
CHAT = {
    "id": "chat-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
ANSWERS = {
    "embeddings": {
        "object": "list",
        "model": "m",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    },
    "messages": {
        "id": "message-1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 1},
    },
}


def said(content: dict) -> dict:
    message = {"role": "assistant", "content": json.dumps(content)}
    return CHAT | {"choices": [CHAT["choices"][0] | {"message": message}]}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        # Names in lower case; the same name may be there twice.
        headers = [(name.lower(), value) for name, value in self.headers.items()]
        self.server.requests.append({"path": self.path, "headers": headers, "body": body})
        answer = ANSWERS.get(self.path.rsplit("/", 1)[-1], CHAT)
        if JUDGED in body:
            answer = said({"result": "no", "rationale": "it is rude"})
        elif SANITIZED in body:
            answer = said({"model": "m", "messages": [{"role": "user", "content": BETTER}]})
        if "streamGenerateContent" in self.path:
            kind, answer = "text/event-stream", f"data: {json.dumps(answer)}\n\n".encode()
        else:
            kind, answer = "application/json", json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class Provider:
    """A context manager; `requests` is what reached it since `forget`."""

    def __enter__(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.requests = []
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    @property
    def requests(self) -> list[dict]:
        return self.server.requests

    def forget(self) -> None:
        self.server.requests.clear()
