"""Which hours a run covers: said in its tags, and read from them."""

from collections.abc import Mapping
from datetime import UTC

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from streaming_assets.lake.names import HOUR
from streaming_assets.partitions import Span, hour_of, key_of

HOURS_TAG = "hours"  # for people: Dagster's own tags of a range are not shown in its list of runs
IN_FLIGHT = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def span_tags(span: Span) -> dict[str, str]:
    """The tags by which a run covers the hours of `span`, and by which the list of runs shows them."""
    start, end = span
    return {
        ASSET_PARTITION_RANGE_START_TAG: key_of(start),
        ASSET_PARTITION_RANGE_END_TAG: key_of(end - HOUR),
        HOURS_TAG: in_words(span),
    }


def in_words(span: Span) -> str:
    """A span as a person reads it: `2026-11-26 14:00 to 16:00 UTC, 2 h`."""
    start, end = (moment.astimezone(UTC) for moment in span)
    until = f"{end:%H:%M}" if start.date() == end.date() else f"{end:%Y-%m-%d %H:%M}"
    return f"{start:%Y-%m-%d %H:%M} to {until} UTC, {(end - start) // HOUR:,} h"


def partitions_of(tags: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The keys of the first and the last partition that a run with these tags covers; None if it covers none."""
    first = tags.get(ASSET_PARTITION_RANGE_START_TAG) or tags.get("dagster/partition")
    return first, tags.get(ASSET_PARTITION_RANGE_END_TAG) or first


def span_of(run: dg.DagsterRun) -> Span | None:
    """The hours that a run covers; None if it covers none: other graphs of the same Dagster have other partitions."""
    first, last = partitions_of(run.tags)
    if first is None or last is None:
        return None
    try:
        return hour_of(first), hour_of(last) + HOUR
    except ValueError:
        return None


def runs_in_flight(instance: dg.DagsterInstance, tags: Mapping[str, str] | None = None) -> list[Span]:
    """The spans of hours that unfinished runs cover, of those with `tags`."""
    records = instance.get_run_records(dg.RunsFilter(statuses=IN_FLIGHT, tags=tags))
    covered = (span_of(record.dagster_run) for record in records)
    return [span for span in covered if span is not None]
