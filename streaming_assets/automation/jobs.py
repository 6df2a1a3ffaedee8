"""The jobs, and how a span of hours is asked of one."""

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from streaming_assets.assets.keys import LOCATIONS, SONGS, external_key
from streaming_assets.lake.names import HOUR
from streaming_assets.partitions import Span, hour_of, key_of

HOURLY_JOB = "hourly"
REFERENCE_JOB = "reference"
HOURS_TAG = "hours"  # for people: Dagster's own tags of a range are not shown in its list of runs
# All events are in the event log; on the console, thousands of them hide what matters.
QUIET = {"loggers": {"console": {"config": {"log_level": "INFO"}}}}
_REFERENCE_KEYS = (SONGS, LOCATIONS, external_key("songs_ext"), external_key("locations_ext"))


def build_jobs(
    hours: dg.PartitionsDefinition, apart: Sequence[dg.AssetChecksDefinition]
) -> list[UnresolvedAssetJobDefinition]:
    """`hourly`: all that is partitioned by the hour, from external tables on. `reference`: the two files.

    Args:
        hours: the partitions.
        apart: checks that are no part of an hour's work and have sensors of their own.
    """
    reference = dg.AssetSelection.assets(*_REFERENCE_KEYS)
    return [
        dg.define_asset_job(
            HOURLY_JOB,
            selection=dg.AssetSelection.all() - reference - dg.AssetSelection.checks(*apart),
            partitions_def=hours,
            description="One ingestion hour, or a range of them, from external tables to the snapshot.",
        ),
        dg.define_asset_job(
            REFERENCE_JOB,
            selection=reference,
            description="The songs and postal codes, from their source into the lake.",
        ),
    ]


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


def span_of(run: dg.DagsterRun) -> Span | None:
    """The hours that a run covers; None if it covers none."""
    first = run.tags.get(ASSET_PARTITION_RANGE_START_TAG) or run.tags.get("dagster/partition")
    last = run.tags.get(ASSET_PARTITION_RANGE_END_TAG) or first
    if first is None or last is None:
        return None
    return hour_of(first), hour_of(last) + HOUR


def checked_span(span: Span, first_hour: datetime, now: datetime) -> Span:
    """`span`, if it lies within the partitions.

    Raises:
        ValueError: it is empty, not of whole hours, or has hours that are no partitions.
    """
    start, end = (moment.astimezone(UTC) for moment in span)
    if start >= end:
        raise ValueError(
            f"the range is empty: START {start:%Y-%m-%dT%H:%MZ}, END (exclusive) {end:%Y-%m-%dT%H:%MZ}"
        )
    for moment in (start, end):
        if moment.minute or moment.second or moment.microsecond:
            raise ValueError(f"{moment.isoformat()} is no whole hour")
    if start < first_hour:
        raise ValueError(
            f"{start:%Y-%m-%dT%H:%MZ} is before the first partition, {first_hour:%Y-%m-%dT%H:%MZ}; "
            "STREAMING_ASSETS_FIRST_HOUR sets it"
        )
    if end - HOUR > now:
        raise ValueError(f"{end:%Y-%m-%dT%H:%MZ} is in the future: the newest hour is {now:%Y-%m-%dT%H:00Z}")
    return start, end
