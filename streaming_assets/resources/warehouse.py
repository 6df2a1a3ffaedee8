"""The warehouse of target `local`: a DuckDB file with one writer at a time."""

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from streaming_assets.events import EventType
from streaming_assets.lake.inventory import InventoryRow
from streaming_assets.lake.names import HOUR
from streaming_assets.lake.store import Lake
from streaming_assets.partitions import Span
from streaming_assets.resources.tables import (
    INVENTORY,
    INVENTORY_SCHEMA,
    REFERENCE,
    inventory_row,
    naive,
    view_columns,
)
from streaming_assets.settings import Settings, SettingsError, env_name

_POLL_SECONDS = 0.2


class WarehouseLocked(Exception):
    """Another process holds the warehouse; the message names the file, the process and the way out."""


class DuckDbWarehouse:
    """A DuckDB file. Writing happens under `exclusive()`, which the project's other processes respect."""

    def __init__(self, path: Path, lock_timeout: float) -> None:
        self.path = path
        self._lock_timeout = lock_timeout

    @contextmanager
    def exclusive(self, timeout: float | None = None) -> Iterator[None]:
        """Hold the warehouse for this process.

        Args:
            timeout: how long to wait for it, s; the lock timeout unless given.

        Raises:
            WarehouseLocked: another process kept it for longer.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + (self._lock_timeout if timeout is None else timeout)
        with open(f"{self.path}.lock", "a+") as lock:
            while not _try_lock(lock.fileno()):
                if time.monotonic() > deadline:
                    raise WarehouseLocked(self._in_use(f"process {_holder(lock)}"))
                time.sleep(_POLL_SECONDS)
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            # Someone outside the project may have the file open: find out before work begins.
            self._open(deadline).close()
            yield

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to the file, for the time of the block."""
        connection = self._open(time.monotonic() + self._lock_timeout)
        try:
            yield connection
        finally:
            connection.close()

    def rows(self, sql: str, parameters: list[Any] | None = None) -> list[tuple]:
        """The rows of a query."""
        with self.connect() as connection:
            return connection.execute(sql, parameters or []).fetchall()

    def arrow(self, sql: str, parameters: list[Any] | None = None) -> pa.Table:
        """The rows of a query, as an Arrow table."""
        with self.connect() as connection:
            return connection.execute(sql, parameters or []).to_arrow_table()

    def known_rows(self, topic: str, span: Span) -> dict[tuple[str, int, int], int]:
        """Lines by (uri, size, generation) of the topic's objects that were counted before."""
        with self.connect() as connection:
            connection.execute(INVENTORY)
            found = connection.execute(
                "select uri, size_bytes, generation, row_count from lake_objects"
                " where topic = ? and row_count is not null"
                " and bucket_ingestion_datetime >= ? and bucket_ingestion_datetime < ?",
                [topic, *map(naive, span)],
            ).fetchall()
        return {(uri, size, generation): rows for uri, size, generation, rows in found}

    def record_objects(self, topic: str, span: Span, objects: list[InventoryRow]) -> None:
        """Replace the inventory of the topic's hours in `span`."""
        table = pa.Table.from_pylist([inventory_row(row) for row in objects], schema=INVENTORY_SCHEMA)
        with self.connect() as connection:
            connection.execute("begin")
            connection.execute(
                "delete from lake_objects where topic = ?"
                " and bucket_ingestion_datetime >= ? and bucket_ingestion_datetime < ?",
                [topic, *map(naive, span)],
            )
            connection.register("recorded", table)
            connection.execute("insert into lake_objects select * from recorded")
            connection.execute("commit")

    def create_event_table(self, event_type: EventType, lake: Lake) -> None:
        """Make the external table of a topic: a view over its objects, every field as text."""
        columns, values = view_columns(event_type)
        name = event_type.external_table
        with self.connect() as connection:
            if _exists(connection, name):
                return
            if not connection.execute(
                "select 1 from lake_objects where topic = ? limit 1", [event_type.topic]
            ).fetchone():
                return  # DuckDB can't make a view over a folder that holds no object
            pattern = lake.uri(f"raw/{event_type.topic}/date=*/*.gz")
            connection.execute(
                f'create view {name} as select {values}, lines."offset", lines."timestamp", lines.filename,'
                f" lines.date from read_json('{pattern}', format = 'newline_delimited',"
                f" columns = {{{columns}, 'offset': 'bigint', 'timestamp': 'varchar'}},"
                " hive_partitioning = true, hive_types = {'date': 'timestamp'}, ignore_errors = true,"
                " filename = true) as lines"
            )

    def create_reference_table(self, name: str, lake: Lake, file: str) -> bool:
        """Make the external table of a reference file: a view over its parquet, or an empty one without it.

        Returns:
            Whether the file is there.
        """
        folder = file.rpartition("/")[0] + "/"
        found = any(listed.name == file for listed in lake.list(folder, start=file))
        rows = (
            f"select * from read_parquet('{lake.uri(file)}')"
            if found
            else "select "
            + ", ".join(f"null::{kind} as {column}" for column, kind in REFERENCE[name])
            + " limit 0"
        )
        with self.connect() as connection:
            connection.execute(f"create or replace view {name} as {rows}")
        return found

    def mark_processed(self, span: Span) -> None:
        """Note that the hours' objects, as last listed, are in the tables."""
        with self.connect() as connection:
            connection.execute(
                "update lake_objects set is_processed = true"
                " where bucket_ingestion_datetime >= ? and bucket_ingestion_datetime < ?",
                [*map(naive, span)],
            )

    def processed_hours(self, topic: str) -> dict[datetime, tuple[int, int, int]]:
        """Objects, bytes and newest generation of each hour of the topic that is in the tables."""
        with self.connect() as connection:
            connection.execute(INVENTORY)
            found = connection.execute(
                "select bucket_ingestion_datetime, count(*), sum(size_bytes), max(generation) from lake_objects"
                " where topic = ? group by bucket_ingestion_datetime having bool_and(is_processed)",
                [topic],
            ).fetchall()
        return {
            hour.replace(tzinfo=UTC): (objects, int(size), generation)
            for hour, objects, size, generation in found
        }

    def queue_all_days(self) -> None:
        """Ask for all days of the streams to be published again."""
        with self.connect() as connection:
            if _exists(connection, "mart_daily_streams"):
                connection.execute(
                    "insert into publish_queue"
                    " select distinct 'mart_daily_streams', event_date from mart_daily_streams"
                )

    def queued_days(self) -> dict[str, list[date]]:
        """The days of each mart that wait to be published."""
        with self.connect() as connection:
            if not _exists(connection, "publish_queue"):
                return {}
            found = connection.execute(
                "select mart, list(distinct day order by day) from publish_queue group by mart"
            )
            return dict(found.fetchall())

    def all_days(self, marts: Mapping[str, str]) -> dict[str, list[date]]:
        """The days of each mart, given the column that holds its day."""
        with self.connect() as connection:
            return {
                mart: [
                    day
                    for (day,) in connection.execute(
                        f"select distinct {column} from {mart} order by 1"
                    ).fetchall()
                ]
                for mart, column in marts.items()
            }

    def forget_queued(self, queued: dict[str, list[date]]) -> None:
        """Take published days off the queue."""
        with self.connect() as connection:
            for mart, days in queued.items():
                connection.execute(
                    "delete from publish_queue where mart = ? and list_contains(?, day)", [mart, days]
                )

    def newest_hour_end(self) -> datetime:
        """End of the newest ingestion hour whose objects are in the tables; the epoch when there is none."""
        newest = self.rows("select max(bucket_ingestion_datetime) from lake_objects where is_processed")[0][0]
        return newest.replace(tzinfo=UTC) + HOUR if newest else datetime.fromtimestamp(0, UTC)

    def hourly_profile(self, table: str, span: Span) -> list[tuple[datetime, int, datetime, datetime]]:
        """(hour, rows, first event, last event) of a table that keeps the ingestion hour."""
        return self.rows(
            "select bucket_ingestion_datetime, count(*), min(event_datetime), max(event_datetime)"
            f" from {table} where bucket_ingestion_datetime >= ? and bucket_ingestion_datetime < ?"
            " group by bucket_ingestion_datetime",
            [*map(naive, span)],
        )

    def _open(self, deadline: float) -> duckdb.DuckDBPyConnection:
        while True:
            try:
                return duckdb.connect(str(self.path))
            except duckdb.IOException as error:
                if "lock" not in str(error):
                    raise
                if time.monotonic() > deadline:
                    raise WarehouseLocked(self._in_use(str(error).splitlines()[0])) from None
                time.sleep(_POLL_SECONDS)

    def _in_use(self, by: str) -> str:
        return (
            f"{self.path} is in use: {by}. End what holds it (a DuckDB shell, another run), or raise "
            f"STREAMING_ASSETS_WAREHOUSE_LOCK_TIMEOUT_SECONDS, now {self._lock_timeout:g}"
        )


def open_warehouse(settings: Settings) -> DuckDbWarehouse:
    """The warehouse of the target.

    Raises:
        SettingsError: the target has none yet.
    """
    if settings.target != "local":
        raise SettingsError(
            f"{env_name('target')}={settings.target}: the graph does not run on BigQuery yet; leave it at local"
        )
    return DuckDbWarehouse(settings.warehouse_file, settings.warehouse_lock_timeout_seconds)


def _exists(connection: duckdb.DuckDBPyConnection, table: str | None) -> bool:
    found = connection.execute("select 1 from information_schema.tables where table_name = ?", [table])
    return found.fetchone() is not None


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(lock) -> str:
    lock.seek(0)
    return lock.read().strip() or "unknown"
