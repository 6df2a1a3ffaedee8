"""Questions in SQL to the published snapshot: read-only, in UTC, of its files alone, and stopped when time is up."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa

from streaming_assets.published.analytics import DATABASE
from streaming_assets.published.manifest import NoSnapshot, SnapshotError


class BadQuestion(ValueError):
    """What was asked can't be answered; the message says why."""


class Analyst:
    """One connection to one snapshot; `reading` opens it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout

    @staticmethod
    @contextmanager
    def reading(folder: Path, timeout: float) -> Iterator["Analyst"]:
        """The snapshot that is in force now.

        Args:
            folder: where it is published.
            timeout: after how many seconds a question is stopped, with all that is done with its answer.

        Raises:
            NoSnapshot: nothing has been published yet.
            SnapshotError: it can't be opened.
        """
        with (
            TemporaryDirectory(prefix="streaming-assets-sql-") as scratch,
            open_snapshot(folder) as connection,
        ):
            connection.execute("set temp_directory = $folder", {"folder": scratch})
            connection.execute("set allowed_directories = $all", {"all": [str(folder.resolve()), scratch]})
            connection.execute("set enable_external_access = false")
            connection.execute("set lock_configuration = true")
            yield Analyst(connection, timeout)

    def moment(self) -> str:
        """Which snapshot this is, in words."""
        ((number, as_of),) = self._connection.execute("select snapshot, as_of from snapshot").fetchall()
        return f"snapshot {number}, data up to {as_of:%Y-%m-%d %H:%M} UTC"

    def queries(self, text: str) -> list[str]:
        """The queries of a text, in order.

        Raises:
            BadQuestion: it has none, is no SQL, or does something else than to ask.
        """
        try:
            statements = self._connection.extract_statements(text)
        except duckdb.Error as error:
            raise BadQuestion(str(error)) from error
        for statement in statements:
            # With any other one could write files, EXPLAIN ANALYZE COPY among them.
            if statement.type != duckdb.StatementType.SELECT:
                raise BadQuestion(
                    f"{statement.type.name} is no query: what is published can be asked (SELECT, FROM, WITH, VALUES, "
                    f"DESCRIBE, SHOW, SUMMARIZE), and not changed. {DATABASE} itself can be attached to a database "
                    "of yours"
                )
        if not statements:
            raise BadQuestion("there is no query in it")
        return [statement.query for statement in statements]

    @contextmanager
    def asked(self, query: str) -> Iterator[duckdb.DuckDBPyRelation]:
        """The answer, which is computed while it is read within the block.

        Raises:
            BadQuestion: DuckDB can't answer, or time was up.
        """
        is_up = threading.Event()

        def stop() -> None:
            is_up.set()
            self._connection.interrupt()

        timer = threading.Timer(self._timeout, stop)
        timer.start()
        try:
            yield self._connection.sql(query)
        except duckdb.Error as error:
            if is_up.is_set():
                raise BadQuestion(
                    f"stopped after {self._timeout:g} s; --timeout gives a query more time"
                ) from None
            if isinstance(error, duckdb.InterruptException):
                raise KeyboardInterrupt from None
            raise BadQuestion(str(error)) from error
        finally:
            timer.cancel()

    def tables(self) -> pa.Table:
        """Each table and what it is."""
        return self._connection.sql(
            "select view_name as name, comment as description from duckdb_views() where not internal order by all"
        ).to_arrow_table()

    def columns(self, table: str) -> pa.Table:
        """Each column of a table, its type and what it is.

        Raises:
            BadQuestion: there is no such table.
        """
        found = self._connection.execute(
            "select column_name as name, lower(data_type) as type, comment as description from duckdb_columns()"
            " where not internal and table_name = lower($table) order by column_index",
            {"table": table},
        ).to_arrow_table()
        if not found.num_rows:
            raise BadQuestion(f"there is no table {table}; \\d lists those that there are")
        return found


def open_snapshot(folder: Path) -> duckdb.DuckDBPyConnection:
    """The snapshot that is in force now, read-only, times in UTC; a notebook asks it as it likes.

    It keeps its moment. Within one process the next one is seen once all connections to this one are closed.

    Args:
        folder: where it is published.

    Raises:
        NoSnapshot: nothing has been published yet.
        SnapshotError: it can't be opened.
    """
    path = folder / DATABASE
    if not path.exists():
        raise NoSnapshot(
            f"nothing has been published to {folder} yet: start `make dev`, or materialise hours with "
            "`streaming-assets backfill`; STREAMING_ASSETS_HOME names another place"
        )
    try:
        connection = duckdb.connect(path, read_only=True)
    except duckdb.Error as error:
        raise SnapshotError(f"{path} can't be opened: {error}") from error
    connection.execute("set TimeZone = 'UTC'")
    return connection


def described(text: str) -> str | None:
    r"""The table that `\d TABLE` asks for, empty for `\d` alone; None of any other text."""
    found = re.fullmatch(r"\\d(?:\s+(\S+?))?[\s;]*", text.strip())
    return (found[1] or "") if found else None
