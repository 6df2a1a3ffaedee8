"""Records between Kafka and the lake, by the object that they will be part of. No input or output here."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from streaming_assets.ingestion.lines import data_line, dead_letter_line, fault
from streaming_assets.lake.names import ObjectName, dead_letter_object

HOUR_MS = 3_600_000
LAST_MS = int(datetime(9999, 12, 31, 23, tzinfo=UTC).timestamp()) * 1000


def last_hour() -> int:
    """The last hour, counted since 1970, that anything is filed under: the next one, as clocks differ a little."""
    return int(time.time()) // 3600 + 1


class Slot(NamedTuple):
    """Where rows go: `hour` counts hours since 1970, UTC; `dead` rows are dead letters of the topic."""

    topic: str
    partition: int
    hour: int
    dead: bool

    @property
    def start(self) -> datetime:
        """The hour, timezone-aware."""
        return datetime.fromtimestamp(self.hour * 3600, UTC)

    def object_name(self, stream_epoch: str | None, dead_letter_topic: str) -> ObjectName:
        """The name of an object of this slot, but for its start offset."""
        if self.dead:
            return dead_letter_object(
                dead_letter_topic, self.topic, self.start, self.partition, 0, stream_epoch
            )
        return ObjectName(self.topic, self.start, self.partition, 0, stream_epoch)


@dataclass
class Rows:
    """Lines (newline included) with their offsets, both in offset order."""

    offsets: list[int] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)


class Buffer:
    """Rows by slot.

    Attributes:
        slots: the rows, by where they go.
        size: bytes of all lines.
    """

    def __init__(self, first_hour: datetime) -> None:
        self._first_hour = int(first_hour.timestamp()) // 3600
        self.slots: dict[Slot, Rows] = {}
        self.size = 0

    def add(self, topic: str, partition: int, offset: int, timestamp_ms: int, value: bytes | None) -> bool:
        """Take one record, appended at `timestamp_ms`; whether it is good (else it is a dead letter).

        One dated before the first hour goes there, where somebody looks; so does one without a time. One that is
        dated later than the next hour goes there.
        """
        if not 0 <= timestamp_ms <= LAST_MS:
            timestamp_ms = 0 if timestamp_ms < 0 else LAST_MS
        reason = fault(value)
        if reason is None:
            line = data_line(value, offset, timestamp_ms)  # pyright: ignore[reportArgumentType]
        else:
            line = dead_letter_line(value, reason, topic, partition, offset, timestamp_ms)
        hour = min(max(timestamp_ms // HOUR_MS, self._first_hour), last_hour())
        self.add_line((topic, partition, hour, reason is not None), offset, line)
        return reason is None

    def add_line(self, slot: tuple[str, int, int, bool], offset: int, line: bytes) -> None:
        """Take one line, newline included, whose offset is beyond those of the slot so far."""
        rows = self.slots.get(slot)  # pyright: ignore[reportArgumentType]  # a plain tuple is the same key
        if rows is None:
            rows = self.slots[Slot(*slot)] = Rows()
        rows.offsets.append(offset)
        rows.lines.append(line)
        self.size += len(line)

    def remove(self, slot: Slot) -> None:
        """Forget the rows of a slot."""
        self.size -= sum(map(len, self.slots.pop(slot).lines))

    def drop(self, partitions: Iterable[tuple[str, int]]) -> None:
        """Forget the rows of these (topic, partition)."""
        gone = set(partitions)
        for slot in [slot for slot in self.slots if (slot.topic, slot.partition) in gone]:
            self.remove(slot)
