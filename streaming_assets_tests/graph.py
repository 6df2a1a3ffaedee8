"""A lake, a warehouse and an instance of a test's own, and on them the whole graph in this process."""

import gzip
import json
import shutil
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from streaming_assets.automation.jobs import HOURLY_JOB
from streaming_assets.dagster_runtime.runs import span_tags
from streaming_assets.events import LAKE_TOPICS
from streaming_assets.lake.factory import lake_of
from streaming_assets.lake.inventory import list_topics, read_rows
from streaming_assets.lake.names import HOUR, ObjectName
from streaming_assets.partitions import Span
from streaming_assets.settings import Settings
from streaming_assets.warehouses.duckdb_warehouse import DuckDbWarehouse
from streaming_assets.warehouses.holding import FOLLOWERS
from streaming_assets.warehouses.tables import STAGING
from streaming_assets.warehouses.warehouse import in_span

_STAGED = (
    "bucket_ingestion_datetime timestamp, copies bigint, user_id bigint, session_id bigint, event_datetime timestamp,"
    " event_id varchar"
)
_STANDING_TABLES = "; ".join(f"create table if not exists {table} ({_STAGED})" for table in STAGING.values())
_FACTS_OF_STAGING = "; ".join(
    [
        "create or replace table fact_listen_events as select event_id, bucket_ingestion_datetime"
        " from stg_listen_events",
        "create or replace table fact_session_events as select user_id, session_id,"
        " event_datetime as session_start_datetime, event_datetime as session_end_datetime from stg_page_view_events",
        *(
            f"create or replace table {model} as select 1 as one"
            for models in FOLLOWERS.values()
            for model in models
            if not model.startswith("fact_")
        ),
    ]
)
FIRST = datetime(2025, 3, 1, tzinfo=UTC)  # hours of tests, unless they concern the present


def hour(number: int) -> datetime:
    """The hour that lies `number` hours after FIRST."""
    return FIRST + number * HOUR


class Place:
    """A home folder with its lake and warehouse, and a Dagster instance in memory."""

    def __init__(self, home: Path, **settings: Any) -> None:
        self.settings = Settings(home=home, **settings)
        self.lake = lake_of(self.settings)
        self.warehouse = DuckDbWarehouse(self.settings.warehouse.file, 10, self.settings.lake.url)
        self.instance = dg.DagsterInstance.ephemeral()

    def put_parsed(self, parsed: Path) -> None:
        """Put a dbt target folder with the parsed project into the home, so that nobody parses it again."""
        shutil.copytree(parsed, self.settings.home / "dbt" / self.settings.warehouse.kind, dirs_exist_ok=True)

    def put(
        self,
        topic: str,
        at: datetime,
        lines: Iterable[Any],
        offset: int = 0,
        partition: int = 0,
        stream_epoch: str | None = None,
    ) -> ObjectName:
        """Write an object: events get consecutive offsets, texts are lines as they are."""
        name = ObjectName(topic, at, partition, offset, stream_epoch)
        texts = [
            line if isinstance(line, str) else in_lake(line, offset + index)
            for index, line in enumerate(lines)
        ]
        self.put_bytes(name, gzip.compress("\n".join(texts).encode()))
        return name

    def put_bytes(self, name: ObjectName | str, data: bytes) -> None:
        """Write an object of these bytes."""
        self.lake.write(str(name), data)

    def take_in(self, span: Span, done: bool = True) -> None:
        """What a run over the hours leaves: the inventory, and tables with as many rows; not `done`: it died first."""
        self.warehouse.prepare()
        objects = list_topics(self.lake, LAKE_TOPICS, *span).objects
        self.warehouse.record_objects(
            span, read_rows(self.lake, objects, self.warehouse.known_rows(span), self.warehouse.lines_folder)
        )
        if done:
            with self.warehouse.connect() as connection:
                connection.execute(_STANDING_TABLES)
                for topic, table in STAGING.items():
                    connection.execute(f"delete from {table} where {in_span(span)}")
                    connection.execute(
                        f"insert into {table} select bucket_ingestion_datetime, sum(row_count), 1, 1,"
                        " bucket_ingestion_datetime, any_value(object_name) from lake_objects"
                        f" where topic = '{topic}' and row_count > 0 and {in_span(span)} group by 1"
                    )
                connection.execute(_FACTS_OF_STAGING)
            self.warehouse.mark_processed(span)

    def close(self) -> None:
        """End the instance."""
        self.instance.dispose()


class Graph(Place):
    """The definitions for a place."""

    def __init__(self, home: Path, parsed: Path, **settings: Any) -> None:
        """`parsed`: as `put_parsed` takes it."""
        from streaming_assets.definitions import build_defs

        super().__init__(home, **settings)
        self.put_parsed(parsed)
        self.defs = build_defs(self.settings)

    def run(
        self,
        first: int,
        end: int,
        job: str = HOURLY_JOB,
        tags: Mapping[str, str] | None = None,
        **options: Any,
    ) -> dg.ExecuteInProcessResult:
        """Run a job over the hours [hour(first), hour(end)); `options` as `execute_in_process` takes them."""
        return self.defs.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            tags={**span_tags((hour(first), hour(end))), **(tags or {})},
            raise_on_error=False,
            **options,
        )

    def rows(self, sql: str) -> list[tuple]:
        """The rows of a query of the warehouse."""
        return self.warehouse.rows(sql)

    def tables(self) -> dict[str, list[tuple]]:
        """All rows of all tables and views of models, in an order of their own."""
        names = self.rows(
            "select table_name from information_schema.tables"
            " where table_name similar to '(stg|dim|fact|mart)_.*' order by all"
        )
        return {name: sorted(self.rows(f"select * from {name}"), key=repr) for (name,) in names}


class Kept:
    """A graph's home and Dagster's records of it as they are now, for each test to begin with."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._home = graph.settings.home
        self._files = shutil.copytree(self._home, self._home.with_name(f"{self._home.name}-kept"))
        self._records = [sqlite3.connect(":memory:") for _ in _databases(graph.instance)]
        for database, records in zip(_databases(graph.instance), self._records, strict=True):
            database.backup(records)

    def put_back(self) -> Graph:
        """The graph with all as it was, under the same paths, which views and parsed project name."""
        shutil.rmtree(self._home)
        shutil.copytree(self._files, self._home)
        for database, records in zip(_databases(self._graph.instance), self._records, strict=True):
            records.backup(database)
        return self._graph


def _databases(instance: dg.DagsterInstance) -> list[sqlite3.Connection]:
    """Where an instance in memory has its runs and events."""
    storages: list[Any] = [instance.run_storage, instance.event_log_storage]
    return [storage._held_conn.connection.driver_connection for storage in storages]


def in_lake(event: Mapping[str, Any], offset: int) -> str:
    """The line of an event in an object."""
    return json.dumps(
        {"value": event, "offset": offset, "timestamp": "2025-03-01T00:00:00.000Z"}, ensure_ascii=False
    )


def ms(moment: datetime) -> int:
    """Milliseconds since the epoch, as events carry them."""
    return int(moment.timestamp() * 1000)


def listen(at: datetime, user: int = 1, item: int = 0, **other: Any) -> dict[str, Any]:
    """A song played; `other` replaces fields."""
    track = {"artist": "Ann", "song": "Hello", "duration": 200.5}
    return _in_session(at, user, item) | track | other


def view(at: datetime, user: int = 1, item: int = 0, **other: Any) -> dict[str, Any]:
    """A page viewed by someone who is logged in."""
    return _in_session(at, user, item) | {"page": "Home", "method": "GET", "status": 200} | other


def change(at: datetime, user: int = 1, item: int = 0, **other: Any) -> dict[str, Any]:
    """A change of level, which is the one before."""
    return _in_session(at, user, item) | other


def info(at: datetime, user: int = 1, **other: Any) -> dict[str, Any]:
    """A user's record, registered an hour before."""
    who = {"lastName": "Lovelace", "firstName": "Ada", "gender": "F", "level": "free"}
    return {"ts": ms(at), "userId": user, "registration": ms(at - HOUR), **who} | other


def without(event: Mapping[str, Any], field: str) -> dict[str, Any]:
    """The event lacking a field."""
    return {name: value for name, value in event.items() if name != field}


def failures(result: dg.ExecuteInProcessResult) -> str:
    """What failed in a run, in all its words; empty if nothing did."""
    return "\n".join(
        event.step_failure_data.error_display_string or ""
        for event in result.all_events
        if event.is_step_failure
    )


def _in_session(at: datetime, user: int, item: int) -> dict[str, Any]:
    place = {"city": "Reno", "zip": "89501", "state": "NV"}
    where = {"userId": user, "sessionId": 1, "itemInSession": item, "auth": "Logged In", "level": "free"}
    return {"ts": ms(at), **where, **place}
