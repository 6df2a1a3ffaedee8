"""Looks at the system: Dagster's instance, the lake's listing, the published manifest, the disk. Reads only.

The DuckDB file is left alone, since a run has it open. A part that can't be looked at is told as such, and no other
suffers for it.
"""

import json
import os
import platform
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg

from streaming_assets.assets.external_tables import BYTES_TAKEN_IN
from streaming_assets.assets.keys import SNAPSHOT, external_key, topic_key
from streaming_assets.assets.tested_hours import FAILING
from streaming_assets.automation.failures import failure_of
from streaming_assets.automation.jobs import HOURLY, HOURLY_JOB, REFERENCE_JOB
from streaming_assets.checks.comparison import is_within
from streaming_assets.checks.hourly import COUNTED, FACT, ROWS
from streaming_assets.dagster_runtime.instance import dagster_environment
from streaming_assets.dagster_runtime.runs import ENDED, IN_FLIGHT, runs_in_flight, span_of
from streaming_assets.dagster_runtime.standing import (
    failed_partitions,
    failing_checks,
    last_heartbeat,
    last_ticks,
    latest_verdicts,
)
from streaming_assets.events import LAKE_TOPICS, LAKE_TYPES
from streaming_assets.lake.factory import lake_of
from streaming_assets.lake.forgetting import People, read_people
from streaming_assets.lake.inventory import InventoryRow, list_topics
from streaming_assets.lake.names import HOUR, floor_hour, hours_between
from streaming_assets.monitoring.observed import (
    Backlog,
    Check,
    Disk,
    EndedRuns,
    Facts,
    FailedRun,
    Observed,
    Service,
    Snapshot,
)
from streaming_assets.monitoring.rules import Rules
from streaming_assets.partitions import Span, hour_of, key_of, look_back
from streaming_assets.published.manifest import Manifest, NoSnapshot
from streaming_assets.settings import Settings
from streaming_assets.warehouses.tables import STAGING

PATIENCE_SECONDS = 2.0  # for an address to answer
SINK_SILENT = timedelta(minutes=2)  # the sink writes its state every few seconds
SEEN_LAGS = 60  # observations of a topic, one a minute, that are looked at
RECENT_RUNS = 100
RUNS_ASKED = 20  # failed runs whose cause is looked for
_PACKAGES = ("streaming_assets", "dagster", "dbt-core", "duckdb")
LONGEST = 200  # characters of an error's first line that are told
T = TypeVar("T")


def observe(
    settings: Settings, rules: Rules, instance: dg.DagsterInstance | None, *, deep: bool = False
) -> Observed:
    """Look at all of it.

    Args:
        settings: of the system.
        rules: their thresholds of time.
        instance: Dagster's; None if there is none, so that nothing is known of runs, checks and facts.
        deep: whether sizes, rows and ended runs are looked at as well.
    """
    now = datetime.now(UTC)
    unseen: dict[str, str] = {}

    def look(part: str, of: Callable[[], T]) -> T | None:
        try:
            return of()
        except Exception as error:  # whatever it is, it must hide nothing else
            unseen[part] = f"{type(error).__name__}: {error}".partition("\n")[0][:LONGEST]
            return None

    def ask(part: str, of: Callable[[dg.DagsterInstance], T]) -> T | None:
        return look(part, partial(of, instance)) if instance else None

    if instance is None:
        unseen["Dagster's runs and checks"] = f"nothing was started with {settings.home} yet; `make dev` does"
    objects = look("lake", lambda: _objects(settings, now))
    hours = {row.name.hour for row in objects or ()}
    ended = now - timedelta(minutes=rules.hour_missing.minutes)
    due = {hour for hour in hours if hour + HOUR <= ended}
    silent = timedelta(minutes=rules.not_running.minutes)
    facts = ask("facts", lambda dagster: _facts(dagster, due, now))
    queued, running = ask("runs", _in_flight) or (None, None)
    return Observed(
        at=now,
        services=look("services", lambda: tuple(_services(settings, instance, now, silent))),
        sensors=ask("sensors", lambda dagster: tuple(last_ticks(dagster))),
        queued=queued,
        running=running,
        failed=ask("failed runs", lambda dagster: tuple(_failed_runs(dagster))),
        checks=ask("checks", lambda dagster: tuple(_failing(dagster))),
        backlogs=ask("sink's lag", lambda dagster: tuple(_backlogs(dagster))),
        facts=facts,
        snapshot=look("snapshot", lambda: _snapshot(settings.published_dir)),
        newest_object=max(hours, default=None),
        arrived=None if objects is None else _by_topic(objects),
        ended=ask("ended runs", lambda dagster: dict(_ended_runs(dagster))) if deep else None,
        rows=ask("rows", lambda dagster: dict(_rows(dagster, facts))) if deep else None,
        unforgotten=look("forgetting", lambda: len((read_people(lake_of(settings)) or People()).pending)),
        disk=look("disk", lambda: _disk(settings.home)),
        sizes=(deep and look("sizes", lambda: dict(_sizes(settings, instance)))) or {},
        versions={name: version(name) for name in _PACKAGES} | {"python": platform.python_version()},
        unseen=unseen,
    )


@contextmanager
def instance_of(settings: Settings) -> Iterator[dg.DagsterInstance | None]:
    """Dagster's instance: the environment's, else the home's; None where nothing ever made one."""
    for name, value in dagster_environment(settings).items():
        os.environ.setdefault(name, value)
    if not (Path(os.environ["DAGSTER_HOME"]) / "dagster.yaml").exists():
        yield None
        return
    with dg.DagsterInstance.get() as instance:
        yield instance


def _services(
    settings: Settings, instance: dg.DagsterInstance | None, now: datetime, silent: timedelta
) -> Iterator[Service]:
    beat = last_heartbeat(instance) if instance else None
    alive = beat is not None and now - beat <= silent
    said = f"last sign of life {beat:%Y-%m-%d %H:%M:%S} UTC" if beat else "it never ran"
    yield Service("daemon", alive, said)
    if settings.target != "local":  # elsewhere each has a machine of its own, whose platform looks after it
        return
    yield _answering("web server", f"http://{settings.web.bind_host}:{settings.dagster.port}/server_info")
    yield _answering(
        "dashboards' server", f"http://{settings.web.bind_host}:{settings.dashboards.port}/healthz"
    )
    if not settings.kafka.connect_url:
        yield _sink(settings.home, now)


def _answering(name: str, address: str) -> Service:
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE_SECONDS):
            return Service(name, True, address)
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        return Service(name, False, f"{address}: {getattr(reason, 'strerror', None) or reason}")


def _sink(home: Path, now: datetime) -> Service:
    """The one that wrote its state last, where several have names."""
    said = [json.loads(file.read_text())["updated_at"] for file in home.glob("sink*.json")]
    if not said:
        return Service("sink", False, "it never ran")
    at = max(map(datetime.fromisoformat, said))
    return Service("sink", now - at <= SINK_SILENT, f"last sign of life {at:%Y-%m-%d %H:%M:%S} UTC")


def _objects(settings: Settings, now: datetime) -> list[InventoryRow]:
    """Of the object sensor's look-back window."""
    listed = list_topics(lake_of(settings), LAKE_TOPICS, *look_back(settings, now))
    return [row for row in listed.objects if not row.error]


def _by_topic(objects: Iterable[InventoryRow]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = dict.fromkeys(LAKE_TOPICS, (0, 0))
    for row in objects:
        number, size = found[row.name.topic]
        found[row.name.topic] = (number + 1, size + row.size)
    return found


def _in_flight(instance: dg.DagsterInstance) -> tuple[int, int]:
    queued = instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))
    return queued, instance.get_runs_count(dg.RunsFilter(statuses=IN_FLIGHT)) - queued


def _failed_runs(instance: dg.DagsterInstance) -> Iterator[FailedRun]:
    failed = {
        run_id: {*map(hour_of, partitions)}
        for run_id, partitions in failed_partitions(instance, (FACT, SNAPSHOT)).items()
    }
    done: list[Span] = []
    # Of the newest runs those as well that made their tables and then failed, in a check or in publishing.
    recent = dg.RunsFilter(tags=HOURLY, statuses=ENDED)
    for record in instance.get_run_records(recent, limit=RECENT_RUNS):
        run, span = record.dagster_run, span_of(record.dagster_run)
        if span and run.status is dg.DagsterRunStatus.SUCCESS:
            done.append(span)
        elif span and run.status is dg.DagsterRunStatus.FAILURE:
            left = {hour for hour in hours_between(*span) if not is_within(hour, done)}
            if left:
                failed[run.run_id] = failed.get(run.run_id, set()) | left
    for number, record in (
        enumerate(instance.get_run_records(dg.RunsFilter(run_ids=[*failed]))) if failed else ()
    ):
        run = record.dagster_run
        cause = _cause(instance, run.run_id) if number < RUNS_ASKED else ""
        yield FailedRun(run.run_id, run.job_name, tuple(sorted(failed[run.run_id])), cause)
    over = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
    for record in instance.get_run_records(dg.RunsFilter(job_name=REFERENCE_JOB, statuses=over), limit=1):
        run = record.dagster_run
        if run.status is dg.DagsterRunStatus.FAILURE:
            yield FailedRun(run.run_id, run.job_name, (), _cause(instance, run.run_id))


def _cause(instance: dg.DagsterInstance, run_id: str) -> str:
    """Why it failed, without a word of its errors, which may tell of events."""
    told = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records
    return failure_of(record.event_log_entry.get_dagster_event() for record in told).value if told else ""


def _failing(instance: dg.DagsterInstance) -> Iterator[Check]:
    for found in failing_checks(instance):
        told: Any = found.last.metadata.get(FAILING)
        hours = {hour_of(partition) for partition in found.partitions}
        for first, last in told.value if told else ():
            hours.update(hours_between(hour_of(first), hour_of(last) + HOUR))
        is_grave = found.last.severity is dg.AssetCheckSeverity.ERROR
        asset = found.key.asset_key.to_user_string()
        yield Check(asset, found.key.name, tuple(sorted(hours)), is_grave, found.at)


def _backlogs(instance: dg.DagsterInstance) -> Iterator[Backlog]:
    for topic in LAKE_TOPICS:
        found = instance.fetch_observations(topic_key(topic), limit=SEEN_LAGS).records
        seen = [
            (datetime.fromtimestamp(record.timestamp, UTC), int(lag.value))  # pyright: ignore
            for record in found
            if record.asset_observation and (lag := record.asset_observation.metadata.get("lag"))
        ]
        if seen:
            yield Backlog(topic, tuple(seen))


def _facts(instance: dg.DagsterInstance, due: Collection[datetime], now: datetime) -> Facts:
    made = instance.get_latest_storage_id_by_partition(FACT, dg.DagsterEventType.ASSET_MATERIALIZATION)
    hours = {hour_of(key) for key in made}
    whole = max((hour for hour in hours if hour + HOUR <= now), default=None)
    busy = runs_in_flight(instance)
    missing = tuple(hour for hour in sorted(set(due) - hours) if not is_within(hour, busy))
    if not hours:
        return Facts(None, None, None, missing)
    newest = max(hours)
    of_newest = dg.AssetRecordsFilter(asset_key=FACT, storage_ids=[made[key_of(newest)]])
    (record,) = instance.fetch_materializations(of_newest, limit=1).records
    at = datetime.fromtimestamp(record.timestamp, UTC)
    last = _last_event(record)
    behind = max(record.timestamp - last, 0.0) if last else None
    return Facts(whole, min(newest + HOUR, at), behind, missing, tuple(_lags(instance, now)))


def _last_event(record: dg.EventLogRecord) -> float | None:
    made_of = record.asset_materialization
    last: Any = made_of.metadata.get("last_event") if made_of else None
    return last.value if last else None


def _lags(instance: dg.DagsterInstance, now: datetime) -> Iterator[tuple[int, float]]:
    """Of the runs over the current hour and the one before; one that brought no newer event tells nothing."""
    for hour in (floor_hour(now) - HOUR, floor_hour(now)):
        of_hour = dg.AssetRecordsFilter(asset_key=FACT, asset_partitions=[key_of(hour)])
        newest = 0.0
        for record in reversed(instance.fetch_materializations(of_hour, limit=SEEN_LAGS).records):
            last = _last_event(record)
            if last and last > newest:
                newest = last
                yield record.storage_id, max(record.timestamp - last, 0.0)


def _ended_runs(instance: dg.DagsterInstance) -> Iterator[tuple[str, EndedRuns]]:
    for job in (HOURLY_JOB, REFERENCE_JOB):
        by_result = {
            status.value.lower(): instance.get_runs_count(dg.RunsFilter(job_name=job, statuses=[status]))
            for status in ENDED
        }
        newest = instance.get_run_records(dg.RunsFilter(job_name=job, statuses=ENDED), limit=1)
        took = [run.end_time - run.start_time for run in newest if run.end_time and run.start_time]
        yield job, EndedRuns(by_result, took[0] if took else None)


def _rows(instance: dg.DagsterInstance, facts: Facts | None) -> Iterator[tuple[tuple[str, str], int]]:
    """As the reconciliation of each topic counted them."""
    if facts is None or facts.newest_whole_hour is None:
        return
    checks = {
        dg.AssetCheckKey(dg.AssetKey(["staging", table]), ROWS): topic for topic, table in STAGING.items()
    }
    for check, told in latest_verdicts(instance, checks, key_of(facts.newest_whole_hour)).items():
        for what, value in told.metadata.items():
            if what in COUNTED:
                yield (checks[check], what), int(value.value)  # pyright: ignore


def _snapshot(folder: Path) -> Snapshot | None:
    try:
        manifest = Manifest.read(folder)
    except NoSnapshot:
        return None
    return Snapshot(manifest.snapshot, manifest.as_of, manifest.published_at)


def _disk(home: Path) -> Disk:
    place = home
    while not place.exists():
        place = place.parent
    found = shutil.disk_usage(place)
    return Disk(found.free, found.total)


def _sizes(settings: Settings, instance: dg.DagsterInstance | None) -> Iterator[tuple[str, int]]:
    """Bytes of what lies in files here, and of the lake's objects that runs took in, as the last of them told."""
    held = [*_taken_in(instance)] if instance else []
    if held:
        yield "lake", sum(held)
    if settings.warehouse.kind == "duckdb":
        yield "warehouse", _bytes_of(settings.warehouse.file.parent.glob(f"{settings.warehouse.file.name}*"))
    if settings.dagster_home.exists():
        yield "event log", _bytes_of((settings.dagster_home / "event_log").glob("*"))
    yield "published", _bytes_of(settings.published_dir.rglob("*"))


def _taken_in(instance: dg.DagsterInstance) -> Iterator[int]:
    for event_type in LAKE_TYPES:
        table = external_key(event_type.external_table or "")
        for record in instance.fetch_materializations(table, limit=1).records:
            made_of = record.asset_materialization
            held: Any = made_of.metadata.get(BYTES_TAKEN_IN) if made_of else None
            if held:
                yield held.value


def _bytes_of(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files if file.is_file())
