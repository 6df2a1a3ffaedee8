"""Putting rows in place, so that a replay folds into the objects that are there already.

An object is written once and never changed. A sink that was killed between writing and committing reads the
same rows again; it looks how far the objects reach that are there, and writes only what comes after, under the
offset that follows. So a row is in one object, however often it is read and wherever a flush is cut.
"""

import bisect
import logging
import zlib
from dataclasses import dataclass, replace
from datetime import datetime

import orjson
from isal import igzip

from streaming_assets.ingestion.buffer import Rows
from streaming_assets.ingestion.packing import DAMAGED, compress
from streaming_assets.lake.names import ObjectName, hour_prefix, parse_object
from streaming_assets.lake.store import Lake

_log = logging.getLogger(__name__)


@dataclass
class Placed:
    """What became of some rows: objects and bytes written, and the last offset that is in the lake now."""

    objects: int
    bytes: int
    last_offset: int


class _DamagedError(Exception):
    """An object is no gzip of JSON lines."""


def place(lake: Lake, name: ObjectName, rows: Rows, known: int | None) -> Placed:
    """Write `rows` under `name` with their own first offset, less what objects there hold already.

    Args:
        lake: where they go.
        name: topic, hour, partition and stream epoch of the rows; its start offset does not matter.
        rows: at least one, in offset order.
        known: last offset that an earlier call put in place; None if that has to be looked up.

    Raises:
        LakeError: an object can't be read or written; what is in place stays, and a second call goes on.
    """
    offsets = rows.offsets
    reached = _reached(lake, name, rows) if known is None else known
    start, last = bisect.bisect_right(offsets, reached), max(reached, offsets[-1])
    while start < len(offsets):
        name = replace(name, start_offset=offsets[start])
        data = compress(rows.lines[start:])
        if lake.write_if_absent(str(name), data):
            return Placed(1, len(data), last)
        try:
            end = _end(lake.read(str(name)), rows, start)
        except _DamagedError:
            _log.warning("%s was damaged; written again", lake.uri(str(name)))
            lake.write(str(name), data)
            return Placed(1, len(data), last)
        if end is None:
            _log.warning("%s: its name is taken by rows of an earlier topic", lake.uri(str(name)))
            name = replace(name, stream_epoch=f"again-{zlib.crc32(rows.lines[start]):08x}")
        else:
            start, last = bisect.bisect_right(offsets, end), max(last, end)
    return Placed(0, 0, last)


def _reached(lake: Lake, name: ObjectName, rows: Rows) -> int:
    """Last offset of the object that holds the first of `rows` beyond its own start; -1 if none does."""
    folder = hour_prefix(name.topic, name.hour)
    first = replace(name, start_offset=rows.offsets[0])
    stem = f"{folder}{name.partition:010d}-"
    before = [
        entry.name
        for entry in lake.list(folder, start=stem, end=str(first))
        if (parsed := parse_object(entry.name))
        and replace(parsed, start_offset=0) == replace(first, start_offset=0)
    ]
    try:
        end = _end(lake.read(before[-1]), rows, 0) if before else None
    except _DamagedError:
        return -1
    return -1 if end is None else end


def _end(data: bytes, rows: Rows, index: int) -> int | None:
    """Last offset of an object if that row is in it, by offset and time; else None."""
    wanted = rows.offsets[index]
    try:
        lines = igzip.decompress(data).rstrip(b"\n").split(b"\n")
        times = {row["offset"]: row["timestamp"] for row in map(orjson.loads, lines)}
        end = max(times)
    except (*DAMAGED, OSError, ValueError, TypeError, KeyError) as error:
        raise _DamagedError from error
    if wanted not in times or not _same_time(times[wanted], orjson.loads(rows.lines[index])["timestamp"]):
        return None
    return end


def _same_time(one: str, other: str) -> bool:
    return datetime.fromisoformat(one) == datetime.fromisoformat(other)
