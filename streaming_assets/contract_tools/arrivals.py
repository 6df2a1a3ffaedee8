"""Contracts held to the lake: which fields the newest objects of a topic hold."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from streaming_assets.contract_tools.fields import fields_of, name_of
from streaming_assets.contract_tools.sampling import events_of
from streaming_assets.contracts import EventType
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
        events: how many events they hold.
        fields: of each field, in how many events it is.
    """

    objects: int = 0
    unreadable: list[str] = field(default_factory=list)
    events: int = 0
    fields: Counter[str] = field(default_factory=Counter)


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
            found.events += 1
            found.fields.update({name_of(path) for path, _ in fields_of(event)})
    return found


def strangers(event_type: EventType, found: Arrived) -> Iterator[str]:
    """What does not fit between a contract and what arrived, in words."""
    named = {field.name for field in event_type.fields}
    for name, count in found.fields.most_common():
        if name not in named:
            yield f"{name} arrives, in {count:,} of {found.events:,} events, and no field of the contract has this name"
    for declared in event_type.fields:
        if declared.required and declared.name not in found.fields:
            yield f"{declared.name} is required, and in none of {found.events:,} events"


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
