"""The object sensor, which asks for the hours whose objects changed, and the one that divides failed ranges."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import dagster as dg

from streaming_assets.assets.keys import prefix_key
from streaming_assets.automation.arrivals import (
    Cursor,
    Fingerprint,
    changed,
    fingerprints,
    shrunk,
    to_look_at,
)
from streaming_assets.automation.failures import MOST_WITHOUT_SUCCESS, Cause, failure_of, to_try_next
from streaming_assets.automation.jobs import HOURLY, HOURLY_JOB, LIVE, QUIET, SHELL
from streaming_assets.automation.mending import LAST_RUNS, digest_of, hours_left_to_others, look_at, to_mend
from streaming_assets.checks.comparison import are_within, is_within, kept_since
from streaming_assets.dagster_runtime.private_names import UnresolvedAssetJobDefinition
from streaming_assets.dagster_runtime.runs import runs_in_flight, span_of, span_tags
from streaming_assets.events import LAKE_TOPICS
from streaming_assets.lake.inventory import list_topic, list_topics
from streaming_assets.lake.names import HOUR, TopicHour, floor_hour, hours_between
from streaming_assets.lake.notifications import Notifications
from streaming_assets.lake.store import Lake
from streaming_assets.partitions import Span, key_of, look_back, spans, steps
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
        # Dagster's daemon comes by every 5 s, at times a moment early: with one second less, no tick is left out.
        minimum_interval_seconds=settings.dagster.sensor_interval_seconds - 1,
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
        window = look_back(settings, now)
        cursor = Cursor.from_json(context.cursor)
        cursor = replace(cursor, series=cursor.series or uuid4().hex[:8])
        looked_at, turn = to_look_at(cursor, window)
        former, cursor = cursor, cursor if turn is None else cursor.within(looked_at)
        objects = [row for span in looked_at for row in list_topics(lake, LAKE_TOPICS, *span).objects]
        found = fingerprints(objects)
        busy = runs_in_flight(context.instance)
        look = look_at(warehouse, lake, cursor, looked_at, objects)
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
        taken = choose(news, in_the_way(runs_in_flight(context.instance, LIVE), busy, now))
        wanted = again | {hour for _, hour in taken if look is None or hour in look.not_held}
        waiting = len(news) - len(taken)
        parts = steps(spans(wanted), settings.warehouse.hours_per_step)
        requests = [request(part, f"{cursor.series}-{cursor.serial}") for part in parts]
        if not waiting and turn is None:
            notifications.settled()
        for row in objects:
            if row.error and (row.name.topic, row.name.hour) in taken:
                context.log.warning(f"{key_of(row.name.hour)}: {row.error}")
        cursor = replace(cursor, serial=cursor.serial + bool(requests), lost=lost, turn=turn)
        if turn is not None:
            cursor = cursor.with_others_of(former, looked_at)
        after = cursor.after(taken, window[0])
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
        if span is None or not run.tags.items() >= HOURLY.items():
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
        since = spans_done_since(context.instance, run)
        if are_within(span, since):
            context.log.info(f"{hours}: a later run did them")
            return
        rest = to_try_next(span, failure, is_repeat=AGAIN_TAG in run.tags)
        if not rest:
            context.log.error(f"{hours} can't be run: its failure stands until it is put right and run again")
        turn = LIVE if run.tags.items() >= LIVE.items() else {}
        for part in (part for part in rest if not are_within(part, since)):
            tags = {**turn, AGAIN_TAG: run.run_id} if part == span else {**turn, DIVIDED_TAG: root}
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


def spans_done_since(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[Span]:
    """The spans of those runs of the hourly job that began after `run` did and succeeded."""
    done = dg.RunsFilter(tags=HOURLY, statuses=[dg.DagsterRunStatus.SUCCESS])
    (failed,) = instance.get_run_records(dg.RunsFilter(run_ids=[run.run_id]))
    begun = failed.start_time or failed.create_timestamp.timestamp()
    later = [
        record
        for record in instance.get_run_records(done, limit=LAST_RUNS)
        if (record.start_time or 0) > begun
    ]
    return [span for record in later if (span := span_of(record.dagster_run)) is not None]


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


def in_the_way(live: list[Span], busy: list[Span], now: datetime) -> list[Span]:
    """The spans whose hours wait for the unfinished runs over them to end.

    Of a backfill's the newest hours do not: it may take long to reach them, and they come to the same in any order.

    Args:
        live: of the runs that leave the queue first.
        busy: of all unfinished runs.
        now: in the newest hour; objects of the one before may still come.
    """
    newest = floor_hour(now) - HOUR
    return live + [(start, min(end, newest)) for start, end in busy if start < newest]


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
