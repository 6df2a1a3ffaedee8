"""The object sensor, which asks for the hours whose objects changed, and the one that divides failed ranges."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import dagster as dg

from streaming_assets.assets.keys import prefix_key
from streaming_assets.automation.arrivals import Cursor, Fingerprint, changed, fingerprints, shrunk
from streaming_assets.automation.failures import MOST_WITHOUT_SUCCESS, Cause, failure_of, to_try_next
from streaming_assets.automation.jobs import HOURLY_JOB, LIVE, QUIET, SHELL
from streaming_assets.automation.mending import digest_of, hours_left_to_others, look_at, to_mend
from streaming_assets.checks.comparison import is_within, kept_since
from streaming_assets.dagster_runtime.private_names import UnresolvedAssetJobDefinition
from streaming_assets.dagster_runtime.runs import runs_in_flight, span_of, span_tags
from streaming_assets.events import LAKE_TOPICS
from streaming_assets.lake.inventory import list_topic, list_topics
from streaming_assets.lake.names import HOUR, TopicHour, floor_hour, hours_between
from streaming_assets.lake.notifications import Notifications
from streaming_assets.lake.store import Lake
from streaming_assets.partitions import Span, key_of, spans
from streaming_assets.settings import Settings
from streaming_assets.warehouses.warehouse import Warehouse

EVENTS_PER_TICK = 300  # Dagster stores them one by one, in 3 ms each; the first look at a full window fits

AGAIN_TAG = "streaming_assets/again_after"  # run that this one repeats, all its hours
DIVIDED_TAG = "streaming_assets/divided_from"  # first run of those whose hours were divided until here


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
        window = (
            max(floor_hour(now) - settings.lookback_hours * HOUR, settings.first_hour),
            floor_hour(now) + HOUR,
        )
        cursor = Cursor.from_json(context.cursor)
        cursor = replace(cursor, series=cursor.series or uuid4().hex[:8])
        objects = list_topics(lake, LAKE_TOPICS, *window).objects
        found = fingerprints(objects)
        busy = runs_in_flight(context.instance)
        look = look_at(warehouse, lake, cursor, window, objects)
        if look and cursor.generation not in (None, look.generation):
            return _rebuild(context, lake, kept_since(settings, warehouse, now), cursor, found, busy)
        again: set[datetime] = set()
        if look is None:
            lost = {**cursor.lost, **dict.fromkeys(shrunk(found, cursor.seen), "")}
        else:
            lost = {hour: digest_of(hour, found) for hour in look.lost}
            again = to_mend(look, cursor, found, busy)
            again -= hours_left_to_others(context.instance, again)
            for hour in sorted(again):
                context.log.warning(f"{key_of(hour)} is asked for again: {'; '.join(look.not_held[hour])}")
            mended = look.still_lacking(cursor.mended) | look.lacking(again)
            cursor = replace(cursor, generation=look.generation, stamp=look.stamp, mended=mended)
        # The cursor keeps what it knew of hours that lost objects: others that come don't make up for these.
        news = {key: value for key, value in changed(found, cursor.seen).items() if key[1] not in lost}
        taken = choose(news, busy)
        wanted = again | {hour for _, hour in taken if look is None or hour in look.not_held}
        waiting = len(news) - len(taken)
        requests = [request(span, f"{cursor.series}-{cursor.serial}") for span in spans(wanted)]
        if not waiting:
            notifications.settled()
        for row in objects:
            if row.error and (row.name.topic, row.name.hour) in taken:
                context.log.warning(f"{key_of(row.name.hour)}: {row.error}")
        after = replace(cursor, serial=cursor.serial + bool(requests), lost=lost).after(taken, window[0])
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else _why_nothing(waiting),
            cursor=after.to_json(),
            asset_events=[arrival(*key, fingerprint) for key, fingerprint in taken.items()],
        )

    return lake_objects


def build_failed_run_sensor(hourly: UnresolvedAssetJobDefinition) -> dg.SensorDefinition:
    """Asks again for what a failed run of the hourly job kept from the tables through no fault of its own."""

    @dg.run_failure_sensor(
        name="failed_hours",
        monitor_all_code_locations=True,  # a shell's runs are of none
        request_job=hourly,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="After a failure, asks for the two halves of its hours, until single ones are left. A run whose "
        "process died, a shell's as well, is repeated once before, and one that found the warehouse in use as long as "
        "it takes. A fault of the surroundings (disk, network, access) divides nothing.",
    )
    def failed_hours(context: dg.RunFailureSensorContext) -> Iterator[dg.RunRequest]:
        run = context.dagster_run
        span = span_of(run)
        if span is None or run.job_name != HOURLY_JOB:
            return
        told_by_itself = context.failure_event.event_specific_data is not None
        if run.tags.items() >= SHELL.items() and told_by_itself:
            return  # the shell lives, and divides its hours itself; or a person ended it
        failure = failure_of(context.get_step_failure_events())
        hours = f"{key_of(span[0])} to {key_of(span[1])}"
        root = run.tags.get(DIVIDED_TAG, run.run_id)
        if failure is Cause.SURROUNDINGS:
            context.log.error(
                f"{hours}: a fault of the surroundings, not of an hour; not tried again by itself"
            )
            return
        if failure is not Cause.LOCKED and is_hopeless(context.instance, root):
            context.log.error(
                f"{hours}: all its parts failed so far; what is left is not divided any further"
            )
            return
        rest = to_try_next(span, failure, is_repeat=AGAIN_TAG in run.tags)
        if not rest:
            context.log.error(f"{hours} can't be run: its failure stands until it is put right and run again")
        for part in rest:
            tags = {AGAIN_TAG: run.run_id} if part == span else {DIVIDED_TAG: root}
            yield dg.RunRequest(
                run_key=f"{run.run_id}-{key_of(part[0])}", tags={**span_tags(part), **tags}, run_config=QUIET
            )

    return failed_hours


def is_hopeless(instance: dg.DagsterInstance, root: str) -> bool:
    """Whether so many parts of a run's span failed, and none succeeded, that it is no matter of hours."""

    def count(status: dg.DagsterRunStatus) -> int:
        return instance.get_runs_count(dg.RunsFilter(tags={DIVIDED_TAG: root}, statuses=[status]))

    failed = count(dg.DagsterRunStatus.FAILURE)
    return failed + 1 >= MOST_WITHOUT_SUCCESS and not count(dg.DagsterRunStatus.SUCCESS)


def _rebuild(
    context: dg.SensorEvaluationContext,
    lake: Lake,
    first_hour: datetime,
    cursor: Cursor,
    found: Mapping[TopicHour, Fingerprint],
    busy: list[Span],
) -> dg.SensorResult:
    """Ask for the whole lake: the warehouse is not the one that the cursor knows, so its tables lack all of it.

    One run, from the first hour with objects to the last: of several, the first would publish half of what there was.
    """
    listed = {row.name.hour for topic in LAKE_TOPICS for row in list_topic(lake, topic).objects}
    hours = {hour for hour in listed if first_hour <= hour <= datetime.now(UTC)}
    context.log.warning(
        f"The warehouse is gone or another one: all {len(hours):,} hours of the lake are asked for"
    )
    whole = hours_between(min(hours), max(hours) + HOUR) if hours else ()
    wanted = spans(hour for hour in whole if not is_within(hour, busy))
    requests = [request(span, f"{cursor.series}-{cursor.serial}", tags={}) for span in wanted]
    after = Cursor(seen=found, series=cursor.series, serial=cursor.serial + 1)
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else "The warehouse is gone or another one, and the lake has no hours",
        cursor=after.to_json(),
    )


def choose(news: Mapping[TopicHour, Fingerprint], busy: list[Span]) -> dict[TopicHour, Fingerprint]:
    """What this tick takes: whole hours, the oldest first, none that an unfinished run covers, and not too many."""
    taken: dict[TopicHour, Fingerprint] = {}
    for hour in sorted({hour for _, hour in news}):
        of_hour = {key: value for key, value in news.items() if key[1] == hour}
        if is_within(hour, busy):
            continue
        if taken and len(taken) + len(of_hour) > EVENTS_PER_TICK:
            break
        taken |= of_hour
    return taken


def request(span: Span, asked: str, tags: Mapping[str, str] = LIVE) -> dg.RunRequest:
    """A run over the span, before what waits in the queue of backfills.

    Args:
        span: the hours.
        asked: names the cursor and how often it asked before, so that a tick which is repeated, its cursor not having
            been kept, starts no second run, and all others do, even if the same objects are there again.
        tags: of the run, beside those of its span.
    """
    start, end = span
    return dg.RunRequest(
        run_key=f"{key_of(start)}+{(end - start) // HOUR}h-{asked}",
        tags={**span_tags(span), **tags},
        run_config=QUIET,
    )


def arrival(topic: str, hour: datetime, fingerprint: Fingerprint) -> dg.AssetMaterialization:
    """The event by which a prefix's partition is seen to have changed."""
    objects, size, digest = fingerprint
    return dg.AssetMaterialization(
        asset_key=prefix_key(topic),
        partition=key_of(hour),
        metadata={"objects": objects, "bytes": size, "fingerprint": digest},
    )


def _why_nothing(waiting: int) -> str:
    if waiting:
        return f"{waiting} changed prefixes wait for the runs over their hours to end"
    return "No object changed"
