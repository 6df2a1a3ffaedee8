"""How what arrives departs from its contracts, by topic and hour: told from what runs found as they read the objects.

A field that was renamed shows twice, as one that is unknown and, if it is required, as one that stopped.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import dagster as dg

from streaming_assets.assets.hourly_metadata import add_hourly_metadata
from streaming_assets.assets.keys import INVENTORY, OWNERS
from streaming_assets.checks.queries import DEPARTURES, QUARANTINE
from streaming_assets.dagster_runtime.instance import WAREHOUSE_POOL
from streaming_assets.events import BY_TOPIC
from streaming_assets.lake.fields import SAMPLE_LINES, SHARE, at_most_by_chance
from streaming_assets.lake.names import HOUR, hours_between
from streaming_assets.partitions import Span, key_of
from streaming_assets.warehouses.tables import literal
from streaming_assets.warehouses.warehouse import Warehouse, as_utc

SCHEMA_DRIFT = dg.AssetKey(["staging", "schema_drift"])
QUARANTINE_TABLE = dg.AssetKey(["staging", "stg_quarantine"])
LOOKED_BACK = timedelta(days=7)  # over which a run's newest hour tells what departed since when
SHOWN = 50  # rows of a table in metadata

What = Literal["unknown field", "stopped", "other type"]
_REJECTED: Mapping[str, What] = {
    "missing": "stopped",
    "mistyped": "other type",
}  # by the first word of a reason
_COUNTED: Mapping[str, What] = {
    "unknown_fields": "unknown field",
    "stopped_fields": "stopped",
    "retyped_fields": "other type",
}
_HISTORY = {
    "topic": "Kafka topic",
    "field": "Name of the field in the event",
    "what": "unknown field, stopped (required, and missing), other type",
    "detail": "The types that came, and the contract's",
    "first_hour": "First hour of the days looked back on in which it departs",
    "last_hour": "Last such hour",
    "hours": "How many such hours there are",
    "rows": "Rows of these that depart; of unknown fields and types among the first rows of each object",
}


@dataclass(frozen=True, order=True)
class Departure:
    """A field of a topic that an hour's rows have otherwise than the contract says.

    Attributes:
        detail: of another type, the types that came and the contract's.
        rows: how many rows depart.
        of: of how many that were looked at.
    """

    topic: str
    field: str
    what: What
    detail: str
    rows: int
    of: int


def departures(warehouse: Warehouse, span: Span) -> dict[datetime, list[Departure]]:
    """How the rows of hours depart from their contracts; hours that do not are left out."""
    bounds = {"start": literal(span[0]), "end": literal(span[1])}
    samples: dict[tuple[datetime, str], _Sample] = defaultdict(_Sample)
    asked = DEPARTURES.format(sample_lines=SAMPLE_LINES, **bounds)
    for hour, topic, told, objects, other_rows in warehouse.rows(asked):
        sample = samples[as_utc(hour), topic]
        sample.add(json.loads(told), objects)
        sample.other_rows = int(other_rows)
    found = {key: sample.departures(key[1]) for key, sample in samples.items()}
    for hour, topic, reason, rows, unrepaired, of in warehouse.rows(QUARANTINE.format(**bounds)):
        word, _, name = reason.partition(" ")
        what = _REJECTED.get(word)
        if what and unrepaired > at_most_by_chance(SHARE, of):
            key = as_utc(hour), topic
            detail = samples[key].detail(topic, name)
            departed = found.setdefault(key, {})
            departed[name, what] = Departure(topic, name, what, detail, rows, int(of))
    by_hour: dict[datetime, list[Departure]] = {}
    for (hour, _), departed in sorted(found.items()):
        if departed:
            by_hour.setdefault(hour, []).extend(sorted(departed.values()))
    return by_hour


@dataclass
class _Sample:
    """What the first rows of a topic's objects in an hour show."""

    rows: int = 0  # of objects in which something departs
    other_rows: int = 0
    fields: Counter[str] = field(default_factory=Counter)
    of: Counter[str] = field(default_factory=Counter)  # rows of the objects that have the unknown field
    types: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def add(self, told: Mapping[str, Any], objects: int) -> None:
        """What lake/fields.py tells, the same of so many objects."""
        self.rows += told["rows"] * objects
        for name, rows in told["fields"].items():
            self.fields[name] += rows * objects
            self.of[name] += told["rows"] * objects
        for name, types in told.get("types", {}).items():
            self.types[name].update({kind: rows * objects for kind, rows in types.items()})

    def departures(self, topic: str) -> dict[tuple[str, What], Departure]:
        found: dict[tuple[str, What], Departure] = {
            (name, "unknown field"): Departure(topic, name, "unknown field", "", rows, self.of[name])
            for name, rows in self.fields.items()
        }
        of = self.rows + self.other_rows
        for name, types in self.types.items():
            detail = self.detail(topic, name)
            if detail and types.total() > at_most_by_chance(SHARE, of):
                found[name, "other type"] = Departure(topic, name, "other type", detail, types.total(), of)
        return found

    def detail(self, topic: str, name: str) -> str:
        """The types in which a field came, and the contract's; empty where it came in no other."""
        kind = next((field.kind for field in BY_TOPIC[topic].fields if field.name == name), None)
        types = self.types.get(name)
        return f"{', '.join(sorted(types))} for {kind}" if kind and types else ""


def build_schema_drift(hours: dg.PartitionsDefinition, hours_per_step: int) -> dg.AssetsDefinition:
    """What departs from the contracts in each hour, and at a run's newest hour since when.

    Args:
        hours: the partitions.
        hours_per_step: the longest span, h, of a backfill's run.
    """

    @dg.asset(
        key=SCHEMA_DRIFT,
        deps=[INVENTORY, QUARANTINE_TABLE],
        group_name="staging",
        kinds={"python"},
        owners=OWNERS,
        partitions_def=hours,
        backfill_policy=dg.BackfillPolicy.multi_run(hours_per_step),
        pool=WAREHOUSE_POOL,
        metadata={
            "dagster/column_schema": dg.TableSchema(
                [dg.TableColumn(n, _type(n), description=told) for n, told in _HISTORY.items()]
            )
        },
        description="Where events depart from their contracts: fields that arrive and no contract names, required "
        "ones that stopped, others that changed their type. Each hour has its own departures, by field; a run's newest "
        f"hour has `history`, all of {LOOKED_BACK.days} days with first and last hour. "
        "`streaming-assets contract check` proposes what the contract could say.",
    )
    def schema_drift(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        window = context.partition_time_window
        with warehouse.exclusive():
            if not warehouse.has_table("stg_quarantine"):
                raise dg.Failure(
                    "No hour was built yet, so there is nothing to look at: the job `hourly` does all",
                    allow_retries=False,
                )
            found = departures(warehouse, (min(window.start, window.end - LOOKED_BACK), window.end))
        told = {hour: _of_hour(found.get(hour, [])) for hour in hours_between(window.start, window.end)}
        told[window.end - HOUR]["history"] = _history(found)
        add_hourly_metadata(context, {SCHEMA_DRIFT: {key_of(hour): values for hour, values in told.items()}})
        return dg.MaterializeResult()

    return schema_drift


def _of_hour(found: list[Departure]) -> dict[str, Any]:
    whats = Counter(departure.what for departure in found)
    counts = {name: whats[what] for name, what in _COUNTED.items()}
    records = [dg.TableRecord({**vars(departure)}) for departure in found[:SHOWN]]
    return {**counts, **({"departures": dg.MetadataValue.table(records)} if records else {})}


def _history(found: Mapping[datetime, Iterable[Departure]]) -> dg.MetadataValue:
    """Departures with the hours that have them, those that came last first."""
    seen: dict[tuple[str, ...], list[tuple[datetime, int]]] = {}
    for hour, departed in sorted(found.items()):
        for one in departed:
            seen.setdefault((one.topic, one.field, one.what, one.detail), []).append((hour, one.rows))
    records = [
        (*which, key_of(hours[0][0]), key_of(hours[-1][0]), len(hours), sum(rows for _, rows in hours))
        for which, hours in sorted(seen.items(), key=lambda item: item[1][0][0], reverse=True)
    ]
    return dg.MetadataValue.table(
        [dg.TableRecord(dict(zip(_HISTORY, record, strict=True))) for record in records[:SHOWN]],
        dg.TableSchema([dg.TableColumn(n, _type(n), description=told) for n, told in _HISTORY.items()]),
    )


def _type(column: str) -> str:
    return "int" if column in ("hours", "rows") else "string"
