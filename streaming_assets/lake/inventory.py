"""What a topic's objects in a span of hours hold: their lines, and whether they can be read at all."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from itertools import chain
from pathlib import Path
from threading import Semaphore

from streaming_assets.events import BY_TOPIC, DEAD_LETTERS
from streaming_assets.lake.fields import SAMPLE_LINES, departures, sample_of
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
from streaming_assets.lake.sealed import SealedFiles
from streaming_assets.lake.store import Lake, LakeError, LakeObject, SealedLines, content_hash

_READERS = 2  # of large objects: decompression releases the GIL
_SMALL = 2**16  # bytes of an object in the mean, below which Python's own work is most of it
_PORTION_BYTES, _MOST_OF_A_PORTION = 2**20, 200
_KNOWN = {topic: tuple((f.name, f.kind) for f in contract.fields) for topic, contract in BY_TOPIC.items()}
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
    listed is a row of its own, with the error. `unknown_fields` is what lake/fields.py gives. `sealed` is where its
    lines lie once its hour is sealed, `sealed_uri` the address of that file.
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
    sealed: SealedLines | None = None
    sealed_uri: str | None = None


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
    none = placeholder(topic)
    for found in lake.list(prefix, start, end, faults):
        if found.name == none:
            continue
        name = parse_object(found.name)
        if name is None or name.topic != topic:
            strays.append(found.name)
        else:
            objects.append(listed_row(lake, name, found))
    for place, error in faults.items():
        if place == topic_prefix(topic):
            raise LakeError(error)
        name = parse_object(place) or _parse_hour(topic, place)
        if name is None or name.topic != topic:
            strays.append(place)
        else:
            objects.append(InventoryRow(name, lake.uri(place), 0, 0, error=error))
    return HourListing(objects, strays)


def listed_row(lake: Lake, name: ObjectName, found: LakeObject) -> InventoryRow:
    """An object as a listing tells of it, unread."""
    return InventoryRow(
        name,
        lake.uri(found.name),
        found.size,
        found.generation,
        content=found.content,
        sealed=found.sealed,
        sealed_uri=lake.uri(found.sealed.file) if found.sealed else None,
    )


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

    sealed = SealedFiles(lake)
    turn = Semaphore(lake.readers)

    def read_all(rows: list[InventoryRow]) -> list[InventoryRow]:
        with turn if sum(row.size for row in rows) < _SMALL * len(rows) else nullcontext():
            return [
                _read_sealed(sealed, row, row.sealed, known)
                if row.sealed
                else _read(lake, row, known, lines_folder)
                for row in rows
            ]

    with ThreadPoolExecutor(max(_READERS, lake.readers)) as pool:
        yield from chain.from_iterable(pool.map(read_all, _portions(objects)))


def _portions(objects: Iterable[InventoryRow]) -> Iterator[list[InventoryRow]]:
    """`objects` in portions that are worth a thread's while: many small objects, or a large one."""
    portion, size = [], 0
    for row in objects:
        portion.append(row)
        size += row.size
        if len(portion) == _MOST_OF_A_PORTION or size >= _PORTION_BYTES:
            yield portion
            portion, size = [], 0
    yield portion


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
        # Known of an unreadable object as well: its content is what tells that it is still the same one.
        row = replace(
            row, content=row.content or content_hash(data), unknown_fields=_departures(row, sample_of(data))
        )
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


def _read_sealed(
    files: SealedFiles, row: InventoryRow, part: SealedLines, known: Mapping[Version, Found]
) -> InventoryRow:
    """An object of a sealed hour: its lines were counted then, and lie in a file that is held to its hash."""
    row = replace(row, content=row.content or part.content)
    try:
        file = files.of(part)
        found = known.get((row.uri, row.size, row.generation))
        if found:
            return replace(row, rows=part.rows, unknown_fields=found.unknown_fields)
        first = file.text(part, SAMPLE_LINES)
        return replace(row, rows=part.rows, unknown_fields=_departures(row, first))
    except LakeError as error:
        return replace(row, content=None, error=f"{row.uri} can't be read: {error}")


def by_hour(objects: Iterable[InventoryRow]) -> dict[TopicHour, list[InventoryRow]]:
    """Objects by topic and hour."""
    found: dict[TopicHour, list[InventoryRow]] = {}
    for row in objects:
        found.setdefault((row.name.topic, row.name.hour), []).append(row)
    return found


def _departures(row: InventoryRow, sample: bytes) -> str | None:
    known = _KNOWN.get(row.name.topic)
    return departures(sample, known) if known else None
