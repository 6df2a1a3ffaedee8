"""What a topic's objects in a span of hours hold: their lines, and whether they can be read at all."""

import io
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from isal import igzip, igzip_lib

from streaming_assets.lake.names import HOUR, ObjectName, hour_prefix, parse_object, placeholder, topic_prefix
from streaming_assets.lake.store import Lake, LakeError, LakeObject

_READERS = 2  # decompression releases the GIL
_UNREADABLE: Any = (LakeError, EOFError, OSError, igzip_lib.IsalError, UnicodeDecodeError)


@dataclass(frozen=True)
class InventoryRow:
    """One event object: parts of its name, bytes, generation, and its lines (not blank) or the error."""

    name: ObjectName
    uri: str
    size: int
    generation: int
    rows: int | None = None
    error: str | None = None


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
        return sort_out(lake, topic, lake.list(first))
    return sort_out(lake, topic, lake.list(topic_prefix(topic), first, last))


def list_topics(lake: Lake, topics: Iterable[str], start: datetime, end: datetime) -> HourListing:
    """As `list_hours`, of several topics together."""
    listings = [list_hours(lake, topic, start, end) for topic in topics]
    return HourListing(
        [row for listing in listings for row in listing.objects],
        [name for listing in listings for name in listing.strays],
    )


def sort_out(lake: Lake, topic: str, listed: Iterable[LakeObject]) -> HourListing:
    """Tell event objects from stray files."""
    objects, strays = [], []
    for found in listed:
        if found.name == placeholder(topic):
            continue
        name = parse_object(found.name)
        if name is None or name.topic != topic:
            strays.append(found.name)
        else:
            objects.append(InventoryRow(name, lake.uri(found.name), found.size, found.generation))
    return HourListing(objects, strays)


def read_rows(
    lake: Lake, objects: list[InventoryRow], known: Mapping[tuple[str, int, int], int]
) -> Iterator[InventoryRow]:
    """`objects` with their lines counted, in order.

    Args:
        known: lines by (uri, size, generation) of objects that were counted before and need no reading again.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        yield from pool.map(lambda row: _count(lake, row, known), objects)


def _count(lake: Lake, row: InventoryRow, known: Mapping[tuple[str, int, int], int]) -> InventoryRow:
    lines = known.get((row.uri, row.size, row.generation))
    if lines is not None:
        return replace(row, rows=lines)
    try:
        return replace(row, rows=count_lines(lake.read(str(row.name))))
    except _UNREADABLE as error:
        return replace(row, error=f"{row.uri} can't be read: {error}")


def count_lines(compressed: bytes) -> int:
    """Lines of a gzip file's text that are not blank, as the warehouse reads them; an empty file has none.

    A line ends at \\n, \\r\\n or \\r; blank is one of spaces and tabs.

    Raises:
        EOFError: the file is truncated.
        igzip.BadGzipFile: the file is no gzip, or fails its check.
        igzip_lib.IsalError: what is compressed is damaged.
        UnicodeDecodeError: the text is not UTF-8, which the warehouse refuses.
    """
    if not compressed:
        return 0
    with igzip.IGzipFile(fileobj=io.BytesIO(compressed)) as file:
        text = file.read()
    text.decode()
    return sum(1 for line in text.replace(b"\r", b"\n").split(b"\n") if line.strip(b" \t"))
