"""The published tables: their columns, their grain, and the layout of their files.

What is published is said in the YAML of each model, under `config: meta:`, and read here from dbt's manifest:

    day: event_date                   the column of the day, a date or a timestamp; without it the table is one file
    publish: {grain: [state_code]}    the columns that name a row of a day, or of the table
    publish: {numbered: {...}}        see `Numbered`
    publish: {days_of: mart_x}        the mart that has rows on the same days, where they are found sooner
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

ALL_STATES = "ALL"  # state_code of the rollup over all states
LEVELS = ("free", "paid", "all")
# dbt's types, on either warehouse, as a published file has them.
_TYPES = {
    "date": pa.date32(),
    "string": pa.string(),
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "double": pa.float64(),
    "float64": pa.float64(),
    "numeric": pa.float64(),
    "decimal": pa.float64(),
    "timestamp": pa.timestamp("us"),  # without a zone, UTC
}


class TableError(ValueError):
    """A table does not keep its contract; the message names the table and what is wrong."""


@dataclass(frozen=True)
class Numbered:
    """A key with names, such as a song's: a file has a number for it in each row, its names in one row a day.

    Attributes:
        key: the column that is numbered.
        number: the column of the number in the file.
        names: the columns that follow from the key.
        rollup: column and value of the rows that carry key and names; each key of a day must have one.
    """

    key: str
    number: str
    names: tuple[str, ...]
    rollup: tuple[str, str]


@dataclass(frozen=True)
class PublishedTable:
    """One published table.

    Attributes:
        name: the mart's name, and the folder of its files.
        day_column: the column whose day is the file's, the same in all of its rows; empty of a table that is one file.
        columns: name and type of each further column that the model delivers.
        grain: the columns that, with the day, name a row; files are sorted by them.
        mart: the model whose days its own are.
        mart_day: the column of the day in that model.
        queue: the name under which days that changed are queued: its own, or that of the table that it is a view on.
        is_mart: whether pages read it, too, and each value is required; of others those of day and grain.
        numbered: the key that files hold as a number.
        description: what it is, in words.
        column_descriptions: the same of each column.
        masked: columns that readers have as null.
    """

    name: str
    day_column: str
    columns: dict[str, pa.DataType] = field(hash=False)
    grain: tuple[str, ...]
    mart: str = ""
    mart_day: str = ""
    queue: str = ""
    is_mart: bool = True
    day_type: pa.DataType = field(default=pa.date32(), hash=False)
    numbered: Numbered | None = None
    description: str = ""
    column_descriptions: dict[str, str] = field(default_factory=dict, hash=False)
    masked: tuple[str, ...] = ()

    @property
    def schema(self) -> pa.Schema:
        """The columns that the model delivers."""
        of_day = {self.day_column: self.day_type} if self.day_column else {}
        return pa.schema(
            pa.field(name, kind, nullable=not (self.is_mart or name in (self.day_column, *self.grain)))
            for name, kind in (of_day | self.columns).items()
        )

    @property
    def layout(self) -> dict[str, Any]:
        """All that the content of a file follows from, but its rows."""
        return {
            "day_column": self.day_column,
            "columns": {name: str(kind) for name, kind in self.columns.items()},
            "grain": list(self.grain),
            "numbered": self.numbered and [self.numbered.key, self.numbered.number, *self.numbered.names],
            **({"masked": list(self.masked)} if self.masked else {}),
        }


def published_tables(manifest: Mapping[str, Any]) -> tuple[PublishedTable, ...]:
    """The tables that the models' YAML says are published, by name.

    Args:
        manifest: dbt's.

    Raises:
        TableError: what a model's YAML says of its publishing is incomplete or contradicts its columns.
    """
    nodes = manifest["nodes"]
    models = [
        node for node in nodes.values() if node["resource_type"] == "model" and "publish" in _meta(node)
    ]
    return tuple(sorted((_published(node, nodes) for node in models), key=lambda table: table.name))


def masked(
    tables: Iterable[PublishedTable], personal: Mapping[str, Collection[str]]
) -> tuple[PublishedTable, ...]:
    """The tables, for readers who are not to see personal columns.

    Args:
        tables: as the models say.
        personal: by model, its personal columns; none of a model that has none.

    Raises:
        TableError: it is not known which columns of a table are personal, or one of them must be there.
    """
    return tuple(_masked(table, personal) for table in tables)


def _masked(table: PublishedTable, personal: Mapping[str, Collection[str]]) -> PublishedTable:
    if table.name not in personal:
        raise TableError(
            f"{table.name}: which of its columns are personal is not known, so it can't be published without them: "
            "`python -m streaming_assets_tests.assets.column_lineage` tells it"
        )
    names = tuple(name for name in table.schema.names if name in personal[table.name])
    if needed := [name for name in names if not table.schema.field(name).nullable]:
        raise TableError(
            f"{table.name}: {', '.join(needed)}: personal, and each row must have it, so it can't be masked; "
            "publish the table without it (its model's YAML, meta.publish)"
        )
    told = {name: f"{table.column_descriptions[name]}; personal, so null for readers" for name in names}
    return replace(table, masked=names, column_descriptions=table.column_descriptions | told)


def _published(node: Mapping[str, Any], nodes: Mapping[str, Any]) -> PublishedTable:
    where = f"{node['patch_path'] or node['original_file_path']}: {node['name']}"
    meta, columns = _meta(node), node["columns"]
    said = dict(meta["publish"] or {})
    grain, numbered, days_of = (
        tuple(said.pop("grain", ())),
        said.pop("numbered", None),
        said.pop("days_of", None),
    )
    if said:
        raise TableError(f"{where}: meta.publish has grain, numbered and days_of, not {', '.join(said)}")
    is_mart = node["fqn"][1] == "marts"
    if is_mart and "day" not in meta:
        raise TableError(f"{where}: meta.day must name the column of the day")
    of_day = [meta["day"]] if "day" in meta else []
    unknown = [name for name in (*of_day, *grain) if name not in columns]
    if unknown:
        raise TableError(f"{where}: no column is called {', '.join(unknown)}; see its columns")
    types = {name: _type(where, column) for name, column in columns.items()}
    table = PublishedTable(
        node["name"],
        "".join(of_day),
        {name: kind for name, kind in types.items() if name not in of_day},
        grain,
        is_mart=is_mart,
        numbered=_numbered(where, numbered, types) if numbered else None,
        description=node["description"],
        column_descriptions={name: column["description"] for name, column in columns.items()},
    )
    if not table.day_column:
        return table
    if types[table.day_column] not in (pa.date32(), pa.timestamp("us")):
        raise TableError(f"{where}: meta.day, {table.day_column}, must be a date or a timestamp")
    queueing = _queueing(where, node, nodes)
    mart = _named(where, days_of, nodes) if days_of else queueing
    return replace(
        table,
        day_type=types[table.day_column],
        mart=mart["name"],
        mart_day=_meta(mart)["day"],
        queue=queueing["name"],
    )


def _named(where: str, name: str, nodes: Mapping[str, Any]) -> Mapping[str, Any]:
    for node in nodes.values():
        if node["resource_type"] == "model" and node["name"] == name and "day" in _meta(node):
            return node
    raise TableError(f"{where}: meta.publish.days_of, {name}, is no model with meta.day")


def _numbered(where: str, said: Mapping[str, Any], types: Mapping[str, pa.DataType]) -> Numbered:
    try:
        ((column, value),) = said["rollup"].items()
        key = Numbered(said["key"], said["number"], tuple(said["names"]), (column, value))
    except (KeyError, ValueError, AttributeError, TypeError):
        raise TableError(
            f"{where}: meta.publish.numbered needs key, number, names, and rollup, a column with its value"
        ) from None
    unknown = [name for name in (key.key, *key.names, key.rollup[0]) if name not in types]
    if unknown:
        raise TableError(f"{where}: meta.publish.numbered: no column is called {', '.join(unknown)}")
    return key


def _type(where: str, column: Mapping[str, Any]) -> pa.DataType:
    name = re.split(r"[ (]", (column.get("data_type") or "").lower())[0]
    if name not in _TYPES:
        raise TableError(
            f"{where}: column {column['name']} has type {column.get('data_type')}; what is published has "
            + ", ".join(_TYPES)
        )
    return _TYPES[name]


def _queueing(where: str, node: Mapping[str, Any], nodes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The model that says which of its days changed: itself, or the first such one that it reads."""
    waiting, seen = [node], set()
    while waiting:
        one = waiting.pop(0)
        if "days" in _meta(one):
            return one
        seen.add(one["unique_id"])
        parents = one["depends_on"]["nodes"]
        waiting += [nodes[parent] for parent in parents if parent in nodes and parent not in seen]
    raise TableError(
        f"{where}: neither it nor a model that it reads has meta.days, the macro of a run's days"
    )


def _meta(node: Mapping[str, Any]) -> Mapping[str, Any]:
    return node["config"].get("meta") or {}


def for_file(table: PublishedTable, day: date | None, delivered: pa.Table) -> pa.Table:
    """The rows of one file as it holds them: checked, cast, in the order of the grain.

    Args:
        table: which table.
        day: the day that all rows must have; None of a table that is one file.
        delivered: at least the columns of `table.schema`; others are left out.

    Raises:
        TableError: a column is missing or has an impossible type or a null, a row has another day,
            two rows are one of the grain, or a numbered key has no row that carries its names.
    """
    rows = _conform(table, day, delivered)
    if not table.numbered:
        return rows
    _require_rollup(table, table.numbered, day, rows)
    with duckdb.connect() as connection:
        connection.register("delivered", rows)
        return connection.execute(_numbered_rows(table, table.numbered)).to_arrow_table()


def _numbered_rows(table: PublishedTable, key: Numbered) -> str:
    column, value = key.rollup
    named = (key.key, *key.names)
    plain = [name for name in table.columns if name not in named]
    order = [key.number if name == key.key else name for name in table.grain]
    once = ", ".join(f"CASE WHEN {column} = '{value}' THEN {name} END AS {name}" for name in named)
    return f"""
        SELECT {", ".join([table.day_column, *plain])}, md5_number_lower({key.key}) AS {key.number},
               {once}
        FROM delivered
        ORDER BY {", ".join(order)}
    """


def _conform(table: PublishedTable, day: date | None, delivered: pa.Table) -> pa.Table:
    where = f"{table.name} of {day}" if day else table.name
    missing = [name for name in table.schema.names if name not in delivered.column_names]
    if missing:
        raise TableError(f"{where} lacks {', '.join(missing)}; it has {', '.join(delivered.column_names)}")
    picked = delivered.select(table.schema.names)
    for column in table.schema:
        if not column.nullable and picked[column.name].null_count:
            raise TableError(f"{where}: {picked[column.name].null_count} rows have no {column.name}")
    for name in table.masked:
        nulls = pa.nulls(picked.num_rows, table.schema.field(name).type)
        picked = picked.set_column(picked.schema.get_field_index(name), name, nulls)
    try:
        rows = picked.cast(table.schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise TableError(f"{where}: {error}") from error
    if day:
        first, end = (pa.scalar(at).cast(table.day_type) for at in (day, day + timedelta(days=1)))
        moments = rows[table.day_column]
        is_other = pc.or_(pc.less(moments, first), pc.greater_equal(moments, end))  # pyright: ignore
        other = pc.sum(is_other).as_py()  # pyright: ignore
        if other:
            raise TableError(f"{where}: {other} rows have another {table.day_column}")
    grain = list(table.grain)
    distinct = rows.group_by(grain).aggregate([]).num_rows if grain else min(rows.num_rows, 1)
    if distinct != rows.num_rows:
        raise TableError(
            f"{where}: {rows.num_rows} rows, but {distinct} of "
            + ", ".join(dict.fromkeys(filter(None, [table.day_column, *grain])))
        )
    return rows.sort_by([(name, "ascending") for name in grain]) if grain else rows


def _require_rollup(table: PublishedTable, key: Numbered, day: date | None, rows: pa.Table) -> None:
    column, value = key.rollup
    rollup = rows.filter(pc.equal(rows[column], value))  # pyright: ignore
    without = pc.sum(pc.invert(pc.is_in(rows[key.key], rollup[key.key].combine_chunks()))).as_py()  # pyright: ignore
    if without:
        raise TableError(f"{table.name} of {day}: {without} rows have no row of their {key.key} in {value}")
