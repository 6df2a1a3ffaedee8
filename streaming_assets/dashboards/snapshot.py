"""The published snapshot: a folder of immutable files, and the manifest that says which of them count.

    <folder>/manifest.json                          replaced in one step; names every file of the snapshot
    <folder>/<table>/<day>-<content hash>.parquet   never changed once it has its name

Publishing writes the files of the days that changed, then the manifest; whoever reads a manifest sees one
whole snapshot, and a crash at any point leaves the former one in force. Files that the manifest no longer
names stay for a grace period, for readers that still hold its predecessor.
"""

import fcntl
import hashlib
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from streaming_assets.dashboards.manifest import MANIFEST, Manifest, NoSnapshot, SnapshotError
from streaming_assets.dashboards.tables import TABLES, TableError, for_file

GRACE = timedelta(minutes=10)  # how long a file outlives the last manifest that names it
ROWS_PER_GROUP = 65_536  # small enough that a filter on one state skips most of a file


def publish(
    folder: Path,
    tables: Mapping[str, Mapping[date, pa.Table]],
    as_of: datetime,
    replace_all: bool = False,
) -> Manifest:
    """Put days of tables into the snapshot; the work is that of the days given, however many it holds.

    Args:
        folder: where the snapshot lives; made if it is not there.
        tables: rows as the marts deliver them (`tables.py` lists the columns), by table name and day. A day
            without rows leaves the snapshot; days that are not given stay as they are.
        as_of: end of the newest ingestion hour that the rows contain, timezone-aware.
        replace_all: what is given is the whole snapshot; days that are not given leave it.

    Returns:
        The new manifest, in force when this returns.

    Raises:
        TableError: a table is unknown or breaks its contract. The former snapshot stays in force.
        SnapshotError: the folder can't be written, or the former manifest can't be merged with.
    """
    if as_of.tzinfo is None:
        raise TableError(f"as_of {as_of} has no time zone")
    unknown = sorted(set(tables) - set(TABLES))
    if unknown:
        raise TableError(f"{', '.join(unknown)}: no such table; the snapshot has {', '.join(TABLES)}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _one_publisher(folder):
            return _publish(folder, tables, as_of.astimezone(UTC), replace_all)
    except OSError as error:
        raise SnapshotError(f"can't publish to {folder}: {error}") from error


def _publish(
    folder: Path, tables: Mapping[str, Mapping[date, pa.Table]], as_of: datetime, replace_all: bool
) -> Manifest:
    now = datetime.now(UTC)
    former = _former(folder, now, replace_all)
    merged: dict[str, dict[str, str]] = {
        name: {} if replace_all else dict(former.tables.get(name, {})) for name in TABLES
    }
    for name, days in tables.items():
        for day, rows in days.items():
            if rows.num_rows:
                merged[name][day.isoformat()] = _write_day(folder, name, day, rows)
            else:
                merged[name].pop(day.isoformat(), None)
    kept = {file for days in merged.values() for file in days.values()}
    retired = former.retired | {file: now.isoformat() for file in former.files()}
    expired = (now - GRACE).isoformat()
    manifest = Manifest(
        snapshot=former.snapshot + 1,
        published_at=now,
        as_of=as_of,
        tables=merged,
        retired={file: at for file, at in retired.items() if file not in kept and at > expired},
    )
    _place(folder / MANIFEST, manifest.to_json().encode())
    _remove_unnamed(folder, manifest)
    return manifest


def _former(folder: Path, now: datetime, replace_all: bool) -> Manifest:
    nothing = Manifest(snapshot=0, published_at=now, as_of=now, tables={})
    try:
        return Manifest.read(folder)
    except NoSnapshot:
        return nothing
    except SnapshotError:
        if replace_all:
            return nothing
        raise


def _write_day(folder: Path, name: str, day: date, delivered: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    rows = for_file(TABLES[name], day, delivered)
    pq.write_table(rows, sink, compression="zstd", row_group_size=ROWS_PER_GROUP)
    content = sink.getvalue()
    file = f"{name}/{day.isoformat()}-{hashlib.sha256(content).hexdigest()[:16]}.parquet"
    if not (folder / file).exists():  # a name stands for its content, and is taken only by whole files
        (folder / name).mkdir(exist_ok=True)
        _place(folder / file, content)
    return file


def _place(path: Path, content: bytes | pa.Buffer) -> None:
    incoming = path.with_name(path.name + ".incoming")
    with open(incoming, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(incoming, path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_unnamed(folder: Path, manifest: Manifest) -> None:
    """Drop the files that nobody can still be reading, those of a crashed publication included."""
    known = manifest.files() | set(manifest.retired)
    for path in folder.glob("*/*.parquet*"):
        if str(path.relative_to(folder)) not in known:
            path.unlink(missing_ok=True)


@contextmanager
def _one_publisher(folder: Path) -> Iterator[None]:
    """Publications take turns: two that merged into the same manifest would lose one's days."""
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Snapshot:
    """One snapshot, seen through an in-memory DuckDB; it stays the same while later ones are published."""

    def __init__(self, folder: Path, manifest: Manifest, database: "Database") -> None:
        self.folder = folder
        self.manifest = manifest
        self.database = database

    @staticmethod
    def open(folder: Path) -> "Snapshot":
        """The snapshot in force. Raises NoSnapshot or SnapshotError."""
        return Snapshot(folder, Manifest.read(folder), Database())

    def days(self, table: str) -> list[date]:
        """The days that `table` has rows of, in order."""
        return sorted(map(date.fromisoformat, self.manifest.tables.get(table, {})))

    def query(
        self, sql: str, table: str, days: Iterable[date], params: Mapping[str, Any] | None = None
    ) -> pa.Table:
        """Run `sql` over the rows of `table` on `days`, which it reads as `{rows}`.

        Days without rows are none of its input; with no day left, the result is an empty table without
        columns.

        Raises:
            SnapshotError: a file of the snapshot is missing or damaged.
        """
        paths = self.files(table, days)
        if not paths:
            return pa.table({})
        return self.database.query(
            sql.format(rows="read_parquet($files)"), {**(params or {}), "files": paths}
        )

    def files(self, table: str, days: Iterable[date]) -> list[str]:
        """The paths of those of `days` that `table` has rows of."""
        files = self.manifest.tables.get(table, {})
        return [str(self.folder / files[day.isoformat()]) for day in days if day.isoformat() in files]


class Database:
    """An in-memory DuckDB that the snapshots of one reader share; queries keep there what outlives them.

    Attributes:
        lock: to hold while changing what is kept.
    """

    def __init__(self) -> None:
        self._connection = duckdb.connect()
        self._connection.execute("SET parquet_metadata_cache = true")
        self.lock = threading.Lock()

    def query(self, sql: str, params: Mapping[str, Any], **tables: pa.Table) -> pa.Table:
        """Run `sql`, which may name `tables` as if they were the database's own.

        Raises:
            SnapshotError: a file that it reads is missing or damaged.
        """
        try:
            with self._connection.cursor() as cursor:
                for name, table in tables.items():
                    cursor.register(name, table)
                return cursor.execute(sql, dict(params)).to_arrow_table()
        except (duckdb.IOException, duckdb.InvalidInputException) as error:
            raise SnapshotError(f"a file of the snapshot can't be read: {error}") from error


class SnapshotReader:
    """Gives the snapshot in force, for as long as the process lives; safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._database = Database()
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._snapshot: Snapshot | None = None

    def current(self) -> Snapshot:
        """The snapshot in force; the same object until another is published.

        Raises:
            NoSnapshot: nothing has been published yet.
            SnapshotError: the manifest is unreadable.
        """
        try:
            stat = os.stat(self.folder / MANIFEST)
        except FileNotFoundError:
            raise NoSnapshot(f"nothing has been published to {self.folder} yet") from None
        except OSError as error:
            raise SnapshotError(f"can't read {self.folder / MANIFEST}: {error.strerror}") from error
        seen = (stat.st_ino, stat.st_mtime_ns)
        with self._lock:
            if self._snapshot is None or seen != self._seen:
                self._snapshot = Snapshot(self.folder, Manifest.read(self.folder), self._database)
                self._seen = seen
            return self._snapshot
