"""What a warehouse is to the graph: queries that both say alike, and what each does its own way."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from streaming_assets.events import EventType
from streaming_assets.lake.inventory import Found, InventoryRow, Version
from streaming_assets.lake.names import HOUR
from streaming_assets.lake.store import Lake
from streaming_assets.partitions import Span
from streaming_assets.warehouses.tables import is_outdated, literal

Log = Callable[[str], None]


class WarehouseLocked(Exception):
    """Another process holds the warehouse; the message names the file, the process and the way out."""


class WarehouseOutdated(Exception):
    """The tables are of another version of the project: keys or columns differ; the message says the way out."""


class QueryFailed(Exception):
    """The warehouse can't answer a query over its tables as they stand; the message says why."""


@dataclass(frozen=True)
class Cost:
    """What a model's statements were charged: bytes billed, and slot time in ms."""

    bytes_billed: float
    slot_ms: float


@dataclass(frozen=True)
class ReadersTable:
    """A table as readers see it: its name, what it is, the same of each column, and those columns that are null."""

    name: str
    description: str
    columns: Mapping[str, str]
    masked: Collection[str] = ()


class Warehouse(ABC):
    """Tables of the project. SQL here and in `rows` is what DuckDB and BigQuery both understand."""

    kind: str  # tag of its assets
    is_shared: (
        bool  # whether a deployment's: its Dagster is not that of the home, its tables are read in place
    )
    asks_freely: bool  # whether a query that reads a column whole costs next to nothing
    event_signature: str  # SQL: one number of a group's event_ids, equal for equal sets of them
    row_signature: str  # SQL: one number of the rows of a table called `t`, equal for equal sets of them
    has_readers: bool  # whether people read its tables in place; else they have the published snapshot alone
    reads_sealed = False  # whether its models read the files of sealed hours
    keeps_staged: timedelta | None = None  # how long an hour stays staged, where that is not for ever

    @abstractmethod
    def exclusive(self, timeout: float | None = None) -> AbstractContextManager[None]:
        """Hold the warehouse for this process, where more than one writer would do harm.

        Args:
            timeout: how long to wait for it, s; the lock timeout unless given.

        Raises:
            WarehouseLocked: another process kept it for longer.
            LeaseLost: it was not this process's to the end, where machines share it.
            LakeError: the lake, which keeps such a warehouse's lease, can't be read or written.
        """

    def looking(self, timeout: float | None = None) -> AbstractContextManager[None]:
        """What a look at the tables needs: `exclusive`, or nothing where a query sees one moment, whoever writes."""
        return self.exclusive(timeout)

    def released(self) -> AbstractContextManager[None]:
        """Within `exclusive`: let a process that this one starts use the warehouse, for the time of the block."""
        return nullcontext()

    @abstractmethod
    def is_there(self) -> bool:
        """Whether anything was ever written."""

    @abstractmethod
    def prepare(self) -> None:
        """Make the inventory of objects, unless it is there; with it the warehouse gets its generation.

        Raises:
            WarehouseOutdated: the tables are of another version.
        """

    def check_version(self) -> None:
        """Look whether this project can go on with the tables. To be called under `exclusive()`.

        Raises:
            WarehouseOutdated: they are of another version; the message says the way out.
        """
        if self.has_table("lake_objects") and is_outdated(self.generation()):
            raise WarehouseOutdated(self._outdated())

    @abstractmethod
    def _outdated(self) -> str:
        """What to do with tables of another version."""

    @abstractmethod
    def reset(self) -> None:
        """Drop all tables, for a rebuild from the lake. To be called under `exclusive()`.

        Raises:
            WarehouseOutdated: this warehouse is rebuilt in another way, which the message says.
        """

    @abstractmethod
    def generation(self) -> str | None:
        """The id that the warehouse got when it was made; None if nothing was ever written.

        What remembers a warehouse (the object sensor's cursor, the published manifest) keeps its generation too: with
        another one, or none, the tables are not those that it remembers, and all must be built or published anew.
        To be called under `exclusive()`.
        """

    @abstractmethod
    def stamp(self) -> str | None:
        """What differs after each change of the tables, for one who looks often; None if nothing was ever written.

        It costs next to nothing and neither waits for a writer nor stops one.
        """

    @abstractmethod
    def tables(self) -> set[str]:
        """The names of all tables and views of the project."""

    @abstractmethod
    def has_table(self, name: str) -> bool:
        """Whether there is a table or view of that name."""

    @abstractmethod
    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""

    @abstractmethod
    def arrow(self, sql: str) -> pa.Table:
        """The rows of a query, as an Arrow table. Raises QueryFailed."""

    def show_to_readers(self, tables: Iterable[ReadersTable]) -> list[str]:
        """Give readers these names, and no others, where they ask the warehouse in place.

        Returns:
            What stands in the way, as sentences.
        """
        return []

    @abstractmethod
    def execute(self, sql: str) -> None:
        """Run a statement that changes rows."""

    @abstractmethod
    def record_objects(self, span: Span, objects: Iterable[InventoryRow]) -> None:
        """Replace the inventory of the hours in `span`, all topics, in one act."""

    @abstractmethod
    def create_event_table(self, event_type: EventType, lake: Lake, log: Log) -> None:
        """Make or alter the external table of a topic, every field as text; `tell` hears first what will change."""

    @abstractmethod
    def create_reference_table(self, name: str, lake: Lake, file: str, log: Log) -> bool:
        """Make or alter the external table of a reference file, an empty one without the file.

        Returns:
            Whether the file is there.
        """

    @abstractmethod
    def count_reference(self, name: str) -> int:
        """Rows of a reference file's table."""

    def costs(self, since: datetime) -> Mapping[str, Cost]:
        """What the statements of each model and test since then were charged; nothing where nothing is charged."""
        return {}

    @property
    def lines_folder(self) -> Path | None:
        """Where the lines of objects go that the warehouse can't read itself; None where it never needs them."""
        return None

    def known_rows(self, span: Span) -> dict[Version, Found]:
        """What was found before in the objects of the hours, by version."""
        found = self.rows(
            "select uri, size_bytes, generation, row_count, content_hash, lines_uri, unknown_fields"
            " from lake_objects"
            f" where row_count is not null and content_hash is not null and {in_span(span)}"
        )
        return {(uri, size, generation): Found(*rest) for uri, size, generation, *rest in found}

    def held_versions(self, span: Span) -> list[tuple[str, int, int, bool]]:
        """(name, bytes, generation, whether it is plain in every byte) of the hours' objects that the tables hold."""
        return [
            (name, size, generation, bool(is_plain))
            for name, size, generation, is_plain in self.rows(
                "select object_name, size_bytes, generation,"
                " case when row_count is not null and lines_uri is null then 1 else 0 end as is_plain"
                f" from lake_objects where is_processed and {in_span(span)}"
            )
        ]

    @abstractmethod
    def note_generations(self, objects: Iterable[InventoryRow]) -> None:
        """Note that objects were written anew with the same content, where that had to be read to be known."""

    def note_sealed(self, objects: Iterable[InventoryRow]) -> None:
        """Note in which files the lines of objects lie whose hour was sealed, of those that the inventory knows so."""
        raise NotImplementedError(f"{self.kind} reads no sealed hours")

    def mark_processed(self, span: Span) -> None:
        """Note that the hours' objects, as last listed, are in the tables, but for those that could not be fetched."""
        self.execute(
            "update lake_objects set is_processed = true"
            f" where (row_count is not null or content_hash is not null) and {in_span(span)}"
        )

    def unreadable_objects(self, span: Span) -> list[tuple[datetime, str, str, str]]:
        """(hour, topic, object, what is wrong) of the hours' objects whose rows are in no table."""
        if not self.has_table("lake_objects"):
            return []
        found = self.rows(
            "select bucket_ingestion_datetime, topic, object_name, error from lake_objects"
            f" where error is not null and {in_span(span)} order by object_name"
        )
        return [(as_utc(hour), *rest) for hour, *rest in found]

    def was_taken_in(self, hour: datetime) -> bool:
        """Whether the inventory has an object of the hour, of whatever topic."""
        return bool(self.rows(f"select 1 from lake_objects where {in_span((hour, hour + HOUR))} limit 1"))

    def bytes_taken_in(self) -> dict[str, int]:
        """Bytes of the inventory's objects, all hours, by topic."""
        return dict(self.rows("select topic, sum(size_bytes) as size_bytes from lake_objects group by topic"))

    def hours_taken_in(self) -> list[datetime]:
        """The hours of which the inventory has an object, in order."""
        if not self.has_table("lake_objects"):
            return []
        found = self.rows("select distinct bucket_ingestion_datetime as hour from lake_objects order by hour")
        return [as_utc(hour) for (hour,) in found]

    def hours_held(self, span: Span) -> dict[datetime, bool]:
        """The hours of the span that the inventory has an object of, and whether the tables hold the rows of all."""
        found = self.rows(
            "select bucket_ingestion_datetime as hour,"
            " min(case when is_processed and error is null then 1 else 0 end) as is_held"
            f" from lake_objects where {in_span(span)} group by hour order by hour"
        )
        return {as_utc(hour): bool(is_held) for hour, is_held in found}

    def newest_hour_end(self) -> datetime:
        """End of the newest ingestion hour whose objects are in the tables; the epoch when there is none."""
        newest = self.rows(
            "select max(bucket_ingestion_datetime) as hour from lake_objects where is_processed"
        )[0][0]
        return as_utc(newest) + HOUR if newest else datetime.fromtimestamp(0, UTC)

    def hourly_profile(self, table: str, span: Span) -> list[tuple[datetime, int, datetime, datetime]]:
        """(hour, rows, first event, last event) of a table that keeps the ingestion hour."""
        found = self.rows(
            "select bucket_ingestion_datetime, count(*) as row_count, min(event_datetime) as first_event,"
            " max(event_datetime) as last_event"
            f" from {table} where {in_span(span)} group by bucket_ingestion_datetime"
        )
        return [(as_utc(hour), rows, as_utc(first), as_utc(last)) for hour, rows, first, last in found]

    def days(self, table: str, column: str, days: Collection[date]) -> pa.Table:
        """The rows of a table whose `column`, a date or a timestamp, lies on one of the days."""
        if len(days) != 1:
            return self.arrow(f"select * from {table} where {_among(column, days)}")
        (day,) = days  # of a timestamp no cast prunes
        return self.arrow(
            f"select * from {table} where {column} >= '{day}' and {column} < '{day + timedelta(days=1)}'"
        )

    def signature(self, table: str) -> str:
        """What differs between two states of a table's rows."""
        ((rows, signature),) = self.rows(f"select count(*), {self.row_signature} from {table} as t")
        return f"{rows}-{signature}"

    def queue_all_days(self, mart: str, column: str) -> None:
        """Ask for all days of a mart to be published again, given the column that holds its day."""
        if self.has_table(mart):
            self.execute(
                f"insert into publish_queue (mart, day) select distinct '{mart}', {column} from {mart}"
            )

    def queued_days(self) -> dict[str, list[date]]:
        """The days of each mart that wait to be published."""
        if not self.has_table("publish_queue"):
            return {}
        queued: dict[str, list[date]] = {}
        for mart, day in self.rows("select distinct mart, day from publish_queue order by mart, day"):
            queued.setdefault(mart, []).append(day)
        return queued

    def all_days(self, marts: Mapping[str, str]) -> dict[str, list[date]]:
        """The days of each table, given the column, a date or a timestamp, that tells a row's."""
        return {
            mart: [
                day
                for (day,) in self.rows(
                    f"select distinct cast({column} as date) as day from {mart}"
                    f" where {column} is not null order by day"
                )
            ]
            for mart, column in marts.items()
        }

    def forget_queued(self, queued: Mapping[str, list[date]]) -> None:
        """Take published days off the queue."""
        for mart, days in queued.items():
            self.execute(f"delete from publish_queue where mart = '{mart}' and {_among('day', days)}")


def in_span(span: Span, table: str = "") -> str:
    """The condition that a row's ingestion hour lies in the span; `table` with its dot, where the column needs it."""
    start, end = map(literal, span)
    hour = f"{table}bucket_ingestion_datetime"
    return f"{hour} >= {start} and {hour} < {end}"


def _among(column: str, days: Iterable[date]) -> str:
    listed = ", ".join(f"date '{day}'" for day in days)
    return f"{column} in ({listed})" if listed else "1 = 0"


def as_utc(moment: datetime) -> datetime:
    """DuckDB's timestamps have no zone and mean UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
