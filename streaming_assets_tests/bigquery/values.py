"""Values and types of GoogleSQL in Python's terms: what tables of the evaluator are made of and what it answers."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from zetasql import types
from zetasql.api import TypeFactory
from zetasql.api.value import Value

KINDS: dict[str, int] = {
    "STRING": types.TypeKind.TYPE_STRING,
    "INT64": types.TypeKind.TYPE_INT64,
    "FLOAT64": types.TypeKind.TYPE_DOUBLE,
    "NUMERIC": types.TypeKind.TYPE_NUMERIC,
    "BOOL": types.TypeKind.TYPE_BOOL,
    "DATE": types.TypeKind.TYPE_DATE,
    "TIMESTAMP": types.TypeKind.TYPE_TIMESTAMP,
}
NAMES = {kind: name for name, kind in KINDS.items()}
EPOCH = datetime(1970, 1, 1)

# One value of each type, for answers where there are no rows: tests that count find nothing.
ANY: dict[str, Any] = {
    "STRING": "",
    "INT64": 0,
    "FLOAT64": 0.0,
    "NUMERIC": Decimal(0),
    "BOOL": False,
    "DATE": date(2025, 3, 28),
    "TIMESTAMP": datetime(2025, 3, 28, 22),
}


def type_of(name: str) -> types.Type:
    """The type of a name."""
    return TypeFactory.create_simple_type(KINDS[name])


def name_of(kind: types.Type) -> str:
    """BigQuery's name of a simple type; the number of any other."""
    return NAMES.get(kind.type_kind, f"type {kind.type_kind}")


def encode(value: Any) -> types.Value:
    """A Python value as the evaluator takes it; naive datetimes are UTC."""
    if isinstance(value, datetime):
        return Value.timestamp(value.replace(tzinfo=UTC)).to_proto()
    if isinstance(value, date):
        return types.Value(date_value=(value - EPOCH.date()).days)
    if isinstance(value, Decimal):
        scaled = int(value * 10**9)
        size = (scaled.bit_length() + 8) // 8 or 1
        return types.Value(numeric_value=scaled.to_bytes(size, "little", signed=True))
    return types.Value() if value is None else types.Value(**{_FIELDS[type(value)]: value})


def decode(cell: types.Value, kind: str) -> Any:
    """A cell of an answer in Python; timestamps are asked for as microseconds, see `as_microseconds`."""
    if kind == "NUMERIC":
        text = cell.numeric_value
        return None if text is None else Decimal(int.from_bytes(text, "little", signed=True)).scaleb(-9)
    if kind == "TIMESTAMP":
        micros = cell.int64_value
        return None if micros is None else EPOCH + timedelta(microseconds=micros)
    if kind == "DATE":
        return None if cell.date_value is None else EPOCH.date() + timedelta(days=cell.date_value)
    return getattr(cell, _CELLS[kind])


def as_microseconds(query: str, columns: dict[str, str]) -> str:
    """The query with its timestamps as whole numbers: zetasql 0.1.5 can't decode timestamps of an answer."""
    moments = [f"unix_micros({name}) as {name}" for name, kind in columns.items() if kind == "TIMESTAMP"]
    return f"select * replace ({', '.join(moments)}) from ({query}\n)" if moments else query


_FIELDS = {str: "string_value", bool: "bool_value", int: "int64_value", float: "double_value"}
_CELLS = {
    "STRING": "string_value",
    "INT64": "int64_value",
    "FLOAT64": "double_value",
    "BOOL": "bool_value",
}
