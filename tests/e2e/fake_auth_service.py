"""A fake auth service, which a function of the test answers for."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class AuthService(BaseHTTPRequestHandler):
    """Calls `server.answer` with the Authorization header and the JSON of each request; keeps the requests in `server.seen`."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, self.headers["Authorization"], body))
        status, answer = self.server.answer(self.headers["Authorization"], json.loads(body))
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def start_auth_service(answer) -> ThreadingHTTPServer:
    """Its address is `url`; its caller ends it with `shutdown` and `server_close`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), AuthService)
    server.answer, server.seen = answer, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
