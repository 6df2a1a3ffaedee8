"""Putting rows in place, so that a replay folds into the objects that are there already.

An object is written once and never changed. Whoever finds its name taken (a sink that was killed between
writing and committing, or one whose partition moved on meanwhile) reads how far that object goes and writes
only what comes after, under the offset that follows. So a row is in one object, however often it is read.
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
from streaming_assets.lake.names import ObjectName
from streaming_assets.lake.store import Lake

_log = logging.getLogger(__name__)


@dataclass
class Placed:
    """What became of some rows: objects and bytes written, and the last offset that is in the lake."""

    objects: int
    bytes: int
    last_offset: int


def place(lake: Lake, name: ObjectName, rows: Rows) -> Placed:
    """Write `rows` under `name` with their own first offset, less what objects there hold already.

    Raises:
        LakeError: an object can't be read or written; what is in place stays, and a second call goes on.
    """
    offsets = rows.offsets
    start, last = 0, offsets[-1] if offsets else -1
    while start < len(offsets):
        name = replace(name, start_offset=offsets[start])
        data = compress(b"".join(rows.lines[start:]))
        if lake.write_if_absent(str(name), data):
            return Placed(1, len(data), last)
        there = _read_ends(lake.read(str(name)))
        if there is None:
            _log.warning("%s was damaged; written again", lake.uri(str(name)))
            lake.write(str(name), data)
            return Placed(1, len(data), last)
        first, last_there = there
        if not _same_time(first, orjson.loads(rows.lines[start])):
            # Another topic of that name: it was deleted and made again, and its offsets began anew.
            name = replace(name, life=f"again-{zlib.crc32(rows.lines[start]):08x}")
            _log.warning(
                "%s has the rows of an earlier topic; life %s begins", lake.uri(str(name)), name.life
            )
            continue
        start = bisect.bisect_right(offsets, last_there)
        last = max(last, last_there)
    return Placed(0, 0, last)


def _same_time(one: dict, other: dict) -> bool:
    return datetime.fromisoformat(one["timestamp"]) == datetime.fromisoformat(other["timestamp"])


def _read_ends(data: bytes) -> tuple[dict, int] | None:
    """First row and last offset of an object; None if it is damaged."""
    try:
        lines = igzip.decompress(data).rstrip(b"\n").split(b"\n")
        return orjson.loads(lines[0]), int(orjson.loads(lines[-1])["offset"])
    except (*DAMAGED, OSError, ValueError, KeyError):
        return None
