"""A proxy before the emulator `local-bigquery`: keeps the jobs that clients send, fills gaps of its REST interface.

Three answers differ from the emulator's. A job that makes a table has it for its destination, as on BigQuery:
dbt-bigquery counts its rows. A dataset has no routines. An internal error is a bad request: clients repeat a request
for minutes after a 500.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import requests

_UNSENT = {"host", "content-length", "connection", "accept-encoding"}
_RETURNED = {"content-type", "location"}


@contextmanager
def bridge_to(url: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """While this lasts, a proxy to `url`; its own address, and configurations of the jobs sent to it, in order."""
    jobs: list[dict[str, Any]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bridge", (_Bridge,), {"url": url, "jobs": jobs}))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", jobs
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Bridge(BaseHTTPRequestHandler):
    url: str
    jobs: list[dict[str, Any]]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer's body does not wait until its head is acknowledged

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        if self.command == "GET" and path.endswith("/routines"):
            self._answer(200, {"content-type": "application/json"}, b'{"routines": []}')
            return
        if self.command == "POST" and path.endswith("/jobs"):
            self.jobs.append(json.loads(body)["configuration"])
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _UNSENT}
        found = requests.request(
            self.command,
            f"{self.url}{self.path}",
            data=body,
            headers=headers,
            timeout=120,
            allow_redirects=False,
        )
        content = _with_destination(found.content) if found.ok and "/jobs" in path else found.content
        self._answer(400 if found.status_code == 500 else found.status_code, found.headers, content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on

    def _answer(self, status: int, headers: Any, content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() in _RETURNED:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _with_destination(content: bytes) -> bytes:
    job = json.loads(content or b"{}")
    made = job.get("statistics", {}).get("query", {}).get("ddlTargetTable")
    if made is None:
        return content
    job["configuration"]["query"]["destinationTable"] = made
    return json.dumps(job).encode()
