"""Names of columns, made of the names of fields. Pure."""

import re
from collections.abc import Iterable

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")
# Reserved in GoogleSQL or DuckDB, so no name of a column there.
_RESERVED = """
all and any array as asc at between both by case cast check collate column constraint contains create cross cube
current default define desc describe distinct else end enum escape except exclude exists extract false fetch following
for foreign from full group grouping groups hash having if ignore in inner intersect interval into is join lateral
leading left like limit lookup merge natural new no not null nulls of offset on only or order outer over partition
placing preceding primary proto qualify range recursive references respect returning right rollup rows select set show
some struct summarize symmetric table tablesample then to trailing treat true unbounded union unique unnest unpivot
using variadic when where window with within
"""
# Columns of base and staging models beside an event's own (macros/parsed_events.sql).
_TAKEN = """
raw_text fault is_object offset_text found_offset kafka_offset object_name kafka_partition stream_epoch
bucket_ingestion_datetime verdict reason disposition event_id copies value
"""
_REFUSED = frozenset((_RESERVED + _TAKEN).split())


def columns_of(names: Iterable[str]) -> dict[str, str]:
    """A column for each field: its name in snake case, one that SQL takes and no other field has."""
    columns: dict[str, str] = {}
    for name in names:
        column = "_".join(word for word in _WORDS.split(name) if word).lower() or "field"
        if column in _REFUSED or not column[0].isalpha():
            column = f"event_{column}"
        wanted, number = column, 2
        while column in columns.values():
            column, number = f"{wanted}_{number}", number + 1
        columns[name] = column
    return columns
