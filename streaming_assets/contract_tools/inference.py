"""What a sample of events shows of their fields, and the contract that it suggests. Pure.

A sample shows what came, not what is meant: whatever rests on a guess is told in a note, for a person to decide.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from streaming_assets.contract_tools.fields import fields_of, is_nameable, name_of
from streaming_assets.contract_tools.names import columns_of
from streaming_assets.contracts import EventField, EventType, Kind, TimeFormat
from streaming_assets.lake.fields import kind_of

MOSTLY = 0.99  # share of a sample from which on a rule is taken for one, and what breaks it for bad rows
_SHOWN = 8  # values that are told one by one
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?(Z|[+-][0-9]{2}(:[0-9]{2})?)?"
)  # as macros/dialect/types.sql reads it
_MOMENTS_MS = (946_684_800_000, 4_102_444_800_000)  # the years 2000 to 2099
_ID = re.compile(r"(?:^|[^A-Za-z])u?u?id$|[a-z]I[dD]$|UUID$|(?:^|_)(?:key|number|no)$", re.I)
_PERSONAL = re.compile(
    r"mail|phone|first.?name|last.?name|full.?name|surname|street|address|zip|postal|birth|gender|user.?agent|^ip$|[._]ip$"
    r"|^lat$|^lon$|latitude|longitude",
    re.I,
)


@dataclass(frozen=True)
class Draft:
    """A contract as a sample suggests it.

    Attributes:
        event_type: the contract.
        notes: of a field, what was seen of it.
        doubts: of a field, what a person must decide; under "" what concerns the event.
        events: how many events the sample has.
        left_out: names of fields that no contract can name.
    """

    event_type: EventType
    notes: Mapping[str, str]
    doubts: Mapping[str, list[str]]
    events: int
    left_out: tuple[str, ...] = ()


@dataclass
class _Seen:
    """What was seen of one field."""

    kinds: Counter[str] = field(default_factory=Counter)
    values: Counter[Any] = field(default_factory=Counter)  # of scalars

    @property
    def count(self) -> int:
        return self.kinds.total()

    def add(self, value: Any) -> None:
        self.kinds[kind_of(value)] += 1
        if not isinstance(value, list):
            self.values[value] += 1


def infer(topic: str, events: Sequence[Mapping[str, Any]]) -> Draft:
    """The contract that a sample suggests.

    Args:
        topic: name of the topic.
        events: the sample, at least one event.
    """
    rows: list[dict[str, Any]] = []
    seen: dict[str, _Seen] = {}
    left_out: dict[str, None] = {}
    for event in events:
        row = {}
        for path, value in fields_of(event):
            name = name_of(path)
            if is_nameable(path):
                row[name] = value
                seen.setdefault(name, _Seen()).add(value)
            else:
                left_out[name] = None
        rows.append(row)
    columns = columns_of(seen)
    doubts: dict[str, list[str]] = {"": []}
    notes: dict[str, str] = {}
    fields = []
    for name, found in seen.items():
        own: list[str] = []
        fields.append(_field(name, columns[name], found, len(rows), own))
        notes[name] = _told(found, len(rows))
        doubts[name] = own
    time = _event_time(fields, seen, doubts[""])
    identity = _identity(fields, rows, time, doubts[""])
    fields = [replace(f, required=f.required or f.name in identity) for f in fields]
    event_type = EventType(topic, tuple(fields), identity, time, external_table=f"{topic}_ext")
    return Draft(event_type, notes, doubts, len(rows), tuple(left_out))


def _field(name: str, column: str, found: _Seen, events: int, doubts: list[str]) -> EventField:
    kind = _kind(found, doubts)
    if kind is None:
        return EventField(name, "string")
    time = _time(kind, found, doubts)
    required = found.count >= MOSTLY * events
    if required and found.count < events:
        doubts.append(
            f"required? {events - found.count:,} of {events:,} events lack it, and would be quarantined"
        )
    personal = bool(_PERSONAL.search(name))
    if personal:
        doubts.append("personal? its name says so")
    return EventField(name, kind, column=column, required=required, time=time, personal=personal)


def _kind(found: _Seen, doubts: list[str]) -> Kind | None:
    """The kind of a field's valid values; None for one that no model can read."""
    kinds = Counter(found.kinds)
    if kinds["number"] and kinds["integer"]:
        kinds["number"] += kinds.pop("integer")
    kind, count = kinds.most_common(1)[0]
    others = {other: n for other, n in kinds.items() if n and other != kind}
    if kind == "array" or (kinds["array"] and count < MOSTLY * found.count):
        doubts.append("it holds arrays, which no model reads: so it has no column")
        return None
    if others and count < MOSTLY * found.count:
        doubts.append(f"its type? it is {_counted(found.kinds)}, so text takes all of them")
        return "string"
    if others:
        doubts.append(f"its type? {_counted(others)} would be quarantined as mistyped")
    match kind:
        case "integer" | "number" | "boolean":
            return kind
        case _:
            return "string"


def _time(kind: Kind, found: _Seen, doubts: list[str]) -> TimeFormat | None:
    total = found.values.total()
    if kind == "string":
        moments = sum(
            n for value, n in found.values.items() if isinstance(value, str) and _ISO.fullmatch(value)
        )
        return "iso_8601" if moments >= MOSTLY * total else None
    if kind != "integer":
        return None
    first, last = _MOMENTS_MS
    whole = [(value, n) for value, n in found.values.items() if type(value) is int]
    if sum(n for value, n in whole if first <= value <= last) >= MOSTLY * total:
        return "epoch_ms"
    for unit, factor in (("seconds", 1 / 1000), ("microseconds", 1000), ("nanoseconds", 1_000_000)):
        if sum(n for value, n in whole if first * factor <= value <= last * factor) >= MOSTLY * total:
            doubts.append(
                f"a moment? its values look like {unit} since 1970; contracts know milliseconds and ISO 8601"
            )
    return None


def _told(found: _Seen, events: int) -> str:
    """What was seen, in a line."""
    share = "in all" if found.count == events else f"in {found.count:,} of {events:,}"
    numbers = [
        value for value in found.values if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    if len(found.values) <= _SHOWN and found.values:
        values = ", ".join(f"{json.dumps(value)} ({n:,})" for value, n in found.values.most_common())
        return _short(f"{share}: {values}")
    if numbers:
        return f"{share}: {min(numbers)} to {max(numbers)}, {len(found.values):,} values"
    examples = ", ".join(json.dumps(value) for value in list(found.values)[:2])
    return _short(
        f"{share}: {len(found.values):,} values such as {examples}" if examples else f"{share}: arrays"
    )


def _short(text: str, longest: int = 160) -> str:
    return text if len(text) <= longest else f"{text[:longest]}..."


def _counted(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} {kind}" for kind, n in kinds.items() if n)


def _event_time(fields: Iterable[EventField], seen: Mapping[str, _Seen], doubts: list[str]) -> str | None:
    """Of the required moments the one that differs most."""
    moments = [f.name for f in fields if f.time and f.required]
    if not moments:
        doubts.append(
            "event_time? no required field is a moment; replays to the lake can't tell an event's hour then"
        )
        return None
    chosen = max(moments, key=lambda name: len(seen[name].values))
    if len(moments) > 1:
        doubts.append(f"event_time? moments are {', '.join(moments)}")
    return chosen


def _identity(
    fields: Sequence[EventField], rows: Sequence[Mapping[str, Any]], time: str | None, doubts: list[str]
) -> tuple[str, ...]:
    """The fields that tell the sample's events apart, as few as will do."""
    apart = [*{_digest(row): row for row in rows}.values()]  # a repeat is no other event
    ids = [
        f.name for f in fields if f.required and f.column and f.kind in ("string", "integer") and not f.time
    ]
    ids.sort(key=lambda name: not _ID.search(name))
    for name in ids:
        if _tells_apart(apart, (name,)):
            doubts.append(f"identity? {name} differs between all events that are not wholly alike")
            return (name,)
    named = [name for name in ids if _ID.search(name)]
    several = (*named, *([time] if time else []))
    if several and _tells_apart(apart, several):
        doubts.append(f"identity? {', '.join(several)} together tell all events apart; maybe fewer do")
        return several
    chosen = several or tuple(f.name for f in fields if f.required and f.column)
    doubts.append(
        "identity? no field or few tell all events of the sample apart: copies would fold what differs"
    )
    return chosen


def _tells_apart(rows: Sequence[Mapping[str, Any]], names: tuple[str, ...]) -> bool:
    keys = [tuple(row.get(name) for name in names) for row in rows]
    whole = [key for key in keys if None not in key]
    return len({repr(key) for key in whole}) >= MOSTLY * len(rows)


def _digest(row: Mapping[str, Any]) -> bytes:
    return hashlib.blake2b(json.dumps(row, sort_keys=True).encode(), digest_size=16).digest()
