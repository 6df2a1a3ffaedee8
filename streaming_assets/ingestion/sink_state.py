"""What a sink has done, for its log line and for `HOME/sink.json`, which Dagster reads."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from streaming_assets.files import replaced

LOST_RANGES = 1000  # the newest that the file keeps; `lost` counts all


@dataclass
class LostRange:
    """Offsets `first` to `last`, inclusive, that the broker dropped, or that died with it."""

    topic: str
    stream_epoch: str | None
    partition: int
    first: int
    last: int
    noticed_at: str


@dataclass
class PartitionState:
    """Offsets: next to read, next after what is in the lake, the broker's next; None while unknown."""

    topic: str
    partition: int
    position: int | None = None
    committed: int | None = None
    end: int | None = None

    @property
    def lag(self) -> int:
        """Records that the broker has and the lake has not."""
        return max((self.end or 0) - (self.committed or 0), 0)


@dataclass
class SinkState:
    """Counts since the start of this sink.

    `lost_ranges` outlive it; stream epoch and partitions tell the next one how far it was.
    """

    path: Path
    stream_epoch: str | None = None
    records: int = 0
    bytes_read: int = 0
    objects: int = 0
    bytes_written: int = 0
    dead_letters: int = 0
    lost: int = 0
    error: str | None = None
    partitions: dict[tuple[str, int], PartitionState] = field(default_factory=dict)
    lost_ranges: list[LostRange] = field(default_factory=list)

    def __post_init__(self) -> None:
        try:
            # The key had another name in files of earlier versions.
            document = json.loads(self.path.read_text().replace('"life":', '"stream_epoch":'))
            self.lost_ranges = [LostRange(**entry) for entry in document["lost_ranges"]]
            former = [
                PartitionState(**{name: entry[name] for name in PartitionState.__dataclass_fields__})
                for entry in document["partitions"]
            ]
            if self.stream_epoch is None:
                self.stream_epoch = document["stream_epoch"]
                self.partitions = {(one.topic, one.partition): one for one in former}
        except (OSError, ValueError, TypeError, KeyError):
            pass

    def add_lost(self, topic: str, stream_epoch: str | None, partition: int, first: int, last: int) -> None:
        """Note that these offsets were in the broker and will never be in the lake."""
        self.lost += last - first + 1
        self.lost_ranges.append(LostRange(topic, stream_epoch, partition, first, last, _now()))
        del self.lost_ranges[:-LOST_RANGES]

    @property
    def lag(self) -> int:
        """Records that the broker has and the lake has not, over this sink's partitions."""
        return sum(partition.lag for partition in self.partitions.values())

    def __str__(self) -> str:
        problem = f", error: {self.error}" if self.error else ""
        return (
            f"{self.records:,} records, {self.bytes_read / 1e6:,.1f} MB read, {self.objects:,} objects, "
            f"{self.bytes_written / 1e6:,.1f} MB written, lag {self.lag:,}, "
            f"{self.dead_letters:,} dead letters, {self.lost:,} lost{problem}"
        )

    def write(self) -> None:
        """Put the file in place, seen whole or not at all."""
        document = {
            "updated_at": _now(),
            "pid": os.getpid(),
            "stream_epoch": self.stream_epoch,
            "records": self.records,
            "bytes_read": self.bytes_read,
            "objects": self.objects,
            "bytes_written": self.bytes_written,
            "dead_letters": self.dead_letters,
            "lost": self.lost,
            "lag": self.lag,
            "error": self.error,
            "partitions": [asdict(p) | {"lag": p.lag} for p in _sorted(self.partitions.values())],
            "lost_ranges": [asdict(lost) for lost in self.lost_ranges],
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replaced(self.path) as incoming:
            incoming.write_text(json.dumps(document, indent=1))


def _sorted(partitions: Iterable[PartitionState]) -> list[PartitionState]:
    return sorted(partitions, key=lambda partition: (partition.topic, partition.partition))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
