"""How long Dagster's event log keeps what nobody asks for any more. Dagster itself keeps it for ever.

An hour that is run again at each object's arrival leaves a materialisation of each asset and a verdict of each check
each time. Of these the newest counts. An event that is older than the retention goes when it is

- a detail of a run, which only the run's own page shows, or
- superseded: another event of the same asset (and check) and partition came after it, and is as old as that, too.

So nothing that Dagster says of an asset, a partition or a check changes. A run of which no event of an asset or check
is left goes as a whole.

Events are looked at once, in their order, when they come of age; the cost follows what was added, not what is kept.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.events import ASSET_EVENTS, PIPELINE_EVENTS
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable as CHECKS
from dagster._core.storage.event_log.schema import AssetEventTagsTable as TAGS
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as EVENTS
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from sqlalchemy.engine import Connection

WINDOW = 2_000  # events, or verdicts, that are looked at in one go: writers wait no longer than that takes
_DELETED_AT_ONCE = 500  # rows, by their ids
_EVALUATION = dg.DagsterEventType.ASSET_CHECK_EVALUATION
_KEPT = sorted(event.value for event in {*ASSET_EVENTS, *PIPELINE_EVENTS, _EVALUATION})
_OF_ASSETS = sorted(event.value for event in {*ASSET_EVENTS, _EVALUATION})
_MATERIALISED = dg.DagsterEventType.ASSET_MATERIALIZATION.value
_PLANNED = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value
_OBSERVED = dg.DagsterEventType.ASSET_OBSERVATION.value
# An event of the first kind is superseded by a later one of the second.
_SUPERSEDES = (
    (_MATERIALISED, _MATERIALISED),
    (_OBSERVED, _OBSERVED),
    (_PLANNED, _PLANNED),
    (_PLANNED, _MATERIALISED),
)


@dataclass(frozen=True)
class Progress:
    """Up to which event and which verdict the log was looked at, by their ids."""

    event: int = 0
    verdict: int = 0

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | None) -> "Progress":
        """What `to_json` gave; the beginning if it is anything else."""
        try:
            known = json.loads(text or "")
            return cls(int(known["event"]), int(known["verdict"]))
        except (ValueError, KeyError, TypeError):
            return cls()


@dataclass(frozen=True)
class Deleted:
    """How much went."""

    events: int = 0
    verdicts: int = 0
    runs: int = 0

    def __add__(self, other: "Deleted") -> "Deleted":
        return Deleted(self.events + other.events, self.verdicts + other.verdicts, self.runs + other.runs)


def prune(instance: dg.DagsterInstance, progress: Progress, before: datetime) -> tuple[Progress, Deleted]:
    """Look at the next events and verdicts that are older than `before` (timezone-aware), and delete what may go.

    Returns:
        How far it came, which is `progress` when there is nothing left to look at; and what was deleted.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        raise TypeError(f"{type(storage).__name__} is no event log in a database of SQL")
    moment = before.astimezone(UTC).replace(tzinfo=None)
    with storage.index_connection() as connection:
        last = _end(connection, EVENTS.c.id, EVENTS.c.timestamp, progress.event, moment)
        verdict = _end(connection, CHECKS.c.id, CHECKS.c.evaluation_event_timestamp, progress.verdict, moment)
        window = sa.and_(EVENTS.c.id > progress.event, EVENTS.c.id <= last)
        runs = set(_ended_runs(connection, window))
        doomed = dict(_superseded(connection, progress.event, last))
        doomed |= dict(_details(connection, window))
        verdicts = dict(_superseded_verdicts(connection, progress.verdict, verdict))
        doomed |= {event: run for event, run in verdicts.values() if event is not None}
        runs |= set(doomed.values())
        _delete(connection, TAGS, TAGS.c.event_id, doomed)
        _delete(connection, CHECKS, CHECKS.c.id, verdicts)
        _delete(connection, EVENTS, EVENTS.c.id, doomed)
        bare = [run_id for run_id in runs if run_id and _is_bare(connection, run_id, moment)]
    deleted = sum(_delete_run(instance, run_id) for run_id in bare)
    return Progress(last, verdict), Deleted(len(doomed), len(verdicts), deleted)


def _end(connection: Connection, row: Any, timestamp: Any, after: int, before: datetime) -> int:
    """The last of the next rows, at most a window's, that are older than the moment; `after` if there is none."""
    following = sa.select(row, timestamp).where(row > after).order_by(row).limit(WINDOW)
    end = after
    for row_id, at in connection.execute(following):
        if at is not None and at >= before:
            break
        end = row_id
    return end


def _superseded(connection: Connection, after: int, last: int) -> Iterator[tuple[int, str]]:
    """Events that one of (after, last] supersedes: their ids and runs."""
    old, new = EVENTS.alias("old"), EVENTS.alias("new")
    for earlier, later in _SUPERSEDES:
        # Apart, since no index serves a comparison that takes two nulls for the same.
        for same_partition in (
            old.c.partition == new.c.partition,
            sa.and_(old.c.partition.is_(None), new.c.partition.is_(None)),
        ):
            found = (
                sa.select(old.c.id, old.c.run_id)
                .distinct()
                .select_from(new.join(old, old.c.asset_key == new.c.asset_key))
                .where(new.c.id > after, new.c.id <= last, new.c.dagster_event_type == later)
                .where(old.c.dagster_event_type == earlier, same_partition, old.c.id < new.c.id)
            )
            yield from _pairs(connection, found)


def _details(connection: Connection, window: Any) -> Iterator[tuple[int, str]]:
    kind = EVENTS.c.dagster_event_type
    found = sa.select(EVENTS.c.id, EVENTS.c.run_id).where(window, sa.or_(kind.is_(None), kind.notin_(_KEPT)))
    yield from _pairs(connection, found)


def _pairs(connection: Connection, found: sa.Select) -> list[tuple[int, str]]:
    return [(event_id, run_id) for event_id, run_id in connection.execute(found)]


def _ended_runs(connection: Connection, window: Any) -> Iterable[str]:
    ends = [
        dg.DagsterEventType.RUN_SUCCESS.value,
        dg.DagsterEventType.RUN_FAILURE.value,
        dg.DagsterEventType.RUN_CANCELED.value,
    ]
    return connection.execute(
        sa.select(EVENTS.c.run_id).where(window, EVENTS.c.dagster_event_type.in_(ends))
    ).scalars()


def _superseded_verdicts(
    connection: Connection, after: int, last: int
) -> Iterator[tuple[int, tuple[int | None, str]]]:
    """Verdicts of checks that one of (after, last] supersedes: their ids, and their events' with their runs."""
    old, new = CHECKS.alias("old"), CHECKS.alias("new")
    same = sa.and_(old.c.asset_key == new.c.asset_key, old.c.check_name == new.c.check_name)
    for same_partition in (
        old.c.partition == new.c.partition,
        sa.and_(old.c.partition.is_(None), new.c.partition.is_(None)),
    ):
        found = (
            sa.select(old.c.id, old.c.evaluation_event_storage_id, old.c.run_id)
            .distinct()
            .select_from(new.join(old, same))
            .where(new.c.id > after, new.c.id <= last, same_partition, old.c.id < new.c.id)
            .where(new.c.execution_status != AssetCheckExecutionRecordStatus.PLANNED.value)
        )
        for verdict_id, event_id, run_id in connection.execute(found):
            yield verdict_id, (event_id, run_id)


def _delete(connection: Connection, table: sa.Table, column: Any, ids: Iterable[int]) -> None:
    wanted: Sequence[int] = sorted(ids)
    for start in range(0, len(wanted), _DELETED_AT_ONCE):
        connection.execute(sa.delete(table).where(column.in_(wanted[start : start + _DELETED_AT_ONCE])))


def _is_bare(connection: Connection, run_id: str, before: datetime) -> bool:
    """Whether the run has no event of an asset or check, and none as young as the moment."""
    left = sa.select(EVENTS.c.id).where(
        EVENTS.c.run_id == run_id,
        sa.or_(EVENTS.c.dagster_event_type.in_(_OF_ASSETS), EVENTS.c.timestamp >= before),
    )
    return connection.execute(left.limit(1)).first() is None


def _delete_run(instance: dg.DagsterInstance, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    if run is None or not run.is_finished:
        return False
    instance.delete_run(run_id)
    logs = instance.compute_log_manager
    if isinstance(logs, LocalComputeLogManager):  # a bucket deletes by the age of its objects
        logs.delete_logs(prefix=[run_id])
    return True
