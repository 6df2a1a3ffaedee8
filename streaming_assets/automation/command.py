"""`streaming-assets backfill`, `reconcile`, `rebuild`, `forget`, `seal`: the thin edge over their modules.

The context's object is the function that makes the graph of settings.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("backfill")(backfill_command)
    app.command("reconcile")(reconcile_command)
    app.command("rebuild")(rebuild_command)
    app.command("forget")(forget_command)
    app.command("seal")(seal_command)


def backfill_command(
    context: typer.Context,
    start: Annotated[str, typer.Argument(help="First hour, ISO time, UTC, such as 2025-04-01T00:00Z")],
    end: Annotated[str, typer.Argument(help="End of the range, exclusive, ISO time, UTC")],
) -> None:
    """Materialise a range of hours, from external tables to the dashboards' snapshot.

    In runs of STREAMING_ASSETS_HOURS_PER_STEP at most; live hours go between them.
    """
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


def forget_command(
    context: typer.Context,
    user: Annotated[list[int] | None, typer.Option(min=0, help="A user's id; may be repeated")] = None,
    users: Annotated[Path | None, typer.Option(help="File of user ids, one a line")] = None,
    lift: Annotated[bool, typer.Option("--lift", help="Let in again what arrives of them")] = False,
) -> None:
    """Forget people: take them out of the lake for good, make all tables anew without them, and keep them out.

    It can't be undone. As long as a rebuild takes, live hours wait; after a crash the same command does the rest.
    docs/privacy.md says what it reaches.
    """
    from streaming_assets.automation.forget import forget
    from streaming_assets.automation.forget import lift as let_in
    from streaming_assets.lake.forgetting import NotForgotten
    from streaming_assets.lake.store import LakeError
    from streaming_assets.published.manifest import SnapshotError
    from streaming_assets.settings import get_settings
    from streaming_assets.text import counted
    from streaming_assets.warehouses.warehouse import WarehouseLocked, WarehouseOutdated

    try:
        asked = {*(user or ()), *(_user_ids(users) if users else ())}
        if not asked:
            raise ValueError("name somebody: --user 17, or --users FILE with an id a line")
        if lift:
            print(f"forget: {counted(let_in(asked, get_settings()), 'user')} let in again")
            return
        done = forget(asked, get_settings(), context.obj)
    except (ValueError, OSError) as error:
        print(f"forget: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    except (NotForgotten, LakeError, SnapshotError, WarehouseLocked, WarehouseOutdated) as error:
        print(f"forget: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        print(
            "forget: cancelled, and nobody is forgotten yet; the same command does the rest", file=sys.stderr
        )
        raise typer.Exit(130) from None
    print(
        f"forget: {counted(done.people, 'user')} forgotten: {counted(done.lines, 'line')} left"
        f" {counted(done.objects, 'object')}, all tables were made anew, and what arrives of them is kept out"
    )


def seal_command(
    older_than: Annotated[int, typer.Option(min=1, metavar="DAYS", help="Hours that ended so long ago")] = 7,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be sealed; change nothing")
    ] = False,
) -> None:
    """Seal old hours: of each topic, an hour's small objects become one file, and tables stay as they are.

    An hour is sealed once the tables hold all of its objects; what arrives for it later is read beside the file, and
    sealed by the next call. It may be stopped at any time. docs/sealed-hours.md says what it means for other readers.
    """
    from streaming_assets.automation.sealing import NotSealed, seal
    from streaming_assets.lake.store import LakeError
    from streaming_assets.settings import get_settings
    from streaming_assets.text import counted
    from streaming_assets.warehouses.warehouse import WarehouseLocked, WarehouseOutdated

    def tell(line: str) -> None:
        print(f"seal: {line}", file=sys.stderr)

    try:
        done = seal(get_settings(), older_than, tell, dry_run=dry_run)
    except (NotSealed, LakeError, WarehouseLocked, WarehouseOutdated) as error:
        tell(str(error))
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        tell("cancelled; every hour is whole, and the same command does the rest")
        raise typer.Exit(130) from None
    hours = f"{counted(done.hours, 'hour')} of topics"
    objects = f"{counted(done.objects, 'object')} of {done.size / 2**20:,.1f} MiB"
    if dry_run:
        print(f"seal: {hours} to seal, with {objects}; nothing was changed")
        return
    print(f"seal: {hours} sealed: {done.sealed_size / 2**20:,.1f} MiB in place of {objects}")
    if done.faults:
        tell(f"{counted(len(done.faults), 'hour')} of topics could not be sealed")
        raise typer.Exit(1)


def _user_ids(file: Path) -> list[int]:
    ids = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if line.strip():
            if not line.strip().isdecimal():
                raise ValueError(f"{file}, line {number}: {line.strip()!r} is no user id")
            ids.append(int(line))
    return ids


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
