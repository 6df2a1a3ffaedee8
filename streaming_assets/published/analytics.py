"""`analytics.duckdb`: a snapshot as a database, for whatever speaks DuckDB.

It holds views alone, over exactly the files of one snapshot, with dbt's descriptions as comments, and is replaced in
one move. Their paths are absolute, since DuckDB would look for others from where its process was started: a folder
that was moved gets its own at the next publication.

    <table>     each published table, with the columns that it has in the warehouse
    snapshot    one row: snapshot, as_of, published_at (UTC), as in the manifest
"""

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from streaming_assets.files import replaced
from streaming_assets.published.manifest import Manifest
from streaming_assets.published.tables import Numbered, PublishedTable
from streaming_assets.warehouses.tables import glob_literal, naive, text_literal

DATABASE = "analytics.duckdb"
_SQL_TYPES = {
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.float64(): "double",
    pa.int64(): "bigint",
    pa.string(): "varchar",
    pa.timestamp("us"): "timestamp",
}
_SNAPSHOT_COLUMNS = {
    "snapshot": "Serial number, one more with each publication",
    "as_of": "End of the newest ingestion hour in it (UTC)",
    "published_at": "When it was published (UTC)",
}


def place_database(folder: Path, manifest: Manifest, tables: Collection[PublishedTable]) -> None:
    """Make the database of a snapshot and put it in force.

    Args:
        folder: the snapshot's, in which the files of `manifest` lie.
        manifest: the snapshot's.
        tables: those that it has.

    Raises:
        OSError: the folder can't be written.
    """
    for left in folder.glob(f"{DATABASE}.*.incoming*"):  # by one that was killed
        left.unlink()
    with replaced(folder / DATABASE) as incoming:
        try:
            with duckdb.connect(incoming) as connection:
                connection.begin()
                for statement in _statements(folder.resolve(), manifest, tables):
                    connection.execute(statement)
                connection.commit()
        except duckdb.Error as error:  # of a full disk it tells by one error or another
            raise OSError(str(error)) from error
        incoming.chmod(0o444)  # opened for writing it would be closed to all others


def _statements(folder: Path, manifest: Manifest, tables: Collection[PublishedTable]) -> list[str]:
    made = []
    for table in tables:
        made += [
            f"create view {table.name} as {_select(folder, manifest, table)}",
            f"comment on view {table.name} is {text_literal(table.description)}",
        ]
        made += [
            f"comment on column {table.name}.{name} is {text_literal(said)}"
            for name, said in table.column_descriptions.items()
        ]
    return [*made, *_told(manifest)]


def _told(manifest: Manifest) -> list[str]:
    moments = {"as_of": min(manifest.as_of, manifest.published_at), "published_at": manifest.published_at}
    told = ", ".join(f"{_moment(moment)} as {name}" for name, moment in moments.items())
    return [
        f"create view snapshot as select {manifest.snapshot}::bigint as snapshot, {told}",
        "comment on view snapshot is 'The moment that all tables of this file show.'",
        *(
            f"comment on column snapshot.{name} is {text_literal(said)}"
            for name, said in _SNAPSHOT_COLUMNS.items()
        ),
    ]


def _moment(moment: datetime) -> str:
    return f"timestamp '{naive(moment.astimezone(UTC))}'"


def _select(folder: Path, manifest: Manifest, table: PublishedTable) -> str:
    files = _readable_first([folder / file.file for file in manifest.tables[table.name].present()])
    if not files:
        columns = ", ".join(f"null::{_SQL_TYPES[column.type]} as {column.name}" for column in table.schema)
        return f"select {columns} where false"
    listed = ", ".join(glob_literal(str(file)) for file in files)
    rows = f"read_parquet([{listed}])"
    if table.numbered:
        return _named(table, table.numbered, rows)
    return f"select {', '.join(table.schema.names)} from {rows}"


def _readable_first(files: list[Path]) -> list[Path]:
    """The files, with the first one that can be read put first: of it DuckDB asks the columns when a view is made.

    One that is damaged is told where it is read, and published anew once its turn comes.
    """
    for at, file in enumerate(files):
        try:
            pq.read_schema(file)
        except (OSError, pa.ArrowInvalid):
            continue
        return [file, *files[:at], *files[at + 1 :]]
    return []


def _named(table: PublishedTable, key: Numbered, rows: str) -> str:
    """The rows as the mart has them: each with the names that stand in one row a day."""
    named = (key.key, *key.names)
    columns = [f"{'names' if name in named else 'numbered'}.{name}" for name in table.schema.names]
    on = " and ".join(f"numbered.{name} = names.{name}" for name in (table.day_column, key.number))
    return (
        f"with numbered as not materialized (select * from {rows})"
        f" select {', '.join(columns)} from numbered inner join numbered as names"
        f" on {on} and names.{key.key} is not null"
    )
