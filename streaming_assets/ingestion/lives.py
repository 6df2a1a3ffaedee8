"""What died with a life of the embedded broker: records that the sink knew of and that the lake does not hold.

The sink can't know what the broker took in its last moments; whoever produced that does.
"""

import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import orjson
from isal import igzip

from streaming_assets.ingestion.packing import DAMAGED
from streaming_assets.ingestion.sink_state import PartitionState, SinkState
from streaming_assets.lake.names import dead_letter_object, floor_hour, hour_prefix, parse_object
from streaming_assets.lake.store import Lake

_LIFE = re.compile(r"embedded-(\d{8}T\d{6})-")
_EPOCH = datetime.fromtimestamp(0, UTC)

_log = logging.getLogger(__name__)


def note_died(state: SinkState, lake: Lake, dead_letter_topic: str) -> None:
    """Add to `state` as lost what its life, which is over, took along; its partitions are forgotten.

    Raises:
        LakeError: the lake can't be read; nothing is noted.
    """
    missing = [
        (own, first, last)
        for own in state.partitions.values()
        for first, last in _missing(own, state.life or "", lake, dead_letter_topic)
    ]
    for own, first, last in missing:
        state.add_lost(own.topic, own.partition, first, last)
        _log.error(
            "records of %s, partition %d, died with the broker: offsets %d to %d of life %s",
            *(own.topic, own.partition, first, last, state.life),
        )
    state.partitions.clear()


def _missing(own: PartitionState, life: str, lake: Lake, dead_letter_topic: str) -> Iterator[tuple[int, int]]:
    """Ranges of offsets, inclusive, between what was committed and what was known of, that no object holds."""
    known, committed = max(own.end or 0, own.position or 0), own.committed or 0
    if known <= committed:
        return
    held = sorted(_held(own, life, committed, lake, dead_letter_topic))
    expected = committed
    for offset in [*held, known]:
        if offset > expected:
            yield expected, offset - 1
        expected = max(expected, offset + 1)


def _held(own: PartitionState, life: str, committed: int, lake: Lake, dead_letter_topic: str) -> set[int]:
    """Offsets from `committed` on that the lake has: whatever was written after a commit starts there or later."""
    begun = _LIFE.match(life)
    since = datetime.strptime(begun[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) if begun else _EPOCH
    letters = dead_letter_object(dead_letter_topic, own.topic, since, own.partition, 0, life)
    found: set[int] = set()
    for topic, named in ((own.topic, life), (dead_letter_topic, letters.life)):
        prefix = hour_prefix(topic, floor_hour(since))
        for entry in lake.list(prefix.rpartition("date=")[0], start=prefix):
            name = parse_object(entry.name)
            if name is None or (name.life, name.partition) != (named, own.partition):
                continue
            if name.start_offset >= committed:
                found |= _offsets(lake.read(entry.name))
    return found


def _offsets(data: bytes) -> set[int]:
    try:
        return {orjson.loads(line)["offset"] for line in igzip.decompress(data).split(b"\n") if line}
    except (*DAMAGED, OSError, ValueError, TypeError, KeyError):
        return set()  # the object is written again as a whole, or its hour fails by name
