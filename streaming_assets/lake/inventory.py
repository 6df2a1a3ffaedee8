"""What a topic's objects in a span of hours hold: their lines, and whether they can be read at all."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from streaming_assets.events import BY_TOPIC, DEAD_LETTERS
from streaming_assets.lake.fields import unknown_fields
from streaming_assets.lake.names import (
    HOUR,
    HourFolder,
    ObjectName,
    TopicHour,
    hour_prefix,
    parse_folder,
    parse_object,
    placeholder,
    topic_prefix,
)
from streaming_assets.lake.reading import ObjectUnreadable, careful_lines, count_plain_lines, write_lines
from streaming_assets.lake.store import Lake, LakeError, content_hash

_READERS = 2  # decompression releases the GIL
Version = tuple[str, int, int]  # uri, bytes, generation: the content of an object at a time


@dataclass(frozen=True)
class Found:
    """What reading an object gave; the attributes are those of `InventoryRow`."""

    rows: int
    content: str
    lines_uri: str | None = None
    unknown_fields: str | None = None


@dataclass(frozen=True)
class InventoryRow:
    """One event object: parts of its name, bytes, generation, and its lines (not blank) or the error.

    `content` is a hash of its bytes, from the listing or, where that tells none, made when it was read; none of an
    object that could not be fetched. `lines_uri` is
    the file that holds its lines, where the warehouse can't read the object itself. An hour's folder that can't be
    listed is a row of its own, with the error. `unknown_fields` is what lake/fields.py gives.
    """

    name: ObjectName | HourFolder
    uri: str
    size: int
    generation: int
    rows: int | None = None
    error: str | None = None
    content: str | None = None
    lines_uri: str | None = None
    unknown_fields: str | None = None


@dataclass(frozen=True)
class HourListing:
    """The objects of a topic in a span of hours, and the files there that are no event objects."""

    objects: list[InventoryRow]
    strays: list[str]


def list_hours(lake: Lake, topic: str, start: datetime, end: datetime) -> HourListing:
    """The topic's objects in hours [start, end), unread, in one ordered listing.

    Raises:
        LakeError: the listing failed.
    """
    first, last = hour_prefix(topic, start), hour_prefix(topic, end)
    if end - start == HOUR:  # its own folder: to list the topic's takes longer with each hour of history
        return _sorted_out(lake, topic, first)
    return _sorted_out(lake, topic, topic_prefix(topic), first, last)


def list_topic(lake: Lake, topic: str) -> HourListing:
    """As `list_hours`, of all hours that there are."""
    return _sorted_out(lake, topic, topic_prefix(topic))


def list_topics(lake: Lake, topics: Iterable[str], start: datetime, end: datetime) -> HourListing:
    """As `list_hours`, of several topics together."""
    listings = [list_hours(lake, topic, start, end) for topic in topics]
    return HourListing(
        [row for listing in listings for row in listing.objects],
        [name for listing in listings for name in listing.strays],
    )


def _sorted_out(lake: Lake, topic: str, prefix: str, start: str = "", end: str = "") -> HourListing:
    """Event objects apart from stray files; what can't be looked at is its hour's fault alone."""
    faults: dict[str, str] = {}
    objects, strays = [], []
    for found in lake.list(prefix, start, end, faults):
        if found.name == placeholder(topic):
            continue
        name = parse_object(found.name)
        if name is None or name.topic != topic:
            strays.append(found.name)
        else:
            uri = lake.uri(found.name)
            objects.append(InventoryRow(name, uri, found.size, found.generation, content=found.content))
    for place, error in faults.items():
        if place == topic_prefix(topic):
            raise LakeError(error)
        name = parse_object(place) or _parse_hour(topic, place)
        if name is None or name.topic != topic:
            strays.append(place)
        else:
            objects.append(InventoryRow(name, lake.uri(place), 0, 0, error=error))
    return HourListing(objects, strays)


def _parse_hour(topic: str, place: str) -> HourFolder | None:
    hour = parse_folder(place.removeprefix(topic_prefix(topic)).removesuffix("/"))
    return None if hour is None else HourFolder(topic, hour)


def read_rows(
    lake: Lake,
    objects: list[InventoryRow],
    known: Mapping[Version, Found],
    lines_folder: Path | None,
) -> Iterator[InventoryRow]:
    """`objects` looked through, in order: how many lines they hold, and by whom they are to be read.

    Args:
        known: by version, what was found before of objects that need no reading again.
        lines_folder: for the lines of objects that the warehouse can't read itself; None where it never needs them.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        yield from pool.map(lambda row: _read(lake, row, known, lines_folder), objects)


def _read(
    lake: Lake, row: InventoryRow, known: Mapping[Version, Found], lines_folder: Path | None
) -> InventoryRow:
    if row.error:
        return row
    found = known.get((row.uri, row.size, row.generation))
    if found and (found.lines_uri is None or Path(found.lines_uri).exists()):
        return replace(row, **vars(found))
    try:
        data = lake.read(str(row.name))
        row = replace(row, content=row.content or content_hash(data), unknown_fields=_strangers(row, data))
        lines = count_plain_lines(data, of_events=row.name.topic != DEAD_LETTERS.topic)
        if lines is not None:
            return replace(row, rows=lines)
        if lines_folder is None:
            return replace(row, rows=sum(1 for _ in careful_lines(data)))
        name = sha256(f"{row.uri} {row.size} {row.generation}".encode()).hexdigest()
        path = lines_folder / f"{name}.parquet"
        return replace(row, rows=write_lines(path, row.uri, careful_lines(data)), lines_uri=str(path))
    except ObjectUnreadable as error:
        return replace(row, error=f"{row.uri} can't be read: {error}")
    except LakeError as error:  # it may be there another time
        return replace(row, content=None, error=str(error))


def by_hour(objects: Iterable[InventoryRow]) -> dict[TopicHour, list[InventoryRow]]:
    """Objects by topic and hour."""
    found: dict[TopicHour, list[InventoryRow]] = {}
    for row in objects:
        found.setdefault((row.name.topic, row.name.hour), []).append(row)
    return found


def _strangers(row: InventoryRow, data: bytes) -> str | None:
    contract = BY_TOPIC.get(row.name.topic)
    return unknown_fields(data, [field.name for field in contract.fields]) if contract else None
