"""Recorded events (JSON lines, plain or gzip) into Kafka, or into the lake by the hour of their own time."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from streaming_assets.events import BY_TOPIC, EventType
from streaming_assets.ingestion.buffer import HOUR_MS, Buffer, Slot, last_hour
from streaming_assets.ingestion.lines import data_line, dead_letter_line, fault
from streaming_assets.ingestion.packing import DAMAGED, compress, unpacked
from streaming_assets.ingestion.producer import EventProducer, RecordTooLarge
from streaming_assets.lake.names import floor_hour
from streaming_assets.lake.store import Lake

BUFFER_BYTES = 64 * 1024 * 1024  # lines at which all hours' objects are written
LONGEST_LINE = 16 * 1024 * 1024  # bytes; no reader of the lake takes a longer one


class ReplayError(Exception):
    """The recording can't be read, or its topic does not exist; the message names it and the way out."""


@dataclass
class ReplayCounts:
    """What a replay delivered.

    Attributes:
        records: lines delivered, good or not.
        faulty: those of them that are no JSON object.
        moved: those whose hour is not that of their time, since that is too early, too late or unusable (lake only).
        objects: objects that hold them (lake only).
        left_out: lines that are too long to be delivered.
    """

    records: int = 0
    left_out: int = 0
    faulty: int = 0
    moved: int = 0
    objects: int = 0

    def count(self, reason: str | None, moved: bool = False) -> None:
        """Count one line, faulty for that reason."""
        self.records += 1
        self.faulty += reason is not None
        self.moved += moved


def check_topic(topic: str) -> None:
    """Raises ReplayError, with the topics there are, if `topic` is none of them."""
    if topic not in BY_TOPIC:
        raise ReplayError(f"{topic!r} is no topic; the topics are {', '.join(BY_TOPIC)}")


class Recording:
    r"""The lines of files, one file after the other, split on \n only, without it; empty lines are left out.

    A line above `LONGEST_LINE` is left out too, and `on_long` is told its size; what is unpacked is held in pieces, so
    that a small file of one endless line costs no memory.

    Args:
        paths: plain or gzip, told apart by content.
        on_bytes: told how many bytes of the files have been read since the last call.
        on_long: told the size of a line that is too long, when `place` names it.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        on_bytes: Callable[[int], None] = lambda _: None,
        on_long: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._paths, self._on_bytes, self._on_long = paths, on_bytes, on_long
        self._path, self._number = Path(), 0

    @property
    def place(self) -> str:
        """File and number of the line that was given last."""
        return f"{self._path}, line {self._number:,}"

    def __iter__(self) -> Iterator[bytes]:
        """Raises ReplayError: a file can't be read to its end; all lines before that point have been given."""
        for path in self._paths:
            self._path, self._number = path, 0
            for line, size in _split(path, self._on_bytes):
                self._number += 1
                if size > LONGEST_LINE:
                    self._on_long(size)
                elif line := line.rstrip(b"\r"):
                    yield line


def _split(path: Path, on_bytes: Callable[[int], None]) -> Iterator[tuple[bytes, int]]:
    """Each line with its size; of one that is too long, no more than its end."""
    rest, gone = b"", 0  # the line so far: what is kept of it, and how much is not
    try:
        with open(path, "rb") as file:
            for piece in unpacked(file, on_bytes):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    yield line, gone + len(line)
                    gone = 0
                if gone + len(rest) > LONGEST_LINE:
                    rest, gone = b"", gone + len(rest)
    except OSError as error:
        raise ReplayError(f"{path}: {error.strerror or error}") from error
    except DAMAGED as error:
        raise ReplayError(f"{path}: the gzip data is cut off or damaged ({error})") from error
    if gone or rest:
        yield rest, gone + len(rest)


def replay_to_kafka(
    topic: str,
    lines: Iterable[bytes],
    producer: EventProducer,
    counts: ReplayCounts,
    on_large: Callable[[int], None] = lambda _: None,
) -> None:
    """Send each line as it is, and count it. Whatever happens, what was sent is acknowledged at the end.

    A line that is too large for a record is left out; `on_large` is told its size at once, unless it was the broker
    that refused it.

    Raises:
        DeliveryError: the broker did not take some.
        ReplayError: `lines` can't be read to their end.
    """
    try:
        for line in lines:
            try:
                producer.send(topic, line)
            except RecordTooLarge:
                counts.left_out += 1
                on_large(len(line))
            else:
                counts.count(fault(line))
    finally:
        producer.flush()
        counts.records -= producer.refused
        counts.left_out += producer.refused


def replay_epoch(topic: str, files: Sequence[Path], not_before: datetime) -> str:
    """The stream epoch of such a replay, the same for the same input. Raises ReplayError for a missing file."""
    digest = hashlib.sha256(f"{topic} {not_before.isoformat()}".encode())
    for path in files:
        try:
            with open(path, "rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise ReplayError(f"{path}: {error.strerror}") from error
    return f"replay-{digest.hexdigest()[:16]}"


def replay_to_lake(
    topic: str,
    lines: Iterable[bytes],
    lake: Lake,
    stream_epoch: str,
    not_before: datetime,
    dead_letter_topic: str,
    counts: ReplayCounts,
) -> None:
    """Write each line under the hour of its event's time, as if ingested then, but not before `not_before`.

    A line without a usable time, or with one later than the next hour, goes where the line before it went. One that is
    no JSON object is a dead letter, as it would be for the sink. Offsets count lines. The same lines and stream
    epoch give the same objects, so a repetition changes nothing.

    Raises:
        LakeError: an object can't be written.
        ReplayError: `lines` can't be read to their end; all before that point is in place.
    """
    buffer = Buffer(floor_hour(not_before))
    floor_ms = timestamp_ms = int(not_before.timestamp() * 1000)

    def write() -> None:
        for slot, rows in list(buffer.slots.items()):
            name = slot.object_name(stream_epoch, dead_letter_topic)
            # One that is there has the same rows: left alone, it looks unchanged to whoever watches the lake.
            lake.write_if_absent(str(replace(name, start_offset=rows.offsets[0])), compress(rows.lines))
            buffer.remove(slot)
            counts.objects += 1

    try:
        for offset, line in enumerate(lines):
            reason = fault(line)
            event_ms = None if reason else event_time(line, BY_TOPIC[topic])
            if event_ms is not None and event_ms // HOUR_MS <= last_hour():
                timestamp_ms = max(event_ms, floor_ms)
            counts.count(reason, moved=timestamp_ms != event_ms)
            packed = (
                data_line(line, offset, timestamp_ms)
                if reason is None
                else dead_letter_line(line, reason, topic, 0, offset, timestamp_ms)
            )
            buffer.add_line(Slot(topic, 0, timestamp_ms // HOUR_MS, reason is not None), offset, packed)
            if buffer.size >= BUFFER_BYTES:
                write()
    finally:
        write()


def event_time(line: bytes, event_type: EventType) -> int | None:
    """When an event, a JSON object, happened, ms since 1970, by its contract; None if it does not tell."""
    told = next((field for field in event_type.fields if field.name == event_type.event_time), None)
    if told is None:
        return None
    value = orjson.loads(line)
    for name in told.name.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if told.time == "iso_8601":
        value = _iso_8601_to_ms(value)
    return value if type(value) is int and value >= 0 else None


def _iso_8601_to_ms(text: object) -> int | None:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if moment is None:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
