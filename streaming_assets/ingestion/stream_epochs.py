"""What died with a stream epoch of the embedded broker: records that it took and that the lake does not hold.

The broker writes down every 50 ms how much it has; what it took after that only its producers know.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import orjson
from isal import igzip

from streaming_assets.ingestion.broker_file import Ends, forget_ends, read_ends
from streaming_assets.ingestion.packing import DAMAGED
from streaming_assets.ingestion.sink_state import PartitionState, SinkState
from streaming_assets.lake.names import dead_letter_object, floor_hour, hour_prefix, parse_object
from streaming_assets.lake.store import Lake

_STREAM_EPOCH = re.compile(r"embedded-(\d{8}T\d{6})-")
_EPOCH = datetime.fromtimestamp(0, UTC)

_log = logging.getLogger(__name__)


def note_died(state: SinkState, current: str | None, lake: Lake, dead_letter_topic: str) -> None:
    """Add to `state` as lost what stream epochs other than `current` took, as far as sink or broker wrote it down.

    Raises:
        LakeError: the lake can't be read; what was not looked at yet is noted by the next call.
    """
    home = state.path.parent
    epochs = read_ends(home)
    if state.stream_epoch is not None:
        epochs.setdefault(state.stream_epoch, {})
    for stream_epoch, ends in epochs.items():
        if stream_epoch == current:
            continue
        known = _known(state if state.stream_epoch == stream_epoch else None, ends)
        missing = [
            (own, first, last)
            for own in known
            for first, last in _missing(own, stream_epoch, lake, dead_letter_topic)
        ]
        for own, first, last in missing:
            state.add_lost(own.topic, stream_epoch, own.partition, first, last)
            _log.error(
                "records of %s, partition %d, died with the broker: offsets %d to %d of stream epoch %s",
                *(own.topic, own.partition, first, last, stream_epoch),
            )
        if state.stream_epoch == stream_epoch:
            state.partitions.clear()
            state.stream_epoch = None
        state.write()  # before the file goes, so that nothing is forgotten
        forget_ends(home, stream_epoch)


def _known(state: SinkState | None, ends: Ends) -> list[PartitionState]:
    """Partitions of a stream epoch as the sink that read it knew them, with the ends that its broker wrote down."""
    partitions = dict(state.partitions) if state else {}
    for topic, offsets in ends.items():
        for number, end in enumerate(offsets):
            own = partitions.get((topic, number), PartitionState(topic, number))
            partitions[topic, number] = replace(own, end=max(end, own.end or 0))
    return list(partitions.values())


def _missing(
    own: PartitionState, stream_epoch: str, lake: Lake, dead_letter_topic: str
) -> Iterator[tuple[int, int]]:
    """Ranges of offsets, inclusive, between what was committed and what was known of, that no object holds."""
    known, committed = max(own.end or 0, own.position or 0), own.committed or 0
    if known <= committed:
        return
    held = sorted(_held(own, stream_epoch, committed, lake, dead_letter_topic))
    expected = committed
    for offset in [*held, known]:
        if offset > expected:
            yield expected, offset - 1
        expected = max(expected, offset + 1)


def _held(
    own: PartitionState, stream_epoch: str, committed: int, lake: Lake, dead_letter_topic: str
) -> set[int]:
    """Offsets from `committed` on that the lake has: whatever was written after a commit starts there or later."""
    begun = _STREAM_EPOCH.match(stream_epoch)
    since = datetime.strptime(begun[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) if begun else _EPOCH
    letters = dead_letter_object(dead_letter_topic, own.topic, since, own.partition, 0, stream_epoch)
    found: set[int] = set()
    for topic, named in ((own.topic, stream_epoch), (dead_letter_topic, letters.stream_epoch)):
        prefix = hour_prefix(topic, floor_hour(since))
        for entry in lake.list(prefix.rpartition("date=")[0], start=prefix):
            name = parse_object(entry.name)
            if name is None or (name.stream_epoch, name.partition) != (named, own.partition):
                continue
            if name.start_offset >= committed:
                found |= _offsets(lake.read(entry.name))
    return found


def _offsets(data: bytes) -> set[int]:
    try:
        return {orjson.loads(line)["offset"] for line in igzip.decompress(data).split(b"\n") if line}
    except (*DAMAGED, OSError, ValueError, TypeError, KeyError):
        return set()  # the object is written again as a whole, or its hour fails by name
