"""What stands before the emulated bucket, and can refuse whoever comes as the bucket refuses expired credentials."""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_BETWEEN = {
    "connection",
    "host",
    "transfer-encoding",
    "content-length",
    "keep-alive",
}  # of one connection alone
REFUSAL = b'{"error": {"code": 401, "message": "Invalid Credentials"}}'


class Gate:
    """Hands requests on to `address`, HOST:PORT; while `refuses`, it answers 401. `url` is its own address."""

    def __init__(self, address: str) -> None:
        self.refuses = False
        self.refused = 0
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if gate.refuses:
                    gate.refused += 1
                    self._answer(401, [("Content-Type", "application/json")], REFUSAL)
                    return
                onward = http.client.HTTPConnection(address, timeout=60)
                try:
                    kept = {
                        name: value for name, value in self.headers.items() if name.lower() not in _BETWEEN
                    }
                    onward.request(self.command, self.path, body, kept)
                    answer = onward.getresponse()
                    self._answer(answer.status, answer.getheaders(), answer.read())
                finally:
                    onward.close()

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any

            def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in _BETWEEN:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def host_of(url: str) -> str:
    """HOST:PORT of an address."""
    return urlsplit(url).netloc
