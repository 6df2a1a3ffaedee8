"""Contracts held to the lake: which fields the newest objects of a topic hold."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from streaming_assets.contract_tools.fields import fields_of, name_of
from streaming_assets.contract_tools.inference import infer
from streaming_assets.contract_tools.sampling import events_of
from streaming_assets.contract_tools.writing import columns_text
from streaming_assets.contracts import EventField, EventType
from streaming_assets.lake.fields import SHARE, at_most_by_chance, kind_of
from streaming_assets.lake.names import floor_hour, hour_prefix, parse_object, topic_prefix
from streaming_assets.lake.reading import ObjectUnreadable, careful_lines
from streaming_assets.lake.store import Lake, LakeObject

_LOOK_BACK_DAYS = (1, 7, 49, 343)  # until objects are found; then all of history


@dataclass
class Arrived:
    """What the newest objects of a topic hold.

    Attributes:
        objects: how many were read.
        unreadable: names of those that no reader can read.
        events: the events that they hold.
        fields: of each field, in how many events it is.
        kinds: of each field, how many of its values are of which kind.
    """

    objects: int = 0
    unreadable: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    fields: Counter[str] = field(default_factory=Counter)
    kinds: dict[str, Counter[str]] = field(default_factory=dict)


def arrived(lake: Lake, topic: str, objects: int, now: datetime) -> Arrived:
    """What the newest objects of a topic hold, at most so many.

    Raises:
        LakeError: the lake can't be read.
    """
    found = Arrived()
    for entry in _newest(lake, topic, objects, now):
        try:
            lines = [
                line.text.encode() for line in careful_lines(lake.read(entry.name)) if line.fault is None
            ]
        except ObjectUnreadable:
            found.unreadable.append(entry.name)
            continue
        found.objects += 1
        for event in events_of(lines):
            found.events.append(event)
            named = {name_of(path): value for path, value in fields_of(event)}
            found.fields.update(named.keys())
            for name, value in named.items():
                found.kinds.setdefault(name, Counter())[kind_of(value)] += 1
    return found


def strangers(event_type: EventType, found: Arrived) -> Iterator[str]:
    """What does not fit between a contract and what arrived, in words."""
    of = f"{len(found.events):,} events"
    named = {field.name for field in event_type.fields}
    for name, count in found.fields.most_common():
        if name not in named:
            yield f"{name} arrives, in {count:,} of {of}, and no field of the contract has this name"
    for declared in event_type.fields:
        if declared.required and declared.name not in found.fields:
            yield f"{declared.name} is required, and in none of {of}"
        if others := _others(declared, found):
            came = ", ".join(f"{count:,} {kind}" for kind, count in others.items())
            yield f"{declared.name} is {declared.kind} in the contract, and arrives otherwise in {of}: {came}"


def _others(declared: EventField, found: Arrived) -> Counter[str]:
    """Values of a field that are of another kind than its contract's, if they are more than bad rows."""
    fitting = {declared.kind, "integer"} if declared.kind == "number" else {declared.kind}
    kinds = found.kinds.get(declared.name, Counter())
    others = Counter({kind: count for kind, count in kinds.most_common() if kind not in fitting})
    return others if others.total() > at_most_by_chance(SHARE, kinds.total()) else Counter()


def proposal(event_type: EventType, found: Arrived) -> str:
    """Lines for the contract that the fields ask for which do not fit; nothing where all do."""
    declared = {field.name: field for field in event_type.fields}
    unknown = [name for name in found.fields if name not in declared]
    retyped = [name for name, field in declared.items() if _others(field, found)]
    if not unknown and not retyped:
        return ""
    return columns_text(infer(event_type.topic, found.events), {*unknown, *retyped})


def never(event_type: EventType, found: Arrived) -> list[str]:
    """Optional fields of a contract that none of the events has."""
    return [
        field.name for field in event_type.fields if not field.required and field.name not in found.fields
    ]


def _newest(lake: Lake, topic: str, objects: int, now: datetime) -> list[LakeObject]:
    starts = [hour_prefix(topic, floor_hour(now) - timedelta(days=days)) for days in _LOOK_BACK_DAYS]
    entries: list[LakeObject] = []
    for start in (*starts, ""):
        entries = [e for e in lake.list(topic_prefix(topic), start) if e.size and parse_object(e.name)]
        if len(entries) >= objects:
            break
    return entries[-objects:]
