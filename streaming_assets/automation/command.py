"""`streaming-assets backfill`, `reconcile` and `rebuild`: the thin edge over backfill.py.

The context's object is the function that makes the graph of settings.
"""

import sys
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("backfill")(backfill_command)
    app.command("reconcile")(reconcile_command)
    app.command("rebuild")(rebuild_command)


def backfill_command(
    context: typer.Context,
    start: Annotated[str, typer.Argument(help="First hour, ISO time, UTC, such as 2025-04-01T00:00Z")],
    end: Annotated[str, typer.Argument(help="End of the range, exclusive, ISO time, UTC")],
) -> None:
    """Materialise a range of hours, from external tables to the dashboards' snapshot, in one run."""
    from streaming_assets.automation.backfill import backfill
    from streaming_assets.settings import get_settings

    begun = datetime.now(UTC)
    try:
        failed = backfill(_moment(start), _moment(end), get_settings(), context.obj)
    except ValueError as error:
        print(f"backfill: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        _end_cancelled("backfill")
    for failure in failed:
        print(f"backfill: {failure}", file=sys.stderr)
    print(
        f"backfill: {start} to {end} {'failed in part' if failed else 'done'} in {datetime.now(UTC) - begun}"
    )
    if failed:
        raise typer.Exit(1)


def reconcile_command(context: typer.Context) -> None:
    """Materialise every hour, however old, that the tables do not hold as the lake does.

    What the schedule of that name does each day, now: for hours that came too late for the object sensor, that a
    crash left half done, that somebody emptied, or that were put right by hand. Hours of unfinished runs are left to
    these. Hours whose rows the lake lost are named and left alone.
    """
    _reconcile("reconcile", context.obj, anew=False)


def rebuild_command(context: typer.Context) -> None:
    """Drop all tables and materialise them anew from the lake, as after an upgrade by which keys or columns differ.

    Dashboards show the published snapshot meanwhile. Hours that the lake no longer has are gone afterwards.
    """
    _reconcile("rebuild", context.obj, anew=True)


def _reconcile(command: str, build_defs: Any, *, anew: bool) -> None:
    """Do it, and say what was found, run and left."""
    from streaming_assets.automation.backfill import reconcile
    from streaming_assets.automation.schedules import tell
    from streaming_assets.lake.store import LakeError
    from streaming_assets.settings import get_settings
    from streaming_assets.warehouses.warehouse import WarehouseLocked, WarehouseOutdated

    try:
        found = reconcile(get_settings(), build_defs, anew=anew)
    except ValueError as error:
        print(f"{command}: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    except (LakeError, WarehouseLocked, WarehouseOutdated) as error:
        print(f"{command}: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        _end_cancelled(command)
    tell(lambda line: print(f"{command}: {line}", file=sys.stderr), found.after)
    for failure in found.failed:
        print(f"{command}: {failure}", file=sys.stderr)
    for start, end in found.ran:
        print(
            f"{command}: {start:%Y-%m-%dT%H:%MZ} to {end:%Y-%m-%dT%H:%MZ} run: {found.before.why((start, end))}"
        )
    for line in found.after.summary():
        print(f"{command}: {line}")
    if found.failed or found.after.to_run or found.after.lost:
        raise typer.Exit(1)


def _end_cancelled(command: str) -> NoReturn:
    """By Ctrl-C, or by Terminate on the page of its run."""
    again = "the same command does the rest; so does `streaming-assets reconcile`"
    print(f"{command}: cancelled; every table is whole, {again}", file=sys.stderr)
    raise typer.Exit(130) from None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no ISO time, such as 2025-04-01T00:00Z") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
