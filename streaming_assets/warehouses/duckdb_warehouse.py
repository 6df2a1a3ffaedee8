"""The warehouse of target `local`: a DuckDB file with one writer at a time."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import duckdb
import pyarrow as pa

from streaming_assets.events import EventType
from streaming_assets.lake.inventory import InventoryRow
from streaming_assets.lake.names import RAW, SEALED, topic_prefix
from streaming_assets.lake.store import Lake
from streaming_assets.partitions import Span
from streaming_assets.warehouses.duckdb_lake import know_lake
from streaming_assets.warehouses.tables import (
    INVENTORY,
    INVENTORY_SCHEMA,
    REFERENCE,
    glob_literal,
    inventory_row,
    naive,
    new_generation,
    record_structure,
    text_literal,
    view_columns,
)
from streaming_assets.warehouses.waiting import Wait, described, holder_of
from streaming_assets.warehouses.warehouse import Log, QueryFailed, Warehouse

# Below a topic's folder. A stray's folder must not match: one whose name is no hour would make the view unreadable.
_DIGIT = "[0-9]"
_EVENT_OBJECTS = (
    f"/date={_DIGIT * 4}-[01]{_DIGIT}-[0-3]{_DIGIT} [0-2]{_DIGIT}:00:00+00/{_DIGIT * 10}-{_DIGIT * 20}*.gz"
)


_SEALED_FILES = "/date=*/*.parquet"


class DuckDbWarehouse(Warehouse):
    """A DuckDB file. Writing happens under `exclusive()`, which the project's other processes respect.

    Whoever else has the file open is waited for once, when `exclusive` begins: it keeps the file open to its end, and
    all that this process does with it meanwhile, dbt too, goes through that. Who asks again at once, as a backfill does
    step after step, comes after whoever waits: the lock is taken through a second one, the turn.
    """

    kind = "duckdb"
    is_shared = False
    asks_freely = True
    event_signature = "bit_xor(hash(event_id))"
    row_signature = "bit_xor(hash(t))"
    has_readers = False
    reads_sealed = True

    def __init__(self, path: Path, lock_timeout: float, lake_url: str = "") -> None:
        self.path = path
        self._lake_url = lake_url
        self._lock_timeout = lock_timeout
        self._held: duckdb.DuckDBPyConnection | None = None  # during `exclusive`

    @contextmanager
    def exclusive(self, timeout: float | None = None) -> Iterator[None]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        wait = Wait(self.path, self._lock_timeout if timeout is None else timeout)
        with open(f"{self.path}.lock", "a+") as lock:
            with open(f"{self.path}.turn", "a") as turn:
                while not (_try_lock(turn.fileno()) and _try_lock(lock.fileno())):
                    wait.on(lambda: _owner(lock))
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            self._held = self._open(wait)
            try:
                yield
            finally:
                held, self._held = self._held, None
                held.close()

    @contextmanager
    def released(self) -> Iterator[None]:
        held, self._held = self._held, None
        if held:
            held.close()
        try:
            yield
        finally:
            if held:
                self._held = self._open(Wait(self.path, self._lock_timeout))

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to the file, for the time of the block."""
        connection = self._held.cursor() if self._held else self._open(Wait(self.path, self._lock_timeout))
        try:
            yield connection
        finally:
            connection.close()

    def is_there(self) -> bool:
        return self.path.exists()

    def prepare(self) -> None:
        self.check_version()
        is_new = not self.has_table("lake_objects")
        with self.connect() as connection:
            columns = [f"{column.name} {column.kind}" for column in INVENTORY]
            connection.execute(f"create table if not exists lake_objects ({', '.join(columns)})")
            for column in columns:
                connection.execute(f"alter table lake_objects add column if not exists {column}")
            if is_new:
                connection.execute(f"comment on table lake_objects is '{new_generation()}'")

    def _outdated(self) -> str:
        return (
            f"{self.path}: its tables were made by another version of this project, by which keys or columns differ; "
            "`streaming-assets rebuild` makes them anew from the lake"
        )

    def reset(self) -> None:
        """A new file: in a file that stays, what was dropped can still be read."""
        with self.released():
            for file in (self.path, self.path.with_name(f"{self.path.name}.wal")):
                file.unlink(missing_ok=True)
            shutil.rmtree(self.lines_folder, ignore_errors=True)

    def generation(self) -> str | None:
        with self.connect() as connection:
            return _generation(connection)

    def stamp(self) -> str | None:
        files = (self.path, self.path.with_name(self.path.name + ".wal"))
        times = [file.stat().st_mtime_ns for file in files if file.exists()]
        return "-".join(map(str, times)) if self.path.exists() else None

    def tables(self) -> set[str]:
        return {name for (name,) in self.rows("select table_name from information_schema.tables")}

    def has_table(self, name: str) -> bool:
        return bool(self.rows(f"select 1 from information_schema.tables where table_name = '{name}'"))

    def rows(self, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            return connection.execute(sql, parameters or []).fetchall()

    def arrow(self, sql: str) -> pa.Table:
        with self.connect() as connection:
            try:
                return connection.execute(sql).to_arrow_table()
            except (duckdb.DataError, duckdb.ProgrammingError) as error:
                raise QueryFailed(str(error)) from error

    def execute(self, sql: str) -> None:
        with self.connect() as connection:
            connection.execute(sql)

    def record_objects(self, span: Span, objects: Iterable[InventoryRow]) -> None:
        table = pa.Table.from_pylist([inventory_row(row) for row in objects], schema=INVENTORY_SCHEMA)
        with self.connect() as connection:
            connection.execute("begin")
            connection.execute(
                "delete from lake_objects"
                " where bucket_ingestion_datetime >= ? and bucket_ingestion_datetime < ?",
                [*map(naive, span)],
            )
            connection.register("recorded", table)
            connection.execute("insert into lake_objects by name select * from recorded")
            connection.execute("commit")
            self._sweep_lines(connection)

    @property
    def lines_folder(self) -> Path:
        return self.path.with_name(f"{self.path.name}.lines")

    def _sweep_lines(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Remove files of lines that no object of the inventory has."""
        if not self.lines_folder.is_dir():
            return
        used = {
            lines
            for (lines,) in connection.execute(
                "select lines_uri from lake_objects where lines_uri is not null"
            ).fetchall()
        }
        for path in self.lines_folder.iterdir():
            if str(path) not in used:
                path.unlink(missing_ok=True)

    def note_generations(self, objects: Iterable[InventoryRow]) -> None:
        self._note(objects, "generation = noted.generation, uri = noted.uri")

    def note_sealed(self, objects: Iterable[InventoryRow]) -> None:
        same = " and held.size_bytes = noted.size_bytes and held.generation = noted.generation"
        self._note(objects, "sealed_uri = noted.sealed_uri", same)

    def _note(self, objects: Iterable[InventoryRow], what: str, condition: str = "") -> None:
        """Change columns of the objects that the inventory has, `held`, to what is given of them, `noted`."""
        table = pa.Table.from_pylist([inventory_row(row) for row in objects], schema=INVENTORY_SCHEMA)
        with self.connect() as connection:
            connection.register("noted", table)
            connection.execute(
                f"update lake_objects as held set {what} from noted"
                f" where held.topic = noted.topic and held.object_name = noted.object_name{condition}"
            )

    def create_event_table(self, event_type: EventType, lake: Lake, log: Log) -> None:
        """A view; none yet while the topic has no object, since DuckDB can't make one over nothing.

        Of a sealed hour it shows the objects that the inventory knows so, each once.
        """
        columns, values = view_columns(event_type)
        name = event_type.external_table or ""
        prefix = topic_prefix(event_type.topic).rstrip("/")
        objects = glob_literal(lake.uri(prefix), _EVENT_OBJECTS)
        sealed = glob_literal(lake.uri(SEALED + prefix.removeprefix(RAW)), _SEALED_FILES)
        hive = "hive_partitioning = true, hive_types = {'date': 'timestamp'}, filename = true"
        lying = (
            f'select {values}, lines."offset", lines."timestamp", lines.filename, lines.date'
            f" from read_json({objects}, format = 'newline_delimited', compression = 'gzip',"
            f" columns = {{{columns}, 'offset': 'bigint', 'timestamp': 'varchar'}}, ignore_errors = true,"
            f" {hive}) as lines"
        )
        with self.connect() as connection:

            def has_any(files: str) -> bool:
                return connection.execute(f"select 1 from glob({files}) limit 1").fetchone() is not None

            query = "select comment from duckdb_views() where view_name = ?"
            found = connection.execute(query, [name]).fetchone()
            parts = [lying] if has_any(objects) else []
            if has_any(sealed):
                known = "select uri from lake_objects where sealed_uri is not null"
                parts = [f"{part} where lines.filename not in ({known})" for part in parts]
                parts.append(
                    f"select {values.replace('lines.value', 'lines.record.value')}, lines.record.offset,"
                    " lines.record.timestamp, objects.uri as filename, lines.date from"
                    f" (select *, json_transform(line, {text_literal(record_structure(event_type))}) as record"
                    f" from read_parquet({sealed}, {hive})) as lines inner join lake_objects as objects"
                    " on lines.object_name = objects.object_name and lines.filename = objects.sealed_uri"
                )
            body = " union all ".join(parts)
            # DuckDB keeps the view in words of its own.
            digest = hashlib.sha256(body.encode()).hexdigest()[:16]
            if not parts or found == (digest,):
                return
            if found:
                log(f"{name}: the view is of another version or folder, and is made anew")
            connection.execute(f"create or replace view {name} as {body}")
            connection.execute(f"comment on view {name} is '{digest}'")

    def create_reference_table(self, name: str, lake: Lake, file: str, log: Log) -> bool:
        """A view, cheap to make anew each time."""
        folder = file.rpartition("/")[0] + "/"
        found = any(listed.name == file for listed in lake.list(folder, start=file))
        rows = (
            f"select * from read_parquet({glob_literal(lake.uri(file))})"
            if found
            else "select "
            + ", ".join(f"null::{column.kind} as {column.name}" for column in REFERENCE[name])
            + " limit 0"
        )
        self.execute(f"create or replace view {name} as {rows}")
        return found

    def count_reference(self, name: str) -> int:
        return self.rows(f"select count(*) from {name}")[0][0]

    def _open(self, wait: Wait) -> duckdb.DuckDBPyConnection:
        while True:
            try:
                connection = duckdb.connect(str(self.path))
            except duckdb.IOException as error:
                refusal = str(error)
                if "lock" not in refusal:
                    raise
                wait.on(lambda refusal=refusal: holder_of(refusal))
            else:
                wait.over()
                know_lake(connection, self._lake_url)
                return connection


def _generation(connection: duckdb.DuckDBPyConnection) -> str | None:
    found = connection.execute(
        "select comment from duckdb_tables() where table_name = 'lake_objects'"
    ).fetchone()
    return found[0] if found else None


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(lock: IO[str]) -> str:
    lock.seek(0)
    return described(lock.read().strip() or "unknown")
