"""Personal fields past the days that their contract keeps them (`retention_days`): their values leave the lake.

Lines stay, with their offsets, so no row is lost: a value becomes `null`, and a text that can't be told apart into
fields (no JSON, a dead letter) is withheld. `expired/until.json` has the hour before which each field is done with.
"""

import gzip
import json
import re
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta

import orjson

from streaming_assets.events import DEAD_LETTERS, EVENT_TYPES, EventType
from streaming_assets.lake.forgetting import headers_of, parsed
from streaming_assets.lake.names import (
    HEADER_PREFIX,
    dead_letter_source,
    floor_hour,
    hour_prefix,
    parse_object,
    topic_prefix,
)
from streaming_assets.lake.reading import ObjectUnreadable, text_of
from streaming_assets.lake.store import Lake, LakeError, LakeObject

FOLDER = "expired/"
DONE = f"{FOLDER}until.json"
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)
_OFFSET = re.compile(rb'"offset"\s*:\s*([0-9]{1,19})\b')
_SOURCE = {
    HEADER_PREFIX + key for key in ("topic", "partition", "offset")
}  # headers that say nothing of a person


def is_asked_for() -> bool:
    """Whether any contract keeps a field for some days only."""
    return any(field.retention_days for kind in EVENT_TYPES for field in kind.fields)


def kept_since(kind: EventType, now: datetime) -> dict[str, datetime]:
    """By field that a topic's contract keeps for some days only: the hour from which on values stay."""
    return {
        field.name: floor_hour(now - timedelta(days=field.retention_days))
        for field in kind.fields
        if field.retention_days
    }


def expired_fields(kind: EventType, hour: datetime, now: datetime) -> list[str]:
    """The fields of a topic whose values in an hour's events are to be gone."""
    return [name for name, since in kept_since(kind, now).items() if hour < since]


def expire(lake: Lake, now: datetime, kinds: Iterable[EventType]) -> tuple[int, list[str]]:
    """Take what has expired out of the whole lake; after a crash the same call does the rest.

    Returns:
        How many objects were written anew, and what is wrong with those that could not be.

    Raises:
        LakeError: the lake can't be read or written; what was written stays so.
    """
    kinds = [kind for kind in kinds if kept_since(kind, now)]
    if not kinds:
        return 0, []
    done = _read_done(lake)
    rewritten, faults = 0, list[str]()
    cuts = {kind.topic: kept_since(kind, now) for kind in kinds}
    cuts[DEAD_LETTERS.topic] = {
        f"{topic}.{name}": since for topic, fields in cuts.items() for name, since in fields.items()
    }
    for topic, fields in cuts.items():
        before = done.get(topic, {})
        start = min(before.get(name, "") for name in fields)
        listed_faults: dict[str, str] = {}
        listed = lake.list(
            topic_prefix(topic),
            hour_prefix(topic, datetime.fromisoformat(start)) if start else "",
            hour_prefix(topic, max(fields.values())),
            listed_faults,
        )
        number, wrong = take_out_expired(lake, listed, now, kinds)
        rewritten += number
        faults += [*wrong, *listed_faults.values()]
        if not wrong and not listed_faults:
            done[topic] = {name: since.isoformat() for name, since in fields.items()}
            lake.write(DONE, json.dumps(done, indent=1).encode())
    return rewritten, faults


def take_out_expired(
    lake: Lake, objects: Iterable[LakeObject], now: datetime, kinds: Iterable[EventType]
) -> tuple[int, list[str]]:
    """Rewrite those of the objects that hold expired values. Returns and raises as `expire`."""
    by_topic = {kind.topic: kind for kind in kinds if kept_since(kind, now)}
    rewritten, faults = 0, list[str]()
    for found in objects:
        name = parse_object(found.name)
        if name is None:
            continue
        is_letters = name.topic == DEAD_LETTERS.topic
        kind = by_topic.get(name.topic)
        fields = expired_fields(kind, name.hour, now) if kind else []
        due = {topic for topic, of in by_topic.items() if is_letters and expired_fields(of, name.hour, now)}
        if not fields and not due:
            continue
        source, _ = (dead_letter_source(name) if is_letters else None) or ("", None)
        try:
            text = text_of(lake.read(found.name))
        except ObjectUnreadable as error:
            faults.append(f"{lake.uri(found.name)} can't be read: {error}")
            continue
        lines = text.split(b"\n")
        left = [
            without_letter(line, due, source) if is_letters else without_values(line, fields)
            for line in lines
        ]
        if left == lines:
            continue
        if lake.replace(found.name, gzip.compress(b"\n".join(left), mtime=0), found.generation):
            rewritten += 1
        else:
            faults.append(f"{lake.uri(found.name)} was written by somebody else meanwhile")
    return rewritten, faults


def without_values(line: bytes, fields: Collection[str]) -> bytes:
    """A data line with `null` for the values of fields; all other bytes stay. What is no JSON object is withheld."""
    if not line.strip():
        return line
    told = parsed(line)
    if not isinstance(told, dict):
        return _withheld(line)
    is_event = isinstance(told.get("value"), dict)
    wanted = {("value", *name.split(".")) for name in fields} if is_event else {("value",)}
    pieces, end = list[bytes](), 0
    for start, stop in _places(line, wanted):
        pieces += [line[end:start], b"null"]
        end = stop
    return b"".join((*pieces, line[end:]))


def without_letter(line: bytes, topics: Collection[str], source: str) -> bytes:
    """A dead letter without its bytes and the words of its error, if it is of one of the topics.

    Args:
        line: the dead letter.
        topics: whose records may say nothing of a person any more.
        source: the topic by the object's name; empty where only the letter's headers tell.
    """
    if not line.strip():
        return line
    letter = parsed(line)
    if not isinstance(letter, dict):
        return _withheld(line)
    headers = headers_of(letter)
    topic = source or next(
        (one.get("value") for one in headers if one.get("key") == f"{HEADER_PREFIX}topic"), ""
    )
    if topic and topic not in topics:
        return line
    left = letter | {"value": "", "headers": [one for one in headers if one.get("key") in _SOURCE]}
    return line if left == letter else orjson.dumps(left)


def _places(line: bytes, wanted: Collection[tuple[str, ...]]) -> Iterator[tuple[int, int]]:
    """Where in a JSON text the values at these paths of keys begin and end."""
    open_keys: list[str | None] = []  # of the objects and arrays around: the key that the next value is of
    in_object: list[bool] = []
    begun: tuple[int, int] | None = None  # a wanted value: its first byte, and how deep it is
    for token in _TOKEN.finditer(line):
        said = token.group()
        if said == b"," and in_object[-1]:
            open_keys[-1] = None
        elif said in (b",", b":"):
            continue
        elif in_object and in_object[-1] and open_keys[-1] is None and said != b"}":
            open_keys[-1] = json.loads(said)
        else:
            if said not in (b"}", b"]") and begun is None and tuple(open_keys) in wanted:
                begun = token.start(), len(in_object)
            if said in (b"{", b"["):
                open_keys.append(None)
                in_object.append(said == b"{")
                continue
            if said in (b"}", b"]"):
                open_keys.pop()
                in_object.pop()
            if begun and begun[1] == len(in_object):
                yield begun[0], token.end()
                begun = None


def _withheld(line: bytes) -> bytes:
    offset = _OFFSET.findall(line)
    return b'{"offset":%b,"withheld' % offset[-1] if offset else b'{"withheld'


def _read_done(lake: Lake) -> dict[str, dict[str, str]]:
    if not any(found.name == DONE for found in lake.list(FOLDER)):
        return {}
    try:
        return json.loads(lake.read(DONE))
    except ValueError as error:
        raise LakeError(
            f"{lake.uri(DONE)} is damaged ({error}): remove it, and all is looked through anew"
        ) from error
