"""The local state copied while the system runs, and put into an empty home again. The lake is not part of it.

Each part is consistent in itself: the warehouse is copied by whoever holds its turn, databases of SQLite by SQLite's
own backup, the snapshot as the one that is in force. What came between two parts is no matter: the object sensor and
`reconcile` hold the tables to the lake, and a publication the snapshot to the tables.
"""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from streaming_assets.home import PRIVATE
from streaming_assets.published.publication import held_still
from streaming_assets.settings import Settings
from streaming_assets.warehouses.factory import warehouse_of

LISTING = "backup.json"
FORMAT = 1
WAREHOUSE = "warehouse.duckdb"  # its name in a backup
_SQLITE = b"SQLite format 3\0"
# Below the home: what is made anew, or of processes that run now.
_LEFT_OUT = {"logs", "dbt", "cache", "kafka", "broker.json"}
_LEFT_OUT_ANYWHERE = {"compute_logs", "running"}


class BackupError(Exception):
    """No backup can be made, or none restored; the message says why and the way out."""


@dataclass(frozen=True)
class Copied:
    """What a backup or its restoration came to: files, bytes, and what to know of it, in sentences."""

    files: int
    size: int
    notes: tuple[str, ...]


def backup(settings: Settings, to: Path) -> Copied:
    """Copy the local state to the folder `to`, which is there only once it is whole.

    Raises:
        BackupError: there is nothing to copy, the folder is in use, or the disk too small.
        WarehouseLocked: the warehouse is in use for longer than its lock timeout.
        OSError: a file can't be read or written.
    """
    to = to.absolute()
    if not settings.home.is_dir():
        raise BackupError(
            f"{settings.home} is not there, so there is nothing to copy: is STREAMING_ASSETS_HOME right?"
        )
    if to.is_relative_to(settings.home.absolute()):
        raise BackupError(f"{to} lies in the home that is to be copied: name a folder elsewhere")
    _need_empty(to)
    incoming = to.with_name(f"{to.name}.incoming")
    shutil.rmtree(incoming, ignore_errors=True)  # of one that was interrupted
    to.parent.mkdir(parents=True, exist_ok=True)
    _need_room(to.parent, sum(path.stat().st_size for path in [*_files(settings), *_warehouse(settings)]))
    incoming.mkdir(mode=PRIVATE)
    try:
        notes = [*_copy(settings, incoming)]
        listed = {
            str(path.relative_to(incoming)): {"size": path.stat().st_size, "sha256": _sha256(path)}
            for path in sorted(incoming.rglob("*"))
            if path.is_file()
        }
        told = {
            "format": FORMAT,
            "made_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "version": version("streaming_assets"),
            "files": listed,
        }
        (incoming / LISTING).write_text(json.dumps(told, indent=1))
        if to.exists():
            to.rmdir()
        incoming.rename(to)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    return Copied(len(listed), sum(file["size"] for file in listed.values()), tuple(notes))


def restore(settings: Settings, source: Path) -> Copied:
    """Put a backup into the home, of which nothing that it holds may be there.

    Raises:
        BackupError: it is no whole backup, the home holds a system, or the disk is too small.
        OSError: a file can't be read or written.
    """
    files = _listed(source)
    home = settings.home
    tops = sorted({name.split("/")[0] for name in files})
    targets = {top: settings.warehouse.file if top == WAREHOUSE else home / top for top in tops}
    if there := [str(target) for target in targets.values() if target.exists()]:
        raise BackupError(
            f"a system is there already: {', '.join(there)}. End it, and move these away, or set STREAMING_ASSETS_HOME "
            "to another folder"
        )
    home.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    size = sum(file["size"] for file in files.values())
    _need_room(home, size)
    incoming = home / ".restoring"
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir(mode=PRIVATE)
    try:
        for name, file in files.items():
            target = incoming / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target)
            if target.stat().st_size != file["size"] or _sha256(target) != file["sha256"]:
                raise BackupError(f"{source / name} is damaged: take another backup; nothing was restored")
        for top, target in targets.items():
            target.parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
            shutil.move(incoming / top, target)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    return Copied(len(files), size, (f"the lake is none of it: {settings.lake.url}",))


def _copy(settings: Settings, to: Path) -> Iterator[str]:
    """Copy all parts; what there is to know of it, in sentences."""
    for file in _warehouse(settings):
        warehouse = warehouse_of(settings)
        with warehouse.exclusive(), warehouse.released():
            shutil.copyfile(file, to / WAREHOUSE)
    if settings.warehouse.kind != "duckdb":
        yield f"the tables are in {settings.warehouse.kind}, and none of it"
    published = settings.published_dir
    with held_still(published) if published.is_dir() else nullcontext():
        for path in _files(settings):
            target = to / path.relative_to(settings.home)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                _copy_file(path, target)
            except FileNotFoundError:
                continue  # it was there for a moment
    if settings.dagster_home.is_dir() and not [*settings.dagster_home.rglob("*.db")]:
        yield "Dagster's runs and events are in no file here: of PostgreSQL, `pg_dump` makes a backup"
    yield f"the lake is none of it: {settings.lake.url}"


def _warehouse(settings: Settings) -> list[Path]:
    is_here = settings.warehouse.kind == "duckdb" and settings.warehouse.file.exists()
    return [settings.warehouse.file] if is_here else []


def _files(settings: Settings) -> Iterator[Path]:
    """The files below the home that are copied one by one; neither the lake's nor the warehouse's."""
    home, lake = settings.home, Path(settings.lake.url)
    warehouse = settings.warehouse.file.name if settings.warehouse.kind == "duckdb" else WAREHOUSE
    for path in sorted(home.rglob("*")):
        parts = path.relative_to(home).parts
        if path.is_file() and not (
            parts[0] in _LEFT_OUT
            or _LEFT_OUT_ANYWHERE & {*parts}
            or path.is_relative_to(lake)
            or parts[0].startswith(warehouse)
            or path.name == ".lock"
            or path.name.endswith((".lock", ".turn", ".incoming", "-wal", "-shm", "-journal"))
        ):
            yield path


def _copy_file(path: Path, target: Path) -> None:
    with open(path, "rb") as file:
        is_database = file.read(len(_SQLITE)) == _SQLITE
    if not is_database:
        shutil.copyfile(path, target)
        return
    with (
        closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True)) as live,
        closing(sqlite3.connect(target)) as copy,
    ):
        live.backup(copy)


def _listed(source: Path) -> Mapping[str, dict]:
    try:
        told = json.loads((source / LISTING).read_text())
        if told["format"] != FORMAT:
            raise BackupError(
                f"{source} was made by another version of this project ({told['version']}): use that one"
            )
        files = told["files"]
    except (OSError, ValueError, KeyError) as error:
        raise BackupError(f"{source} is no backup: {LISTING} can't be read ({error})") from None
    if lacking := [name for name in files if not (source / name).is_file()]:
        raise BackupError(f"{source} is not whole: {', '.join(lacking[:5])} lack")
    return files


def _need_empty(to: Path) -> None:
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise BackupError(f"{to} is not empty: name a folder that is not there yet")


def _need_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise BackupError(
            f"{folder} has {free / 2**20:,.0f} MiB free, and {size / 2**20:,.0f} are needed: make room, or name another"
        )


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
