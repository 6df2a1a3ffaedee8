"""The app on a free port, in this process: real HTTP, a clock that stands still."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from waitress.server import create_server

from streaming_assets.dashboards.app import create_app
from streaming_assets.dashboards.site import Site
from streaming_assets.published.snapshot import SnapshotReader

PRICE = 4.99
STALE_AFTER = timedelta(minutes=90)


def site_of(folder: Path, now: datetime | Callable[[], datetime]) -> Site:
    clock = now if callable(now) else lambda: now
    return Site(SnapshotReader(folder), PRICE, STALE_AFTER, clock)


@contextmanager
def served(folder: Path, now: datetime | Callable[[], datetime]) -> Iterator[str]:
    """The address of the app over `folder`."""
    server = create_server(create_app(site_of(folder, now)).server, host="127.0.0.1", port=0, threads=8)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        server.close()
        server.task_dispatcher.shutdown()
