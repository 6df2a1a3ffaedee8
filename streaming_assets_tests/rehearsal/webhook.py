"""Who is told: a webhook of this process that keeps the entries of the alerts which arrive."""

import json
import re
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

INDENT = "    "  # before what is to be typed


@dataclass(frozen=True)
class Entry:
    """One entry of an alert, and when it arrived (`time.monotonic`)."""

    at: float
    text: str

    @property
    def commands(self) -> list[str]:
        """What it says to type."""
        return [line.strip() for line in self.text.splitlines() if line.startswith(INDENT)]


class Webhook:
    """Listens from its making until `close`; `url` is its address as apprise takes it."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                at = time.monotonic()
                webhook.entries += [Entry(at, text) for text in told["message"].split("\n\n")]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def find(self, pattern: str, since: float) -> Entry | None:
        """The first entry that arrived since a moment (`time.monotonic`) and begins so."""
        return next((one for one in self.entries if one.at >= since and re.match(pattern, one.text)), None)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
