"""Serving the app: a production WSGI server that a signal ends at once."""

import errno
import signal
import sys
import threading
from contextlib import suppress
from datetime import timedelta
from importlib import import_module

from waitress.server import create_server

from streaming_assets.dashboards import board, song_ranking
from streaming_assets.dashboards.app import create_app
from streaming_assets.dashboards.site import Site
from streaming_assets.dashboards.views import View
from streaming_assets.published.manifest import SnapshotError
from streaming_assets.published.snapshot import SnapshotReader
from streaming_assets.settings import Settings, env_name

THREADS = 8


class PortTaken(RuntimeError):
    """Another program listens there; the message says how to choose another port."""


def serve(settings: Settings) -> None:
    """Serve the dashboards until SIGTERM or SIGINT.

    Raises:
        PortTaken: the port is in use.
    """
    # pyarrow imports it when first needed, and Dash looks into it half imported, if that is in another thread.
    import_module("pandas")
    site = Site(
        SnapshotReader(settings.published_dir),
        settings.dashboards.subscription_price_usd,
        timedelta(minutes=settings.dashboards.stale_after_minutes),
    )
    app = create_app(site, settings.host_names)
    host, port = settings.web.bind_host, settings.dashboards.port
    try:
        server = create_server(app.server, host=host, port=port, threads=THREADS, ident=None)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise PortTaken(
            f"port {port} of {host} is in use; end what listens there, or choose another with "
            f"{env_name('dashboards_port')} or --port"
        ) from None
    threading.Thread(target=_read_ahead, args=(site,), daemon=True).start()
    signal.signal(signal.SIGTERM, _end)
    print(f"dashboards: http://{host}:{port}/ (KPIs), http://{host}:{port}/music", flush=True)
    server.run()


def _read_ahead(site: Site) -> None:
    """Read what the first visitor of the music page would otherwise wait for."""
    with suppress(SnapshotError):
        snapshot = site.reader.current()
        extent = board.extent("music", snapshot)
        if extent:
            song_ranking.songs(snapshot, View.of_address("", extent), 0, 1)


def _end(_signal: int, _frame: object) -> None:
    sys.exit(0)  # waitress lets go of its threads on this, as it does on Ctrl-C
