"""The sensor that keeps Dagster's event log from growing for ever."""

import time
from datetime import UTC, datetime, timedelta

import dagster as dg

from streaming_assets.dagster_runtime.retention import Deleted, Progress, prune
from streaming_assets.settings import Settings

INTERVAL_SECONDS = 300
WORK_SECONDS = 20.0  # of a tick, which Dagster gives a minute


def build_retention_sensor(settings: Settings) -> dg.SensorDefinition:
    """Deletes events that nobody asks for any more; what Dagster says of assets, hours and checks stays."""
    kept = timedelta(hours=settings.dagster.event_retention_hours or 0)

    @dg.sensor(
        name="retention",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Deletes from Dagster's log what is older than {kept / timedelta(hours=1):g} h and superseded by "
        "a newer event of the same asset, check and hour, and details of runs. It asks for no runs.",
    )
    def retention(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        before = datetime.now(UTC) - kept
        progress, deleted = Progress.from_json(context.cursor), Deleted()
        until = time.monotonic() + WORK_SECONDS
        while time.monotonic() < until:
            after, more = prune(context.instance, progress, before)
            deleted += more
            if after == progress:
                break
            progress = after
        context.update_cursor(progress.to_json())
        return dg.SkipReason(
            f"From before {before:%Y-%m-%d %H:%M} UTC deleted: {deleted.events:,} events, "
            f"{deleted.verdicts:,} verdicts of checks, {deleted.runs:,} runs"
        )

    return retention
