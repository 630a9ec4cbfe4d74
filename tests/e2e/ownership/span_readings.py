"""An MLflow that owns one experiment, knows no traces, and remembers which it was asked for and what it was sent."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Recorder:
    def __init__(self) -> None:
        self.asked: set[str] = set()
        self.sent: list[bytes] = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if "/traces/tr-" in self.path:
                    recorder.asked.add(self.path.removesuffix("/info").rsplit("/", 1)[1])
                    self.answer(404, {"error_code": "RESOURCE_DOES_NOT_EXIST"})
                elif "/experiments/get" in self.path:
                    tags = [{"key": "hokusai.owner", "value": "b"}]
                    self.answer(200, {"experiment": {"experiment_id": "1", "name": "b", "lifecycle_stage": "active", "tags": tags}})
                else:
                    self.answer(200, {})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if self.path.endswith("/v1/traces"):
                    recorder.sent.append(body)
                self.answer(200, {})

            def answer(self, status: int, body: dict) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
