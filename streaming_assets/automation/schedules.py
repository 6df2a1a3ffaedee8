"""The schedules: a daily reconciliation of the whole lake, a weekly look at the reference files' sources."""

import hashlib
from datetime import datetime

import dagster as dg

from streaming_assets.automation.arrivals import changed, fingerprints
from streaming_assets.automation.jobs import HOURLY_JOB, QUIET, REFERENCE_JOB, span_tags
from streaming_assets.automation.sensors import runs_in_flight
from streaming_assets.events import LAKE_TOPICS, TOPICS
from streaming_assets.lake.inventory import sort_out
from streaming_assets.lake.names import RAW, hours_between, topic_prefix
from streaming_assets.lake.store import Lake
from streaming_assets.partitions import Span, key_of, spans
from streaming_assets.resources.warehouse import Warehouse
from streaming_assets.settings import Settings


def build_reconcile_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Asks for every hour, however old, whose objects are not those that the tables were built from."""

    @dg.schedule(
        name="reconcile",
        job_name=HOURLY_JOB,
        cron_schedule="20 3 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Compares the whole lake with what the tables were built from, and asks for the hours that differ: "
        "what came too late for the object sensor, and what a crash left half done.",
    )
    def reconcile(
        context: dg.ScheduleEvaluationContext,
        lake: dg.ResourceParam[Lake],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> list[dg.RunRequest] | dg.SkipReason:
        free = spans_to_run(context, lake, warehouse, settings.first_hour)
        if not free:
            return dg.SkipReason("The tables hold what the lake holds")
        moment = hashlib.sha256(str(context.scheduled_execution_time).encode()).hexdigest()[:8]
        return [
            dg.RunRequest(
                run_key=f"reconcile-{moment}-{key_of(span[0])}", tags=span_tags(span), run_config=QUIET
            )
            for span in free
        ]

    return reconcile


def build_reference_schedule() -> dg.ScheduleDefinition:
    """Reads the reference files' sources anew each week."""
    return dg.ScheduleDefinition(
        name="reference_weekly",
        job_name=REFERENCE_JOB,
        cron_schedule="40 4 * * 1",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Reads songs and postal codes from their sources.",
    )


def spans_to_run(
    context: dg.ScheduleEvaluationContext, lake: Lake, warehouse: Warehouse, first_hour: datetime
) -> list[Span]:
    """As `stale_spans`, without the hours of unfinished runs."""
    stale = stale_spans(context, lake, warehouse, first_hour)
    busy = runs_in_flight(context.instance)
    return spans(
        hour for span in stale for hour in hours_between(*span) if not any(s <= hour < e for s, e in busy)
    )


def stale_spans(
    context: dg.ScheduleEvaluationContext, lake: Lake, warehouse: Warehouse, first_hour: datetime
) -> list[Span]:
    """The spans of hours whose objects differ from those that the tables hold; strange files are told in the log.

    Raises:
        LakeError: the lake can't be listed.
        WarehouseLocked: the warehouse is in use for longer than its lock timeout.
    """
    hours: set[datetime] = set()
    with warehouse.exclusive():
        held = warehouse.processed_hours()
    for topic in LAKE_TOPICS:
        listing = sort_out(lake, topic, lake.list(topic_prefix(topic)))
        _warn(context, "No event objects, so not read", listing.strays)
        now = fingerprints(listing.objects)
        hours |= {hour for _, hour in changed(now, held)}
    early = sorted(hour for hour in hours if hour < first_hour)
    _warn(context, f"Hours before the first partition {first_hour:%Y-%m-%dT%H:%MZ}, so not read", early)
    _warn(context, "Folders of no known topic, so not read", unknown_folders(lake))
    return spans(hours - set(early))


def unknown_folders(lake: Lake) -> list[str]:
    """Folders under `raw/` that belong to no topic and are not the project's own."""
    known = {*TOPICS, *LAKE_TOPICS, "flat_files"}
    found: dict[str, None] = {}
    start = f"{RAW}/"
    while True:
        listed = next(iter(lake.list(f"{RAW}/", start=start)), None)
        if listed is None:
            return [name for name in found if name not in known]
        name = listed.name.split("/")[1]
        found[name] = None
        start = f"{RAW}/{name}0"  # '0' follows '/': past all of the folder in one step


def _warn(context: dg.ScheduleEvaluationContext, what: str, things: list) -> None:
    if things:
        shown = ", ".join(map(str, things[:20]))
        more = f" and {len(things) - 20} more" if len(things) > 20 else ""
        context.log.warning(f"{what}: {shown}{more}")
