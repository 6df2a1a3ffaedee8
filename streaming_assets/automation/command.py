"""`streaming-assets backfill`: the thin edge over backfill.py."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("backfill")(backfill_command)


def backfill_command(
    start: Annotated[str, typer.Argument(help="First hour, ISO time, UTC, such as 2025-04-01T00:00Z")],
    end: Annotated[str, typer.Argument(help="End of the range, exclusive, ISO time, UTC")],
) -> None:
    """Materialise a range of hours, from external tables to the dashboards' snapshot, in one run."""
    from streaming_assets.automation.backfill import backfill
    from streaming_assets.settings import get_settings

    begun = datetime.now(UTC)
    try:
        failed = backfill(_moment(start), _moment(end), get_settings())
    except ValueError as error:
        print(f"backfill: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    for failure in failed:
        print(f"backfill: {failure}", file=sys.stderr)
    print(
        f"backfill: {start} to {end} {'failed in part' if failed else 'done'} in {datetime.now(UTC) - begun}"
    )
    if failed:
        raise typer.Exit(1)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no ISO time, such as 2025-04-01T00:00Z") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
