"""`streaming-assets dashboards`."""

import sys
from typing import Annotated

import typer

from streaming_assets.settings import get_settings


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("dashboards")(dashboards)


def dashboards(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; default: the setting BIND_HOST (127.0.0.1)")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port; default: the setting DASHBOARDS_PORT (8050)"),
    ] = None,
) -> None:
    """Serve the dashboards from the published snapshot; Ctrl-C ends it."""
    from streaming_assets.dashboards.server import PortTaken, serve  # Dash takes a second to import

    settings = get_settings()
    chosen = {"bind_host": host, "dashboards_port": port}
    settings = settings.changed(**{name: value for name, value in chosen.items() if value is not None})
    try:
        serve(settings)
    except PortTaken as error:
        print(f"dashboards: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
