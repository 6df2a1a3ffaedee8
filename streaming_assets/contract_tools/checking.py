"""Contracts held to the project: what is written in them, and the models that they need."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from streaming_assets.contract_tools.writing import DECIDE
from streaming_assets.contracts import (
    LINE,
    SOURCES,
    EventField,
    EventType,
    contract_tables,
    meta_of,
    parse_contract,
)

_TYPES = {"string": "varchar", "integer": "bigint", "number": "decimal(18, 6)", "boolean": "boolean"}


@dataclass(frozen=True)
class Finding:
    """What does not hold, and where: a file, with a line if one can be told."""

    text: str
    path: Path
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.path}{f', line {self.line}' if self.line else ''}: {self.text}"


def check_project(project: Path) -> Iterator[Finding]:
    """What does not hold of the contracts of a dbt project that is read without an error.

    Args:
        project: the dbt project's folder.
    """
    for path, table in contract_tables(project / SOURCES):
        event_type = parse_contract(path, table)
        yield from _marks(path)
        yield from _columns(path, event_type)
        yield from _expressions(path, table, event_type)
        yield from _models(project, path, table, event_type)


def _marks(path: Path) -> Iterator[Finding]:
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if DECIDE in line and "asks for a decision" not in line:
            what = line.partition(DECIDE)[2].strip(' :"')
            yield Finding(f"to be decided: {what}", path, number)


def _columns(path: Path, event_type: EventType) -> Iterator[Finding]:
    names = {field.name for field in event_type.fields if field.column}
    for name in sorted(names):
        if any(other.startswith(f"{name}.") for other in names):
            text = f"{name} has a column, and so has a field in it: it can't be both a value and an object"
            yield Finding(text, path)


def _expressions(path: Path, table: Mapping[str, Any], event_type: EventType) -> Iterator[Finding]:
    """Checks that are no condition over the columns."""
    lines = {column["name"]: meta_of(column).get(LINE) or column.get(LINE) for column in table["columns"]}
    read = [field for field in event_type.fields if field.column]
    with duckdb.connect() as memory:
        try:
            memory.execute(f"create table events ({', '.join(f'{f.column} {_type(f)}' for f in read)})")
        except duckdb.Error as error:
            yield Finding(
                f"its columns are no columns of a table: {_first_line(error)}", path, table.get(LINE)
            )
            return
        for field in read:
            if field.check is None:
                continue
            try:
                kind = memory.sql(f"select ({field.check}) from events").types[0]
            except duckdb.Error as error:
                yield Finding(f"check of {field.name}: {_first_line(error)}", path, lines[field.name])
                continue
            if str(kind) != "BOOLEAN":
                text = f"check of {field.name} is no condition: it gives {str(kind).lower()}"
                yield Finding(text, path, lines[field.name])


def _type(field: EventField) -> str:
    return "bigint" if field.time else _TYPES[field.kind]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _models(project: Path, path: Path, table: Mapping[str, Any], event_type: EventType) -> Iterator[Finding]:
    models = {model.stem: model for model in (project / "models").rglob("*.sql")}
    base = f"base_{event_type.topic}"
    call = f"parsed_events(source('external', '{event_type.external_table}'))"
    where = f"models/staging/base/{base}.sql"
    if base not in models:
        yield Finding(f"no model {base}: {where} has to be {{{{ {call} }}}}", path, table.get(LINE))
    elif _bare(call) not in _bare(models[base].read_text()):
        yield Finding(
            f"it is no base model of {event_type.topic}: it has to be {{{{ {call} }}}}", models[base]
        )
    staging = event_type.staging or ""
    if staging not in models:
        yield Finding(f"no model {staging}, which holds its valid rows", path, table.get(LINE))
    elif base not in models[staging].read_text():
        yield Finding(f"it does not read {base}", models[staging])


def _bare(text: str) -> str:
    return re.sub(r"\s", "", text).replace('"', "'")
