"""`streaming-assets backup` and `restore`: the thin edge over backup.py."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streaming_assets.settings import Settings

if TYPE_CHECKING:
    from streaming_assets.local.backup import Copied


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("backup")(backup_command)
    app.command("restore")(restore_command)


def backup_command(
    to: Annotated[Path, typer.Argument(help="Folder that is not there yet; it comes to be once it is whole")],
) -> None:
    """Copy the local state while the system runs: tables, snapshot, Dagster's runs and events. Not the lake."""
    from streaming_assets.local.backup import backup

    _do("backup", to, backup, "copied to")


def restore_command(
    source: Annotated[Path, typer.Argument(help="Folder that `streaming-assets backup` made")],
) -> None:
    """Put a backup into the home, where nothing of a system may be; then `streaming-assets reconcile`."""
    from streaming_assets.local.backup import restore

    _do("restore", source, restore, "restored from")


def _do(command: str, folder: Path, act: "Callable[[Settings, Path], Copied]", done: str) -> None:
    from streaming_assets.local.backup import BackupError
    from streaming_assets.settings import get_settings
    from streaming_assets.text import counted
    from streaming_assets.warehouses.warehouse import WarehouseLocked

    try:
        copied = act(get_settings(), folder)
    except (BackupError, WarehouseLocked, OSError) as error:
        print(f"{command}: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    print(f"{command}: {counted(copied.files, 'file')}, {copied.size / 2**20:,.1f} MiB {done} {folder}")
    for note in copied.notes:
        print(f"{command}: {note}")
