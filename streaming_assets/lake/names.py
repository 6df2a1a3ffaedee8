"""Names of the lake's objects, made and read. Pure functions.

An object of events: `raw/<topic>/date=YYYY-MM-DD HH:00:00+00/<partition>-<start offset>[.<epoch>].gz`,
partition with 10 digits, offset with 20. The hour is the broker's append time. A stream epoch names one existence
of a topic whose offsets start again (embedded broker, replay, simulated history); a durable cluster has none.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

RAW = "raw"
SONGS = f"{RAW}/flat_files/songs.parquet"
LOCATIONS = f"{RAW}/flat_files/locations.parquet"
SEALED = "sealed"  # holds the lines of sealed hours, outside what readers of `raw/` look at
MANIFEST = "sealed.gz"  # of a sealed hour, in its folder; sorts after the names of its objects
HOUR = timedelta(hours=1)
HEADER_PREFIX = (
    "__connect.errors."  # of the headers in which Kafka Connect tells where a dead letter came from
)
PREFIXES = 4096  # names and hours of prefixes that are remembered: each is one of many objects
TopicHour = tuple[str, datetime]  # a topic and one of its ingestion hours: one prefix

_FOLDER_FORMAT = "%Y-%m-%d %H:00:00+00"
_FOLDER = re.compile(r"date=(\d{4}-\d{2}-\d{2} \d{2}):00:00\+00")
_OBJECT = re.compile(
    rf"{RAW}/(?P<topic>[A-Za-z0-9._-]+)/(?P<folder>date=[^/]+)/"
    r"(?P<partition>\d{10})-(?P<offset>\d{20})(?:\.(?P<stream_epoch>[A-Za-z0-9_-]+))?\.gz"
)


@dataclass(frozen=True)
class ObjectName:
    """The parts of an event object's name; `hour` is timezone-aware UTC, `stream_epoch` None on a durable cluster."""

    topic: str
    hour: datetime
    partition: int
    start_offset: int
    stream_epoch: str | None = None

    def __str__(self) -> str:
        stream_epoch = f".{self.stream_epoch}" if self.stream_epoch else ""
        return f"{hour_prefix(self.topic, self.hour)}{self.partition:010d}-{self.start_offset:020d}{stream_epoch}.gz"


@dataclass(frozen=True)
class HourFolder:
    """A topic's folder of an hour, where it stands for objects that can't be listed: no partition, no stream epoch."""

    topic: str
    hour: datetime
    partition: None = None
    stream_epoch: None = None

    def __str__(self) -> str:
        return hour_prefix(self.topic, self.hour)


def dead_letter_object(
    dead_letter_topic: str, topic: str, hour: datetime, partition: int, offset: int, stream_epoch: str | None
) -> ObjectName:
    """The object of the Python sink's dead letters: topic, partition, offset and stream epoch are their source's.

    Source topic and stream epoch share the place of the stream epoch, so no two sources ever share a name.
    """
    source = f"{topic}-{stream_epoch}" if stream_epoch else topic
    return ObjectName(dead_letter_topic, hour, partition, offset, source)


def dead_letter_source(name: ObjectName) -> tuple[str, str | None] | None:
    """(source topic, source stream epoch) of such an object; None for one by Kafka Connect, whose headers tell."""
    if name.stream_epoch is None:
        return None
    topic, _, stream_epoch = name.stream_epoch.partition("-")
    return topic, stream_epoch or None


def topic_prefix(topic: str) -> str:
    """`raw/<topic>/`."""
    return f"{RAW}/{topic}/"


@lru_cache(PREFIXES)
def hour_prefix(topic: str, hour: datetime) -> str:
    """`raw/<topic>/date=<hour>/`; names of later hours sort after those of earlier ones."""
    return f"{topic_prefix(topic)}date={hour.astimezone(UTC).strftime(_FOLDER_FORMAT)}/"


def sealed_prefix(topic: str, hour: datetime) -> str:
    """`sealed/<topic>/date=<hour>/`."""
    return SEALED + hour_prefix(topic, hour).removeprefix(RAW)


def placeholder(topic: str) -> str:
    """An empty object that BigQuery needs: it can't read partitions of a prefix that holds none."""
    return f"{hour_prefix(topic, datetime.fromtimestamp(0, UTC))}empty.gz"


@lru_cache(PREFIXES)
def parse_folder(folder: str) -> datetime | None:
    """The hour of `date=YYYY-MM-DD HH:00:00+00`; None if it is no such name."""
    match = _FOLDER.fullmatch(folder)
    if match is None:
        return None
    try:
        return datetime.strptime(match[1], "%Y-%m-%d %H").replace(tzinfo=UTC)
    except ValueError:
        return None


def parse_object(name: str) -> ObjectName | None:
    """The parts of an event object's name (relative to the lake's root); None if it is none."""
    match = _OBJECT.fullmatch(name)
    if match is None:
        return None
    hour = parse_folder(match["folder"])
    if hour is None:
        return None
    return ObjectName(
        match["topic"], hour, int(match["partition"]), int(match["offset"]), match["stream_epoch"]
    )


def floor_hour(moment: datetime) -> datetime:
    """The UTC hour that holds a timezone-aware moment."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def hours_between(start: datetime, end: datetime) -> Iterator[datetime]:
    """The hours from `start` (whole hour) up to but not including `end`."""
    while start < end:
        yield start
        start += HOUR
