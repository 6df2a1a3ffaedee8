"""Tables that the warehouse has beside dbt's: the inventory of the lake's objects, and external tables' columns."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pyarrow as pa

from streaming_assets.contracts import declared_table
from streaming_assets.events import DEAD_LETTERS, WAREHOUSE_TYPES, EventType
from streaming_assets.lake.inventory import InventoryRow

# Of what the tables hold: to be raised when keys or columns of models change, so that no run mixes old rows with new.
TABLES_VERSION = 4

_ARROW = {
    "string": pa.string(),
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us"),
}
INVENTORY = declared_table("lake_objects").columns
INVENTORY_SCHEMA = pa.schema([(column.name, _ARROW[column.kind]) for column in INVENTORY])

# Where each topic's rows are staged.
STAGING = {kind.topic: kind.staging for kind in WAREHOUSE_TYPES if kind.staging}

# The columns of the reference files' tables.
REFERENCE = {table: declared_table(table).columns for table in ("songs_ext", "locations_ext")}


def new_generation() -> str:
    """The id of a warehouse that is made now: the version of its tables, and what no other has."""
    return f"{TABLES_VERSION}-{uuid4().hex}"


def is_outdated(generation: str | None) -> bool:
    """Whether a warehouse that was there before has tables of another version."""
    return generation is None or not generation.startswith(f"{TABLES_VERSION}-")


def naive(moment: datetime) -> datetime:
    """The same moment as the warehouse keeps it: UTC, without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def literal(moment: datetime) -> str:
    """A moment as both warehouses read it: without a zone it is UTC on BigQuery, and has none on DuckDB."""
    return f"timestamp '{naive(moment):%Y-%m-%d %H:%M:%S}'"


def text_literal(text: str) -> str:
    """A text as a literal that DuckDB reads as it is, whatever it holds."""
    return "'" + text.replace("'", "''") + "'"


def glob_literal(folder: str, pattern: str = "") -> str:
    """The files of `pattern` below the address `folder`, for DuckDB; no sign of the address is a wildcard."""
    escaped = re.sub(r"[*?[]", lambda found: f"[{found[0]}]", folder)
    return text_literal(escaped + pattern)


def view_columns(event_type: EventType) -> tuple[str, str]:
    """The columns of a topic's JSON lines, and what a view selects of them."""
    names = [field.name for field in event_type.fields]
    if event_type is DEAD_LETTERS:  # their lines carry the fields themselves
        return ", ".join(f"'{name}': 'varchar'" for name in names), ", ".join(
            f"lines.{name}" for name in names
        )
    selected = ", ".join(f"lines.value.{_path(name)}" for name in names)
    return f"'value': '{_struct(names)}'", selected


def record_structure(event_type: EventType) -> str:
    """The structure of a topic's records as DuckDB's json_transform takes it: all fields are text."""
    value = _texts(field.name for field in event_type.fields)
    return json.dumps({"value": value, "offset": "BIGINT", "timestamp": "VARCHAR"})


def _texts(names: Iterable[str]) -> dict[str, Any]:
    return {head: _texts(rest) if rest else "VARCHAR" for head, rest in _by_head(names).items()}


def _path(name: str) -> str:
    parts = '"."'.join(name.split("."))
    return f'"{parts}" as "{name}"' if "." in name else f'"{parts}"'


def _struct(names: Iterable[str]) -> str:
    """DuckDB's type of an object of texts."""
    kinds = (f'"{head}" {_struct(rest) if rest else "varchar"}' for head, rest in _by_head(names).items())
    return f"struct({', '.join(kinds)})"


def _by_head(names: Iterable[str]) -> dict[str, list[str]]:
    """The first parts of names; of those that lead into a nested object, by a dot, the names within."""
    inner: dict[str, list[str]] = {}
    for name in names:
        head, _, rest = name.partition(".")
        inner.setdefault(head, []).extend([rest] if rest else [])
    return inner


def inventory_row(row: InventoryRow) -> dict[str, Any]:
    return {
        "topic": row.name.topic,
        "bucket_ingestion_datetime": naive(row.name.hour),
        "object_name": str(row.name),
        "uri": row.uri,
        "kafka_partition": row.name.partition,
        "stream_epoch": row.name.stream_epoch,
        "size_bytes": row.size,
        "generation": row.generation,
        "row_count": row.rows,
        "error": row.error,
        "is_processed": False,
        "content_hash": row.content,
        "lines_uri": row.lines_uri,
        "unknown_fields": row.unknown_fields,
        "sealed_uri": row.sealed_uri,
    }
