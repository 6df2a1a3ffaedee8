"""What Dagster's storage says now: which checks fail in which hours, which hours' last run failed, which sensors err.

All of it is read in a few queries, beside whatever runs.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg
import sqlalchemy as sa
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.events.log import EventLogEntry
from dagster._core.scheduler.instigation import InstigatorState, TickStatus
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as _Status
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._serdes import deserialize_value

_IDS_A_QUERY = 500  # below the parameters that a statement may have


@dataclass(frozen=True)
class FailingCheck:
    """A check whose last verdict, of some hours or of all, is that it failed.

    Attributes:
        key: the check's.
        partitions: the partitions that fail; none of a check without partitions.
        last: the newest failing verdict.
        at: when that was given, UTC.
    """

    key: dg.AssetCheckKey
    partitions: tuple[str, ...]
    last: dg.AssetCheckEvaluation
    at: datetime


@dataclass(frozen=True)
class LastTick:
    """How a sensor or schedule fared last. `at` is None of one that never ticked."""

    name: str
    is_on: bool
    at: datetime | None
    has_failed: bool


def failing_checks(instance: dg.DagsterInstance) -> list[FailingCheck]:
    """The checks that fail now, each with its partitions, in the order of their keys."""
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        raise TypeError(f"{type(storage).__name__} is no event log in a database of SQL")
    rows = AssetCheckExecutionsTable.c
    judged = (_Status.SUCCEEDED.value, _Status.FAILED.value)
    failed_once = sa.select(rows.asset_key, rows.check_name).distinct()
    failed_once = failed_once.where(rows.execution_status == _Status.FAILED.value)
    checks = []
    with storage.index_connection() as connection:
        for asset, name in connection.execute(failed_once).all():
            last = (
                sa.select(sa.func.max(rows.id))
                .where(rows.asset_key == asset, rows.check_name == name, rows.execution_status.in_(judged))
                .group_by(rows.partition)
            )
            failing = (
                sa.select(rows.id, rows.partition)
                .where(rows.id.in_(last), rows.execution_status == _Status.FAILED.value)
                .order_by(rows.id)
            )
            found = [(row_id, partition) for row_id, partition in connection.execute(failing)]
            asset_key = dg.AssetKey.from_db_string(asset)
            if not found or asset_key is None:
                continue
            newest = sa.select(rows.evaluation_event, rows.evaluation_event_timestamp)
            ((text, at),) = connection.execute(newest.where(rows.id == found[-1][0]))
            verdict = deserialize_value(text, EventLogEntry).get_dagster_event().asset_check_evaluation_data
            partitions = tuple(sorted({partition for _, partition in found if partition}))
            checks.append(
                FailingCheck(dg.AssetCheckKey(asset_key, name), partitions, verdict, at.replace(tzinfo=UTC))
            )
    return sorted(checks, key=lambda check: (check.key.asset_key, check.key.name))


def latest_verdicts(
    instance: dg.DagsterInstance, checks: Collection[dg.AssetCheckKey], partition: str
) -> Mapping[dg.AssetCheckKey, dg.AssetCheckEvaluation]:
    """The last verdict of each of the checks on a partition; none of one that never judged it."""
    found = instance.event_log_storage.get_latest_asset_check_execution_by_key(
        [*checks], partition_filter=PartitionKeyFilter(key=partition)
    )
    return {key: record.evaluation for key, record in found.items() if record.evaluation}


def failed_partitions(
    instance: dg.DagsterInstance, assets: Iterable[dg.AssetKey]
) -> Mapping[str, tuple[str, ...]]:
    """By failed run, the partitions of the assets that it was to make last and did not; newer runs settle older ones.

    A run that goes on, or that a person cancelled, failed nothing.
    """
    tried: dict[str, set[str]] = {}
    log = instance.event_log_storage
    for asset in assets:
        attempts = log.get_latest_asset_partition_materialization_attempts_without_materializations(asset)
        for partition, (run_id, _) in attempts.items():
            tried.setdefault(run_id, set()).add(partition)
    failed: dict[str, tuple[str, ...]] = {}
    run_ids = sorted(tried)
    for start in range(0, len(run_ids), _IDS_A_QUERY):
        ended = dg.RunsFilter(
            run_ids=run_ids[start : start + _IDS_A_QUERY], statuses=[dg.DagsterRunStatus.FAILURE]
        )
        for record in instance.get_run_records(ended):
            run_id = record.dagster_run.run_id
            failed[run_id] = tuple(sorted(tried[run_id]))
    return failed


def last_ticks(instance: dg.DagsterInstance) -> list[LastTick]:
    """The last tick of each sensor and schedule that ever ran or was switched, in the order of their names."""
    return sorted((_last_tick(instance, state) for state in _states(instance)), key=lambda tick: tick.name)


def _states(instance: dg.DagsterInstance) -> Iterable[InstigatorState]:
    """The newest code location's, where a sensor of one name was in several."""
    return {state.instigator_name: state for state in instance.all_instigator_state()}.values()


def _last_tick(instance: dg.DagsterInstance, state: InstigatorState) -> LastTick:
    ended = [TickStatus.SUCCESS, TickStatus.FAILURE, TickStatus.SKIPPED]
    ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1, statuses=ended)
    if not ticks:
        return LastTick(state.instigator_name, state.is_running, None, False)
    (tick,) = ticks
    return LastTick(
        state.instigator_name,
        state.is_running,
        datetime.fromtimestamp(tick.timestamp, UTC),
        tick.status is TickStatus.FAILURE,
    )


def last_heartbeat(instance: dg.DagsterInstance) -> datetime | None:
    """When Dagster's daemon gave its last sign of life, UTC; None if it never did."""
    beats = [beat.timestamp for beat in instance.get_daemon_heartbeats().values()]
    return datetime.fromtimestamp(max(beats), UTC) if beats else None
