"""Dagster's event log in one SQLite file, written a transaction a batch through a pooled engine.

What belongs here is how rows reach the log; which rows, and how they are
read, stays with Dagster's own storage.

A range of hours makes a few events for each asset and hour. The stock storage opens an engine and commits
several times for each of them, which costs more than the work that they report. `DAGSTER_EVENT_BATCH_SIZE`
must be set in every process that creates or runs a run, else Dagster hands the events over one by one.
"""

import os
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa
from dagster import AssetCheckEvaluation, AssetCheckKey
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as _Status
from dagster._core.storage.event_log import ConsolidatedSqliteEventLogStorage, SqlEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.consolidated_sqlite_event_log import SQLITE_EVENT_LOG_FILENAME
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS, create_db_conn_string
from dagster._serdes import ConfigurableClassData, serialize_value
from sqlalchemy.engine import Connection
from sqlalchemy.event import listens_for
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

POOL_SIZE = 4


class BatchedWrites(SqlEventLogStorage):
    """One transaction a batch of events, for any storage of one database.

    The base class writes each part of an event (row, tags, newest event of the asset, check record) over a
    connection that it asks for anew. Here those requests join the batch's transaction, so that its code,
    not a copy of it, decides what is written; all of a batch is there or nothing of it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._joined = threading.local()
        self._known_tables: set[str] = set()
        self._last_evaluated: tuple[str, AssetCheckKey] | None = None
        super().__init__(*args, **kwargs)

    @abstractmethod
    def _open(self) -> AbstractContextManager[Connection]:
        """A connection of the pool."""

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        batch = getattr(self._joined, "connection", None)
        if batch is not None:
            yield batch
            return
        with self._open() as connection:
            yield connection

    @contextmanager
    def _batch(self) -> Iterator[Connection]:
        with self.index_transaction() as connection:
            self._last_evaluated = None  # what an earlier batch did may have been rolled back
            self._joined.connection = connection
            try:
                yield connection
            finally:
                self._joined.connection = None

    def store_event(self, event: EventLogEntry) -> None:
        self.store_event_batch([event])

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        if not events:
            return
        with self._batch() as connection:
            stored = list(zip(events, self._insert(connection, events), strict=True))
            of_assets = [(event, row_id) for event, row_id in stored if _asset_event(event)]
            if of_assets:
                self._store_asset_event_tags(connection, *zip(*of_assets, strict=True))
            for event, row_id in _newest(of_assets):
                self._store_asset_event(connection, event, row_id)
            of_checks = [item for item in stored if item[0].dagster_event_type in ASSET_CHECK_EVENTS]
            for _, alike in groupby(of_checks, lambda item: _said(item[0])):
                first, *others = alike
                self.store_asset_check_event(*first)
                if others:
                    self._store_verdicts(connection, others)

    def _insert(self, connection: Connection, events: Sequence[EventLogEntry]) -> Sequence[int]:
        table = SqlEventLogStorageTable
        insert = table.insert().returning(table.c.id, sort_by_parameter_order=True)
        return connection.execute(insert, [self._event_to_row(event) for event in events]).scalars().all()

    def _store_verdicts(self, connection: Connection, stored: Sequence[tuple[EventLogEntry, int]]) -> None:
        """Add what a check says in one run of further hours, at once; the base class asks and adds for each.

        An hour that the run judged before is left to the base class, which changes its row.
        """
        rows, first = AssetCheckExecutionsTable.c, stored[0][0]
        key = first.get_dagster_event().asset_check_evaluation_data.asset_check_key
        of_the_run = sa.select(rows.partition).where(
            rows.asset_key == key.asset_key.to_string(),
            rows.check_name == key.name,
            rows.run_id == first.run_id,
        )
        judged = {None, *connection.execute(of_the_run).scalars()}
        new, again = [], []
        for event, row_id in stored:
            verdict = event.get_dagster_event().asset_check_evaluation_data
            if verdict.partition in judged:
                again.append((event, row_id))
                continue
            judged.add(verdict.partition)
            found = _Status.SUCCEEDED if verdict.passed else _Status.FAILED
            target = verdict.target_materialization_data
            row = self._check_row(event, verdict, verdict.partition, found, row_id)
            new.append(row | {"materialization_event_storage_id": target.storage_id if target else None})
        if new:
            connection.execute(AssetCheckExecutionsTable.insert(), new)
        for event, row_id in again:
            self.store_asset_check_event(event, row_id)

    def _check_row(
        self,
        event: EventLogEntry,
        of_check: Any,  # what is planned, or a verdict
        partition: str | None,
        status: _Status,
        event_id: int | None,
    ) -> dict[str, Any]:
        return {
            "asset_key": of_check.asset_key.to_string(),
            "check_name": of_check.check_name,
            "partition": partition,
            "run_id": event.run_id,
            "execution_status": status.value,
            "evaluation_event": serialize_value(event),
            "evaluation_event_timestamp": self._event_insert_timestamp(event),
            "evaluation_event_storage_id": event_id,
        }

    def _store_asset_check_evaluation_planned(self, event: EventLogEntry, event_id: int | None) -> None:
        # The base class writes a row for each partition of the run, whether or not the check has any: for a year of
        # hours 8,760 copies of each check's event. A run plans a check once; its first verdict takes the row over.
        planned = event.get_dagster_event().asset_check_planned_data
        partitions = [*planned.partitions_subset.get_partition_keys()] if planned.partitions_subset else []
        partition = partitions[0] if len(partitions) == 1 else None
        row = self._check_row(event, planned, partition, _Status.PLANNED, event_id)
        with self.index_connection() as connection:
            connection.execute(AssetCheckExecutionsTable.insert(), row)

    def _update_asset_check_evaluation(self, event: EventLogEntry, event_id: int | None) -> None:
        # The planned row has the run's partition; a verdict has its own, or none where the check has none. The base
        # class looks for a row of the verdict's: finding none it adds one, and the planned one stays for ever.
        evaluation = event.get_dagster_event().asset_check_evaluation_data
        key = (event.run_id, evaluation.asset_check_key)
        if key != self._last_evaluated:
            rows = AssetCheckExecutionsTable.c
            with self.index_connection() as connection:
                connection.execute(
                    AssetCheckExecutionsTable.update()
                    .where(
                        rows.asset_key == evaluation.asset_key.to_string(),
                        rows.check_name == evaluation.check_name,
                        rows.run_id == event.run_id,
                        rows.execution_status == _Status.PLANNED.value,
                    )
                    .values(partition=evaluation.partition)
                )
            self._last_evaluated = key  # a range has thousands of verdicts in a row, and one plan
        super()._update_asset_check_evaluation(event, event_id)

    def has_table(self, table_name: str) -> bool:
        # Asked for each tagged event; a table that is there stays.
        if table_name not in self._known_tables and super().has_table(table_name):
            self._known_tables.add(table_name)
        return table_name in self._known_tables


class BatchedSqliteEventLogStorage(BatchedWrites, ConsolidatedSqliteEventLogStorage):
    """The event log of a local instance: `<base_dir>/event_log.db`, in WAL mode.

    After a power cut the last commits may be missing (`synchronous=NORMAL`), but the file is whole.
    Configured in dagster.yaml with `base_dir`, as the stock storages are.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        _create_database(Path(base_dir))
        self._engine = _pooled_engine(base_dir)
        super().__init__(base_dir, inst_data)

    def _open(self) -> AbstractContextManager[Connection]:
        return self._engine.begin()

    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        return True  # this class makes its database, so the table's columns are the newest

    def watch(self, run_id: str, cursor: str | None, callback: Callable) -> None:
        # The base class watches the database file alone, which in WAL mode with pooled connections
        # changes at a checkpoint only: live logs would stand still until then.
        if not self._obs:
            self._obs = Observer()
            self._obs.schedule(_OnCommit(self.get_db_path(), self.on_modified), self._base_dir)
            self._obs.start()
        self._watchers[run_id][callback] = cursor

    def dispose(self) -> None:
        super().dispose()
        self._engine.dispose()


class _OnCommit(FileSystemEventHandler):
    """Calls back when the database or its write-ahead log changes."""

    def __init__(self, database: str, callback: Callable[[], None]) -> None:
        self._paths = (database, f"{database}-wal")
        self._callback = callback

    def on_modified(self, event: FileSystemEvent) -> None:
        if event.src_path in self._paths:
            self._callback()


def _create_database(folder: Path) -> None:
    """Make an empty event log in `folder` unless there is one.

    Web server, daemon and code server start at once: whoever is first links a finished database into
    place; none of them ever sees half a schema, nor does a later start after a kill.
    """
    database = folder / f"{SQLITE_EVENT_LOG_FILENAME}.db"
    if database.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".new-", dir=folder) as new:
        ConsolidatedSqliteEventLogStorage(new).dispose()
        with suppress(FileExistsError):
            os.link(Path(new, database.name), database)


def _pooled_engine(base_dir: str) -> sa.Engine:
    engine = sa.create_engine(
        create_db_conn_string(base_dir, SQLITE_EVENT_LOG_FILENAME),
        pool_size=POOL_SIZE,
        max_overflow=-1,  # more threads than connections must not wait for one another
        connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
    )

    @listens_for(engine, "connect")
    def _relax_sync(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine


def _asset_event(event: EventLogEntry) -> bool:
    return bool(
        event.dagster_event
        and event.dagster_event.event_type in ASSET_EVENTS
        and event.dagster_event.asset_key is not None
    )


def _said(event: EventLogEntry) -> tuple:
    """What verdicts have in common that one check of one run gives; of any other event nothing but itself."""
    data = event.get_dagster_event().event_specific_data
    if event.run_id and isinstance(data, AssetCheckEvaluation):
        return event.run_id, data.asset_check_key
    return (id(event),)


def _newest(events: Sequence[tuple[EventLogEntry, int]]) -> list[tuple[EventLogEntry, int]]:
    """The last event of each asset and type: those whose values the asset's record keeps."""
    newest: dict[tuple, tuple[EventLogEntry, int]] = {}
    for event, row_id in events:
        dagster_event = event.get_dagster_event()
        key = (dagster_event.asset_key, dagster_event.event_type)
        newest.pop(key, None)  # so that it moves to the end: the order of the rows is kept
        newest[key] = (event, row_id)
    return list(newest.values())
