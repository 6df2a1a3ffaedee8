"""What a topic's objects in a span of hours hold: their lines, and whether they can be read at all."""

import io
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from isal import igzip, igzip_lib

from streaming_assets.lake.names import HOUR, ObjectName, hour_prefix, parse_object, placeholder, topic_prefix
from streaming_assets.lake.store import Lake, LakeError, LakeObject, content_hash

_READERS = 2  # decompression releases the GIL
_UNREADABLE: Any = (LakeError, EOFError, OSError, igzip_lib.IsalError, UnicodeDecodeError)


@dataclass(frozen=True)
class InventoryRow:
    """One event object: parts of its name, bytes, generation, and its lines (not blank) or the error.

    `content` is a hash of its bytes, from the listing or, where that tells none, made when it was read.
    """

    name: ObjectName
    uri: str
    size: int
    generation: int
    rows: int | None = None
    error: str | None = None
    content: str | None = None


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
            uri = lake.uri(found.name)
            objects.append(InventoryRow(name, uri, found.size, found.generation, content=found.content))
    return HourListing(objects, strays)


Known = Mapping[tuple[str, int, int], tuple[int, str]]  # (uri, size, generation) -> lines, content


def read_rows(lake: Lake, objects: list[InventoryRow], known: Known) -> Iterator[InventoryRow]:
    """`objects` with their lines counted, in order.

    Args:
        known: what was read before, and needs no reading again.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        yield from pool.map(lambda row: _count(lake, row, known), objects)


def _count(lake: Lake, row: InventoryRow, known: Known) -> InventoryRow:
    before = known.get((row.uri, row.size, row.generation))
    if before is not None:
        return replace(row, rows=before[0], content=before[1])
    try:
        compressed = lake.read(str(row.name))
        content = row.content or content_hash(compressed)
        return replace(row, rows=count_lines(compressed), content=content)
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
