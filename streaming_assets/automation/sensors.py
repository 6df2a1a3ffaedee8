"""The object sensor, which asks for the hours whose objects changed, and the one that divides failed ranges."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from streaming_assets.assets.external_tables import BAD_HOURS
from streaming_assets.assets.keys import prefix_key
from streaming_assets.automation.arrivals import Cursor, Fingerprint, TopicHour, changed, fingerprints
from streaming_assets.automation.jobs import HOURLY_JOB, QUIET, span_of, span_tags
from streaming_assets.events import LAKE_TOPICS
from streaming_assets.lake.inventory import list_topics
from streaming_assets.lake.names import HOUR, floor_hour, hours_between
from streaming_assets.lake.store import Lake
from streaming_assets.partitions import Span, hour_of, key_of, spans
from streaming_assets.resources.notifications import Notifications
from streaming_assets.resources.warehouse import Warehouse, WarehouseLocked
from streaming_assets.settings import Settings

EVENTS_PER_TICK = 300  # Dagster stores them one by one, in 3 ms each; the first look at a full window fits

AGAIN_TAG = "streaming_assets/again_after"  # run that this one repeats; it is not repeated itself

IN_FLIGHT = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def build_object_sensor(settings: Settings) -> dg.SensorDefinition:
    """Looks at the lake's look-back window and asks for a run for each contiguous span of changed hours."""

    @dg.sensor(
        name="lake_objects",
        job_name=HOURLY_JOB,
        minimum_interval_seconds=settings.sensor_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Watches objects arrive in the lake and materialises just the hours that changed.",
    )
    def lake_objects(
        context: dg.SensorEvaluationContext,
        lake: dg.ResourceParam[Lake],
        warehouse: dg.ResourceParam[Warehouse],
        notifications: dg.ResourceParam[Notifications],
    ) -> dg.SensorResult | dg.SkipReason:
        if not notifications.is_look_due():
            return dg.SkipReason("No notification of an object")
        now = datetime.now(UTC)
        window_start = max(floor_hour(now) - settings.lookback_hours * HOUR, settings.first_hour)
        window_end = floor_hour(now) + HOUR
        cursor = Cursor.from_json(context.cursor)
        found = fingerprints(list_topics(lake, LAKE_TOPICS, window_start, window_end).objects)
        news = changed(found, cursor.seen)
        busy = runs_in_flight(context.instance)
        taken = choose(news, busy)
        # The first look finds all of the window changed, most of it perhaps long in the tables (a backfill's hours).
        held = {} if cursor.seen else tables_hold(warehouse)
        wanted = changed(taken, held)
        requests = [request(span, wanted) for span in spans(hour for _, hour in wanted)]
        waiting = len(news) - len(taken)
        if not waiting:
            notifications.settled()
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else _why_nothing(waiting),
            cursor=cursor.after(taken, window_start).to_json(),
            asset_events=[arrival(*key, fingerprint) for key, fingerprint in taken.items()],
        )

    return lake_objects


def build_failed_run_sensor(hourly: UnresolvedAssetJobDefinition) -> dg.SensorDefinition:
    """Asks again for what a failed run of the hourly job kept from the tables through no fault of its own."""

    @dg.run_failure_sensor(
        name="failed_hours",
        monitored_jobs=[hourly],
        request_job=hourly,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="After a failure, asks once more for the hours that unreadable objects of other hours, or the "
        "death of the process, kept back; and as long as it takes for those that found the warehouse in use.",
    )
    def failed_hours(context: dg.RunFailureSensorContext) -> Iterator[dg.RunRequest]:
        run = context.dagster_run
        span = span_of(run)
        failures = context.get_step_failure_events()
        locked_out = was_locked_out(failures)
        if span is None or (AGAIN_TAG in run.tags and not locked_out):
            return
        has_failed_step = bool(failures) and not locked_out
        for again in ask_again(span, unreadable_hours(failures), has_failed_step):
            yield dg.RunRequest(
                run_key=f"{run.run_id}-{key_of(again[0])}",
                tags={**span_tags(again), AGAIN_TAG: run.run_id},
                run_config=QUIET,
            )

    return failed_hours


def ask_again(span: Span, unreadable: set[datetime], has_failed_step: bool) -> list[Span]:
    """The spans to run once more: around unreadable hours; all of it if no step failed, so the process died."""
    if unreadable:
        return spans(hour for hour in hours_between(*span) if hour not in unreadable)
    return [] if has_failed_step else [span]


def unreadable_hours(events: Iterable[dg.DagsterEvent]) -> set[datetime]:
    """The hours that steps failed over because of their objects."""
    keys: set[datetime] = set()
    for event in events:
        failure = event.step_failure_data.user_failure_data if event.is_step_failure else None
        listed = failure.metadata[BAD_HOURS].value if failure and BAD_HOURS in failure.metadata else []
        keys |= {hour_of(str(key)) for key in listed} if isinstance(listed, list) else set()
    return keys


def was_locked_out(events: Iterable[dg.DagsterEvent]) -> bool:
    """Whether a step failed because somebody else held the warehouse: its hours are as good as before."""
    for event in events:
        error = event.step_failure_data.error if event.is_step_failure else None
        while error is not None:
            if error.cls_name == WarehouseLocked.__name__:
                return True
            error = error.cause
    return False


def tables_hold(warehouse: Warehouse) -> dict[TopicHour, Fingerprint]:
    """The objects that the tables were built from; nothing if the warehouse is in use or not there yet."""
    if not warehouse.is_there():
        return {}
    try:
        with warehouse.exclusive(timeout=0):
            return warehouse.processed_hours()
    except WarehouseLocked:
        return {}


def runs_in_flight(instance: dg.DagsterInstance) -> list[Span]:
    """The spans of hours that unfinished runs cover."""
    records = instance.get_run_records(dg.RunsFilter(statuses=IN_FLIGHT))
    covered = (span_of(record.dagster_run) for record in records)
    return [span for span in covered if span is not None]


def choose(news: Mapping[TopicHour, Fingerprint], busy: list[Span]) -> dict[TopicHour, Fingerprint]:
    """What this tick takes: whole hours, the oldest first, none that an unfinished run covers, and not too many."""
    taken: dict[TopicHour, Fingerprint] = {}
    for hour in sorted({hour for _, hour in news}):
        of_hour = {key: value for key, value in news.items() if key[1] == hour}
        if any(start <= hour < end for start, end in busy):
            continue
        if taken and len(taken) + len(of_hour) > EVENTS_PER_TICK:
            break
        taken |= of_hour
    return taken


def request(span: Span, taken: Mapping[TopicHour, Fingerprint]) -> dg.RunRequest:
    """A run over the span; the same objects give the same run key, so a repeated tick starts no second run."""
    start, end = span
    state = sorted(
        (topic, key_of(hour), *value) for (topic, hour), value in taken.items() if start <= hour < end
    )
    digest = hashlib.sha256(repr(state).encode()).hexdigest()[:16]
    return dg.RunRequest(
        run_key=f"{key_of(start)}+{(end - start) // HOUR}h-{digest}", tags=span_tags(span), run_config=QUIET
    )


def arrival(topic: str, hour: datetime, fingerprint: Fingerprint) -> dg.AssetMaterialization:
    """The event by which a prefix's partition is seen to have changed."""
    objects, size, generation = fingerprint
    return dg.AssetMaterialization(
        asset_key=prefix_key(topic),
        partition=key_of(hour),
        metadata={"objects": objects, "bytes": size, "newest_generation": str(generation)},
    )


def _why_nothing(waiting: int) -> str:
    if waiting:
        return f"{waiting} changed prefixes wait for the runs over their hours to end"
    return "No object changed"
