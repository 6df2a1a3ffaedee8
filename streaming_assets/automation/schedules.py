"""The schedules: a daily reconciliation of the whole lake, before it the expiry of personal fields if a contract asks
for it, sealing of old hours each day if that is asked for, a weekly look at the reference files' sources.
"""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

import dagster as dg

from streaming_assets.automation.jobs import HOURLY_JOB, QUIET, REFERENCE_JOB
from streaming_assets.automation.sealing import NotSealed, rewriting, seal
from streaming_assets.checks.comparison import Comparison, compare
from streaming_assets.checks.lake import report
from streaming_assets.dagster_runtime.runs import runs_in_flight, span_tags
from streaming_assets.events import EVENT_TYPES
from streaming_assets.lake.expiry import expire
from streaming_assets.lake.factory import lake_of
from streaming_assets.lake.names import TopicHour
from streaming_assets.lake.store import Lake, LakeError
from streaming_assets.partitions import key_of, spans, steps
from streaming_assets.settings import Settings
from streaming_assets.warehouses.warehouse import Warehouse, WarehouseLocked, WarehouseOutdated

WAIT_SECONDS = 30  # that the schedule's tick waits for the warehouse; Dagster gives it a minute in all


def build_reconcile_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Asks for every hour, however old, that the tables do not hold as the lake does."""

    @dg.schedule(
        name="reconcile",
        job_name=HOURLY_JOB,
        cron_schedule="20 3 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Holds the whole lake to the tables, and these to it, and asks for the hours that differ: "
        "what came too late for the object sensor, what a crash left half done, what somebody emptied.",
    )
    def reconcile(
        context: dg.ScheduleEvaluationContext,
        lake: dg.ResourceParam[Lake],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> list[dg.RunRequest] | dg.SkipReason:
        found = compare(lake, warehouse, settings, runs_in_flight(context.instance), WAIT_SECONDS)
        tell(context.log.warning, found)
        report(context.instance, found)
        # A live hour waits for the end of one of these, so none is without a bound.
        free = steps(spans(found.to_run), settings.warehouse.hours_per_step)
        if not free:
            return dg.SkipReason("; ".join(found.summary()))
        moment = hashlib.sha256(str(context.scheduled_execution_time).encode()).hexdigest()[:8]
        return [
            dg.RunRequest(
                run_key=f"reconcile-{moment}-{key_of(span[0])}", tags=span_tags(span), run_config=QUIET
            )
            for span in free
        ]

    return reconcile


def build_seal_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Seals the hours that are old enough. Its run takes the warehouse in short turns, and no place in its pool."""
    days = settings.lake.seal_after_days

    @dg.op(description=f"Makes one file of an hour's small objects of a topic, {days} days after its end.")
    def seal_hours(context: dg.OpExecutionContext) -> None:
        try:
            done = seal(settings, days, context.log.info)
        except (NotSealed, LakeError, WarehouseLocked, WarehouseOutdated) as error:
            raise dg.Failure(f"{error}; every hour is whole, and the next run goes on") from error
        found = {
            "hours": done.hours,
            "objects": done.objects,
            "bytes": done.size,
            "sealed_bytes": done.sealed_size,
        }
        context.add_output_metadata(found)
        if done.faults:
            raise dg.Failure("\n".join(done.faults), metadata=found)

    about = "Old hours' small objects, made one file a topic and hour; tables stay as they are."
    job = dg.GraphDefinition("seal", node_defs=[seal_hours]).to_job(description=about)
    return _daily("10 5 * * *", job, "Seals hours that ended long enough ago.")


def build_expiry_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Takes personal fields that contracts keep no longer out of the lake, before the reconciliation looks at it."""

    @dg.op(description="Writes objects anew without the personal fields whose retention_days are over.")
    def expire_fields(context: dg.OpExecutionContext) -> None:
        try:
            with rewriting(settings, NotSealed):
                rewritten, faults = expire(lake_of(settings), datetime.now(UTC), EVENT_TYPES)
        except (NotSealed, LakeError) as error:
            raise dg.Failure(f"{error}; the next run goes on") from error
        context.add_output_metadata({"objects": rewritten})
        if faults:
            raise dg.Failure("\n".join(faults[:20]), metadata={"objects": rewritten, "faults": len(faults)})

    about = "Personal fields whose retention_days are over leave the lake; reconcile then runs their hours."
    job = dg.GraphDefinition("expiry", node_defs=[expire_fields]).to_job(description=about)
    return _daily("50 2 * * *", job, "Takes expired personal fields out of the lake.")


def _daily(cron: str, job: dg.JobDefinition, description: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=job.name,
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )


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


def tell(log: Callable[[str], None], found: Comparison) -> None:
    """Say what a comparison found that no run will put right."""
    for what, things in (
        ("No event objects, so not read", found.strays),
        ("Hours that are no partitions, so not read", [f"{hour:%Y-%m-%dT%H:%MZ}" for hour in found.outside]),
        ("Folders of no known topic, so not read", found.unknown_folders),
        (
            "Rows that the lake lost, the hours left alone",
            [f"{_named(key)}: {said}" for key, said in found.lost.items()],
        ),
        (
            "Hours wholly in quarantine",
            [f"{_named(key)}, {rows:,} rows" for key, rows in found.quarantined.items()],
        ),
    ):
        if things:
            shown = ", ".join(things[:20])
            more = f" and {len(things) - 20} more" if len(things) > 20 else ""
            log(f"{what}: {shown}{more}")


def _named(key: TopicHour) -> str:
    return f"{key[0]} of {key[1]:%Y-%m-%dT%H:%MZ}"
