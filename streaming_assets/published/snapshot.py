"""The published snapshot as the pages read it: a folder of immutable files, and the manifest that says which count.

Whoever reads a manifest sees one whole snapshot; `publication.py` says how it comes about.
"""

import os
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from streaming_assets.published.manifest import MANIFEST, File, Manifest, NoSnapshot, SnapshotError


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

    @property
    def as_of(self) -> datetime:
        """The time, UTC, up to which there is data: the newest hour may still be running."""
        return min(self.manifest.as_of, self.manifest.published_at).astimezone(UTC)

    def days(self, table: str) -> list[date]:
        """The days that `table` has rows of, in order."""
        return sorted(day for day, file in self._files(table).items() if file)

    def check(self) -> None:
        """Look into the newest day of each table.

        Raises:
            SnapshotError: its file is missing or damaged.
        """
        for table in self.manifest.tables:
            if days := self.days(table):
                self.query("select count(*) from {rows}", table, days[-1:])

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
        files = self._files(table)
        return [str(self.folder / file.file) for file in map(files.get, days) if file]

    def whole(self, table: str) -> list[str]:
        """The path of the file of a table without days; none if it has no rows."""
        found = self.manifest.tables.get(table)
        return [str(self.folder / found.whole.file)] if found and found.whole else []

    def _files(self, table: str) -> Mapping[date, File | None]:
        found = self.manifest.tables.get(table)
        return found.days if found else {}


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
