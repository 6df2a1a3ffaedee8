"""The jobs, and how a span of hours is asked of one."""

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from streaming_assets.assets.keys import LOCATIONS, SONGS, external_key
from streaming_assets.dagster_runtime.private_names import UnresolvedAssetJobDefinition
from streaming_assets.lake.names import HOUR
from streaming_assets.partitions import Span

HOURLY_JOB = "hourly"
REFERENCE_JOB = "reference"
# Tag of the hourly job's runs: another code location of the same Dagster may have a job of that name.
HOURLY = {"streaming_assets/job": HOURLY_JOB}
SHELL = {"streaming_assets/begun_by": "shell"}  # tag of a run that a shell's process executes
# Tag of a run that leaves the queue before those without it: backfills, of whoever launched them.
LIVE = {"dagster/priority": "10"}
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
            tags=HOURLY,
            description="One ingestion hour, or a range of them, from external tables to the snapshot.",
        ),
        dg.define_asset_job(
            REFERENCE_JOB,
            selection=reference,
            description="The songs and postal codes, from their source into the lake.",
        ),
    ]


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
