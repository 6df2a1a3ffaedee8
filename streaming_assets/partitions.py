"""The hourly partitions (UTC, the lake's ingestion hours), and hour <-> key <-> range."""

from collections.abc import Iterable
from datetime import UTC, datetime

import dagster as dg

from streaming_assets.lake.names import HOUR, floor_hour
from streaming_assets.settings import Settings

KEY_FORMAT = "%Y-%m-%d-%H:00"  # Dagster's own for hours, with minutes that can't be others
Span = tuple[datetime, datetime]  # hours [start, end), UTC


def key_of(hour: datetime) -> str:
    """The partition key of the hour that holds a timezone-aware moment."""
    return hour.astimezone(UTC).strftime(KEY_FORMAT)


def hourly_partitions(first_hour: datetime) -> dg.HourlyPartitionsDefinition:
    """Hours from `first_hour` up to and including the current one, whose objects are still arriving."""
    return dg.HourlyPartitionsDefinition(
        start_date=key_of(first_hour), fmt=KEY_FORMAT, timezone="UTC", end_offset=1
    )


def hour_of(key: str) -> datetime:
    """The hour of a partition key. Raises ValueError, naming it, if it is none."""
    try:
        return datetime.strptime(key, KEY_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"{key!r} is no partition key; one looks like {key_of(datetime.now(UTC))}") from None


def spans(hours: Iterable[datetime]) -> list[Span]:
    """The contiguous spans that `hours` form, in order."""
    found: list[Span] = []
    for hour in sorted(set(hours)):
        if found and found[-1][1] == hour:
            found[-1] = (found[-1][0], hour + HOUR)
        else:
            found.append((hour, hour + HOUR))
    return found


def steps(of: Iterable[Span], hours: int) -> list[Span]:
    """Spans cut into pieces of at most `hours` hours, in their order."""
    cuts = []
    for start, end in of:
        while start < end:
            stop = min(start + hours * HOUR, end)
            cuts.append((start, stop))
            start = stop
    return cuts


def look_back(settings: Settings, now: datetime) -> Span:
    """The ingestion hours that the object sensor watches: `lookback_hours` before the present one, and that."""
    start = floor_hour(now) - settings.dagster.lookback_hours * HOUR
    return max(start, settings.first_hour), floor_hour(now) + HOUR
