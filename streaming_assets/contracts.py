"""Contracts of event types, read from dbt's sources: what a topic's events must be like, declared once.

A contract is a table of the dbt source `external` in a file of `dbt_project/models/sources/`, with the event's fields
as columns; what dbt has no word for stands under `meta`. docs/add-an-event-type.md describes it. Those in
`streaming_assets/simulator/contracts/` are of events that the simulator can write and no model reads.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

PROJECT_DIR = Path(__file__).resolve().parent.parent / "dbt_project"
SOURCES = "models/sources"
UNREAD = Path(__file__).resolve().parent / "simulator" / "contracts"

Kind = Literal["string", "integer", "number", "boolean"]
TimeFormat = Literal["epoch_ms", "iso_8601"]
Simulated = Literal["by_default", "on_request"]
KINDS: tuple[str, ...] = get_args(Kind)
SIMULATED: tuple[str, ...] = get_args(Simulated)
TIME_KINDS = {"epoch_ms": "integer", "iso_8601": "string"}
LINE = "__line__"  # key under which each mapping of a contract's file has its line
_EVENT_META = {"topic", "staging", "simulated", "identity", "event_time", "filter"}
_FIELD_META = {
    "column",
    "required",
    "minimum",
    "maximum",
    "check",
    "time",
    "earliest",
    "personal",
    "retention_days",
    "values",
    "usual",
}


class ContractError(ValueError):
    """A contract does not hold together; the message names its file, the line and what is allowed."""


@dataclass(frozen=True)
class Usual:
    """What an hour's rows of a field are like, as a rule; a check tells the hours that depart from it.

    Attributes:
        nulls: the share of rows that may lack it.
        mean: bounds of the mean of its numbers, inclusive.
        where: of which rows, a condition in SQL over columns; None for all.
    """

    nulls: float | None = None
    mean: tuple[float, float] | None = None
    where: str | None = None


@dataclass(frozen=True)
class EventField:
    """One field of an event.

    Attributes:
        name: in the event's JSON; a dot leads into a nested object.
        kind: type of a valid value.
        description: in a sentence.
        column: in staging; None if no model reads it.
        required: whether a valid row must have it.
        minimum, maximum: bounds of a number, inclusive.
        check: condition, in SQL over columns, that a valid row meets.
        time: how it tells a moment; None if it tells none.
        earliest: day (UTC) before which no moment of it is believed.
        personal: whether it says something of a person.
        retention_days: for how many days after its hour its value is kept; None for ever.
        values: the known ones; None if any will do. A row with another one is staged, and a check tells of it.
        usual: what an hour's rows are like; None if nothing is expected.
    """

    name: str
    kind: Kind
    description: str = ""
    column: str | None = None
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    check: str | None = None
    time: TimeFormat | None = None
    earliest: date | None = None
    personal: bool = False
    retention_days: int | None = None
    values: tuple[str, ...] | None = None
    usual: Usual | None = None


@dataclass(frozen=True)
class Filter:
    """What is staged, declared: rows whose field has another value are counted and left out."""

    field: str
    keep: tuple[str, ...]


@dataclass(frozen=True)
class EventType:
    """One kind of event.

    Attributes:
        topic: Kafka topic, lake folder and file stem.
        fields: all fields, in the producer's order.
        identity: the fields that together name an event; copies that agree on them are one event.
        event_time: the field that says when it happened.
        external_table: the external table over its lake folder; None if the warehouse does not read it.
        staging: the model that holds its valid rows, `stg_<topic>` unless the contract names another; None likewise.
        simulated: whether the simulator writes it by default, or only on request (`--all-topics`); None if it can't.
        filter: which rows are staged; None for all.
        description: in a sentence.
    """

    topic: str
    fields: tuple[EventField, ...]
    identity: tuple[str, ...]
    event_time: str | None = None
    external_table: str | None = None
    staging: str | None = None
    simulated: Simulated | None = None
    filter: Filter | None = None
    description: str = ""


def read_contracts(project: Path = PROJECT_DIR, unread: Path = UNREAD) -> tuple[EventType, ...]:
    """All event types: those that the project lists in its var `event_types`, in that order, then the unread ones.

    Raises:
        ContractError: a contract does not hold together, or the list and the files differ.
    """
    folder = project / SOURCES
    adopted = {kind.topic: kind for kind in _read_folder(folder)}
    others = {kind.topic: _unread(kind) for kind in _read_folder(unread)}
    listed = _listed(project / "dbt_project.yml")
    for topic in listed:
        if topic not in adopted:
            raise ContractError(
                f"dbt_project.yml lists {topic!r} in event_types, but {folder} has no contract of it"
            )
    for topic in adopted:
        if topic not in listed:
            raise ContractError(
                f"{folder}: topic {topic!r} has a contract; to have it read, add it to event_types in dbt_project.yml"
            )
    return tuple([adopted[topic] for topic in listed] + [k for t, k in others.items() if t not in adopted])


def read_dead_letters(project: Path = PROJECT_DIR) -> EventType:
    """The records that the sink could not write: their bytes in base64, and headers that say where they came from.

    Raises:
        ContractError: no source is declared as theirs, or more than one.
    """
    found = [
        EventType(
            topic=meta_of(table)["dead_letters"]["topic"],
            fields=tuple(EventField(c["name"], c["data_type"], c["description"]) for c in table["columns"]),
            identity=(),
            external_table=table["name"],
            description=table["description"],
        )
        for _, table in _tables(project / SOURCES)
        if "dead_letters" in meta_of(table)
    ]
    if len(found) != 1:
        raise ContractError(f"{project / SOURCES}: {len(found)} sources have meta.dead_letters, not one")
    return found[0]


@dataclass(frozen=True)
class Column:
    """A column of a declared table; `kind` is a type that both warehouses know."""

    name: str
    kind: str
    description: str


@dataclass(frozen=True)
class DeclaredTable:
    """A source that is no contract: the inventory, the publish queue, the table of a reference file."""

    name: str
    description: str
    columns: tuple[Column, ...]


def declared_table(name: str, project: Path = PROJECT_DIR) -> DeclaredTable:
    """What the project's sources say of a table."""
    (found,) = (table for _, table in _tables(project / SOURCES) if table["name"] == name)
    columns = tuple(Column(c["name"], c["data_type"], c["description"]) for c in found["columns"])
    return DeclaredTable(name, found["description"], columns)


def model_columns(model: str, project: Path = PROJECT_DIR) -> list[str]:
    """The columns that a model's YAML declares, such as those of `staging/stg_users`."""
    content = yaml.load((project / "models" / f"{model}.yml").read_bytes(), _Loader)  # noqa: S506  # a safe one
    return [column["name"] for column in content["models"][0]["columns"]]


def parse_contract(path: Path, table: Mapping[str, Any]) -> EventType:
    """The event type that a table of a source declares.

    Raises:
        ContractError: a key or type is unknown, or the identity or the event's time names no field.
    """
    contract = meta_of(table)["contract"]
    _known(path, contract, _EVENT_META, "contract")
    for key in ("topic", "identity"):
        if key not in contract:
            raise _error(path, contract, f"the contract has no {key}")
    fields = tuple(_field(path, column) for column in table.get("columns") or [])
    by_name = {field.name: field for field in fields}
    if len(by_name) < len(fields):
        raise _error(path, table, f"{table['name']} names a field twice")
    for name in by_name:
        parts = [other for other in by_name if other.startswith(f"{name}.")]
        if parts:
            raise _error(path, table, f"{name} and {parts[0]} are fields: read an object whole or in parts")
    columns = [field.column for field in fields if field.column]
    if len(set(columns)) < len(columns):
        raise _error(path, table, f"two fields of {table['name']} have one column")
    identity = tuple(contract["identity"])
    _named(path, contract, "identity", identity, by_name)
    for name in identity:
        if not by_name[name].column:
            raise _error(
                path, contract, f"identity has {name}, which has no column: keys are made of columns"
            )
        if not by_name[name].required:
            raise _error(
                path,
                contract,
                f"identity has {name}, which is not required: a row without it has no identity",
            )
    simulated = contract.get("simulated")
    if simulated is not None and simulated not in SIMULATED:
        raise _error(path, contract, f"simulated is {simulated!r}; it may be {_one_of(SIMULATED)}, or absent")
    event_time = contract.get("event_time")
    filtered = (contract.get("filter") or {}).get("field")
    for field in fields:
        if field.retention_days is not None and (field.required or field.name in (event_time, filtered)):
            raise _error(
                path, contract, f"{field.name} has retention_days, and a row without it could not be staged"
            )
    if event_time is not None:
        _named(path, contract, "event_time", [event_time], by_name)
        if not by_name[event_time].time:
            raise _error(
                path, contract, f"event_time is {event_time}, whose column lacks time: {_one_of(TIME_KINDS)}"
            )
    told = contract.get("filter")
    if told is not None:
        _known(path, told, {"field", "keep"}, "filter")
        _named(path, told, "filter", [told.get("field")], by_name)
        field = by_name[told["field"]]
        if field.kind != "string" or not field.column:
            raise _error(path, told, f"filter looks at {field.name}, which is no string with a column")
        if not isinstance(told.get("keep"), list) or not told["keep"]:
            raise _error(
                path, told, f"filter keeps {told.get('keep')!r} of {field.name}, which is no list of values"
            )
    return EventType(
        topic=contract["topic"],
        fields=fields,
        identity=identity,
        event_time=event_time,
        external_table=table["name"],
        staging=contract.get("staging", f"stg_{contract['topic']}"),
        simulated=simulated,
        filter=Filter(told["field"], tuple(map(str, told["keep"]))) if told else None,
        description=table.get("description", ""),
    )


def meta_of(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """What stands under `config.meta` of a table or column."""
    return (node.get("config") or {}).get("meta") or {}


def earliest_ms(field: EventField) -> int:
    """The first moment, ms since 1970, that is believed of a field."""
    first = field.earliest or date(1970, 1, 1)
    return int(datetime(first.year, first.month, first.day, tzinfo=UTC).timestamp() * 1000)


def _field(path: Path, column: Mapping[str, Any]) -> EventField:
    meta = meta_of(column)
    _known(path, meta, _FIELD_META, f"column {column.get('name')}")
    kind, time = column.get("data_type"), meta.get("time")
    if kind not in KINDS:
        raise _error(path, column, f"{column.get('name')} is of type {kind!r}; types are {_one_of(KINDS)}")
    if time is not None and TIME_KINDS.get(time) != kind:
        raise _error(
            path,
            column,
            f"{column['name']} has time {time!r} and type {kind!r}; times are "
            + ", ".join(f"{name} (of type {of})" for name, of in TIME_KINDS.items()),
        )
    for bound in ("minimum", "maximum"):
        if bound in meta and (kind not in ("integer", "number") or not isinstance(meta[bound], int | float)):
            raise _error(
                path, column, f"{column['name']} has a {bound}, which takes a number and a numeric type"
            )
    earliest = meta.get("earliest")
    if earliest is not None:
        try:
            earliest = date.fromisoformat(str(earliest))
        except ValueError:
            raise _error(
                path, column, f"earliest of {column['name']} is {earliest!r}, no day such as 2000-01-01"
            ) from None
    return EventField(
        name=column["name"],
        kind=kind,
        description=column.get("description", ""),
        column=meta.get("column"),
        required=meta.get("required", False),
        minimum=meta.get("minimum"),
        maximum=meta.get("maximum"),
        check=meta.get("check"),
        time=time,
        earliest=earliest,
        personal=meta.get("personal", False),
        retention_days=_retention(path, column, meta),
        values=_values(path, column, meta.get("values")),
        usual=_usual(path, column, meta.get("usual")),
    )


def _retention(path: Path, column: Mapping[str, Any], meta: Mapping[str, Any]) -> int | None:
    days = meta.get("retention_days")
    if days is not None and not (type(days) is int and days > 0 and meta.get("personal")):
        raise _error(
            path,
            column,
            f"retention_days of {column['name']} is {days!r}; it is a number of days, of a personal field",
        )
    return days


def _values(path: Path, column: Mapping[str, Any], told: Any) -> tuple[str, ...] | None:
    """The values of a list, or those that a var of the project lists by category."""
    if told is None:
        return None
    if column["data_type"] != "string" or not meta_of(column).get("column"):
        raise _error(path, column, f"{column['name']} has values, which take a string with a column")
    if isinstance(told, list) and told:
        return tuple(map(str, told))
    project = path.parents[2] / "dbt_project.yml"
    listed = _vars(project).get(told) if isinstance(told, str) else None
    if not isinstance(listed, dict) or not all(isinstance(values, list) for values in listed.values()):
        raise _error(
            path,
            column,
            f"values of {column['name']} are {told!r}: neither a list nor a var of {project.name} with lists",
        )
    return tuple(str(value) for values in listed.values() for value in values)


def _usual(path: Path, column: Mapping[str, Any], told: Any) -> Usual | None:
    if told is None:
        return None
    name = column["name"]
    _known(path, told, {"nulls", "mean", "where"}, f"usual of {name}")
    nulls, mean = told.get("nulls"), told.get("mean")
    if not meta_of(column).get("column"):
        raise _error(path, column, f"{name} has usual, but no column: no model reads it")
    if nulls is not None and not (isinstance(nulls, int | float) and 0 <= nulls <= 1):
        raise _error(path, column, f"usual nulls of {name} are {nulls!r}, no share between 0 and 1")
    if mean is not None and (
        column["data_type"] != "number"
        or not isinstance(mean, list)
        or len(mean) != 2
        or not all(isinstance(bound, int | float) for bound in mean)
    ):
        raise _error(path, column, f"usual mean of {name} is {mean!r}, which takes a number and two bounds")
    return Usual(nulls, tuple(mean) if mean else None, told.get("where"))


def _unread(kind: EventType) -> EventType:
    return replace(kind, external_table=None, staging=None)


def contract_tables(folder: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The tables of sources, with their files, that are contracts.

    Raises:
        ContractError: a file is no YAML.
    """
    return ((path, table) for path, table in _tables(folder) if "contract" in meta_of(table))


def _read_folder(folder: Path) -> Iterator[EventType]:
    return (parse_contract(path, table) for path, table in contract_tables(folder))


def _tables(folder: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    for path in sorted(folder.glob("*.yml")):
        try:
            content = yaml.load(path.read_bytes(), _LineLoader)  # noqa: S506  # a safe one
        except yaml.YAMLError as error:
            raise ContractError(f"{path} is no YAML: {error}") from None
        for source in (content or {}).get("sources") or []:
            for table in source.get("tables") or []:
                yield path, table


def _listed(path: Path) -> list[str]:
    return list(_vars(path).get("event_types") or [])


def _vars(path: Path) -> Mapping[str, Any]:
    return yaml.load(path.read_bytes(), _Loader).get("vars") or {}  # noqa: S506  # a safe one


_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one, where PyYAML has it


class _LineLoader(_Loader):
    """Keeps each mapping's line."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        return super().construct_mapping(node, deep) | {LINE: node.start_mark.line + 1}


def _construct(loader: Any, node: Any) -> dict:
    return loader.construct_mapping(node, deep=True)


_LineLoader.add_constructor("tag:yaml.org,2002:map", _construct)


def _known(path: Path, node: Mapping[str, Any], known: Iterable[str], what: str) -> None:
    for key in node:
        if key != LINE and key not in known:
            raise _error(path, node, f"{what} has {key!r}; it may have {_one_of(sorted(known))}")


def _named(
    path: Path, node: Mapping[str, Any], what: str, names: Iterable[Any], fields: Mapping[str, Any]
) -> None:
    for name in names:
        if name not in fields:
            raise _error(
                path, node, f"{what} names {name!r}, which is no field; fields are {', '.join(fields)}"
            )


def _one_of(names: Iterable[str]) -> str:
    return ", ".join(names)


def _error(path: Path, node: Mapping[str, Any], message: str) -> ContractError:
    return ContractError(f"{path}, line {node.get(LINE, '?')}: {message}")
