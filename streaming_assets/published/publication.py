"""Publishing: days of tables put into the snapshot, in one move.

    <folder>/manifest.json                          replaced in one step; names every file of the snapshot
    <folder>/analytics.duckdb                       replaced in one step; views over these files (`analytics.py`)
    <folder>/<table>/<day>-<content hash>.parquet   never changed once it has its name; `all` for the day of a table
                                                    that has none

Files are written first, then the database, then the manifest: a crash at any point leaves whole snapshots in force.
What the former one says is believed only as far as its files are there, whole. Files that the manifest no longer names
stay for a grace period, for readers that still hold its predecessor.
"""

import hashlib
import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from streaming_assets.files import locked, replaced
from streaming_assets.published.analytics import place_database
from streaming_assets.published.manifest import (
    MANIFEST,
    File,
    Hours,
    Manifest,
    NoSnapshot,
    SnapshotError,
    Table,
)
from streaming_assets.published.tables import PublishedTable, TableError, for_file

GRACE = timedelta(hours=1)  # how long a file outlives the last manifest that names it
ROWS_PER_GROUP = 65_536  # small enough that a filter on one state skips most of a file
VERIFIED_BYTES = 64 << 20  # of files' content that one publication holds to its hash, by turns


class Publication:
    """One turn at the snapshot, which `begin` gives; it is in force once `commit` returns.

    Attributes:
        findings: what of the former snapshot could not be used, as sentences.
    """

    def __init__(self, folder: Path, tables: Collection[PublishedTable], generation: str) -> None:
        self.findings: list[str] = []
        self._folder = folder
        self._tables = {table.name: table for table in tables}
        self._generation = generation
        self._now = datetime.now(UTC)
        self._former = self._read_former()
        self._verified = self._former.verified
        damaged = self._damaged(self._former)
        self._next: dict[str, Table] = {}
        for name, table in self._tables.items():
            former = self._former_table(table)
            days = {
                day: file for day, file in former.days.items() if file is None or file.file not in damaged
            }
            kept = former.model_copy(update={"days": days})
            if former.whole and former.whole.file in damaged:
                kept = Table(layout=table.layout)
            self._next[name] = kept

    @classmethod
    @contextmanager
    def begin(
        cls, folder: Path, tables: Collection[PublishedTable], generation: str = ""
    ) -> Iterator["Publication"]:
        """The next publication to `folder`, made if it is not there; others wait until this one is done.

        Args:
            folder: where the snapshot lives.
            tables: those that the snapshot has; any other leaves it.
            generation: of the warehouse; nothing of a snapshot of another one is kept.

        Raises:
            SnapshotError: the folder can't be read or written.
        """
        with ExitStack() as stack:
            with _writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
                # Two that merged into the same manifest would lose one's days.
                stack.enter_context(held_still(folder))
                publication = cls(folder, tables, generation)
            yield publication

    def days(self, table: str) -> set[date]:
        """The days of `table` that stand as they are, unless they are put or dropped."""
        return set(self._next[table].days)

    def signature(self, table: str) -> str:
        """Of the rows that stand of a table without days, unless they are put; empty where it was never put."""
        return self._next[table].signature

    def put(self, table: str, day: date, rows: pa.Table) -> None:
        """Replace a day of a table by the rows that its mart has of it, which may be none.

        Raises:
            TableError: there is no such table, or the rows break its contract; the day stays as it was.
            SnapshotError: the file can't be written.
        """
        file = self._file(table, day, rows)
        self._next[table].days[day] = file

    def put_whole(self, table: str, signature: str, rows: pa.Table) -> None:
        """Replace all rows of a table without days; `signature` tells these rows from others. Raises as `put` does."""
        file = self._file(table, None, rows)
        self._next[table] = Table(layout=self._tables[table].layout, whole=file, signature=signature)

    def drop(self, table: str, day: date) -> None:
        """Take a day, which the mart no longer has, out of a table."""
        self._next[table].days.pop(day, None)

    def commit(self, as_of: datetime, hours: Hours | None = None) -> Manifest:
        """Put the snapshot in force.

        Args:
            as_of: end of the newest ingestion hour that the rows contain, timezone-aware.
            hours: what the rows lack of the hours before, if that was looked at.

        Raises:
            TableError: `as_of` has no time zone.
            SnapshotError: the folder can't be written; the former snapshot is in force.
        """
        if as_of.tzinfo is None:
            raise TableError(f"as_of {as_of} has no time zone")
        tables = {
            name: table.model_copy(update={"days": dict(sorted(table.days.items()))})
            for name, table in self._next.items()
        }
        kept = {file.file for table in tables.values() for file in table.present()}
        retired = self._former.retired | dict.fromkeys(self._former.files(), self._now)
        manifest = Manifest(
            snapshot=self._former.snapshot + 1,
            generation=self._generation,
            published_at=self._now,
            as_of=as_of.astimezone(UTC),
            hours=hours,
            tables=tables,
            retired={file: at for file, at in retired.items() if file not in kept and at > self._now - GRACE},
            verified=self._verified,
        )
        with _writing(self._folder):
            place_database(self._folder, manifest, self._tables.values())
            _place(self._folder / MANIFEST, manifest.model_dump_json(indent=1).encode())
            self._remove_unnamed(manifest)
        return manifest

    def _read_former(self) -> Manifest:
        serial = 0
        try:
            former = Manifest.read(self._folder)
            if former.generation == self._generation:
                return former
            serial = former.snapshot
            self.findings.append(
                "The snapshot is of another warehouse, or of this one before it was rebuilt."
            )
        except NoSnapshot:
            pass
        except SnapshotError as error:
            serial = int(self._now.timestamp())  # beyond any that an open page may have seen
            self.findings.append(str(error))
        # Somebody may still read what lies there.
        there = [str(path.relative_to(self._folder)) for path in self._folder.glob("*/*.parquet")]
        return Manifest(
            snapshot=serial,
            published_at=self._now,
            as_of=self._now,
            tables={},
            retired=dict.fromkeys(there, self._now),
        )

    def _former_table(self, table: PublishedTable) -> Table:
        found = self._former.tables.get(table.name)
        if found and found.layout == table.layout:
            return found
        if found:
            self.findings.append(f"{table.name} has other columns now, another grain, or others masked.")
        return Table(layout=table.layout)

    def _damaged(self, former: Manifest) -> set[str]:
        """The files that are gone or of another size, or, of those whose turn it is, of other content."""
        files = {file.file: file for table in former.tables.values() for file in table.present()}
        names = sorted(files)
        after = [name for name in names if name > former.verified]
        left, damaged = VERIFIED_BYTES, set()
        for name in [*after, *names[: len(names) - len(after)]]:
            file, path = files[name], self._folder / name
            in_turn = left > 0
            if not is_whole(path, file, in_turn):
                damaged.add(name)
                self.findings.append(f"{path} is gone or damaged.")
            if in_turn:
                left -= file.size
                self._verified = name
        return damaged

    def _file(self, table: str, day: date | None, rows: pa.Table) -> File | None:
        if table not in self._tables:
            raise TableError(f"{table}: no such table; the snapshot has {', '.join(self._tables)}")
        with _writing(self._folder):
            return self._write(self._tables[table], day, rows) if rows.num_rows else None

    def _write(self, table: PublishedTable, day: date | None, delivered: pa.Table) -> File:
        sink = pa.BufferOutputStream()
        pq.write_table(
            for_file(table, day, delivered), sink, compression="zstd", row_group_size=ROWS_PER_GROUP
        )
        content = sink.getvalue()
        digest = hashlib.sha256(content).hexdigest()
        name = f"{table.name}/{day or 'all'}-{digest[:16]}.parquet"
        file, path = File(file=name, size=content.size, sha256=digest), self._folder / name
        if not is_whole(path, file):  # a name stands for its content: what has it, and is whole, stays
            path.parent.mkdir(exist_ok=True)
            _place(path, content)
        return file

    def _remove_unnamed(self, manifest: Manifest) -> None:
        """Drop the files that nobody can still be reading, those of a crashed publication included."""
        known = manifest.files() | set(manifest.retired)
        for path in self._folder.glob("*/*.parquet*"):
            if str(path.relative_to(self._folder)) in known:
                continue
            with suppress(FileNotFoundError):
                # One that is younger may be of a database whose manifest was never placed.
                if path.stat().st_mtime < (manifest.published_at - GRACE).timestamp():
                    path.unlink()


@contextmanager
def held_still(folder: Path) -> Iterator[None]:
    """Nobody else publishes to the folder meanwhile. Raises OSError: it can't be written."""
    with locked(folder / ".lock"):
        yield


def drop_former(folder: Path) -> None:
    """Remove at once all files of former snapshots; who still reads one is answered with an error, and asks again.

    Raises:
        SnapshotError: the folder can't be read or written, or its manifest is damaged.
    """
    if not folder.is_dir():
        return
    with _writing(folder), held_still(folder):
        try:
            named = Manifest.read(folder).files()
        except NoSnapshot:
            named = set()
        for path in folder.glob("*/*.parquet*"):
            if str(path.relative_to(folder)) not in named:
                path.unlink(missing_ok=True)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SnapshotError(f"can't publish to {folder}: {error}") from error


def is_whole(path: Path, file: File, by_content: bool = True) -> bool:
    """Whether the file at `path` has the size, or even the content, of the one that the manifest names."""
    try:
        if not by_content:
            return path.stat().st_size == file.size
        with open(path, "rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256
    except OSError:
        return False


def _place(path: Path, content: bytes | pa.Buffer) -> None:
    with replaced(path) as incoming, open(incoming, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
