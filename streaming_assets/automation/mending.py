"""The object sensor's looks at the tables: what they lack although it was asked for, and what the lake lost."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import dagster as dg

from streaming_assets.automation.arrivals import Cursor, Fingerprint, changed, fingerprints
from streaming_assets.automation.jobs import HOURLY
from streaming_assets.checks.comparison import Contents, is_within, judge_all, not_held
from streaming_assets.dagster_runtime.runs import ENDED, span_of
from streaming_assets.lake.inventory import InventoryRow, by_hour
from streaming_assets.lake.names import TopicHour
from streaming_assets.lake.store import Lake
from streaming_assets.partitions import Span
from streaming_assets.warehouses.holding import Tables, joined, look_at_tables
from streaming_assets.warehouses.warehouse import Warehouse, WarehouseLocked

CONTENT_BYTES = 256 * 2**20  # that a look reads to see whether objects written anew are the same
LAST_RUNS = 500  # ended runs in which an hour's last one is looked for


@dataclass(frozen=True)
class Look:
    """What a look at the tables told of the window.

    Attributes:
        generation: the warehouse's; None where nothing was ever built.
        stamp: the warehouse's, at the end of the look.
        not_held: the hours that the tables do not hold as the lake does, and why.
        lost: hours of which the lake lost objects whose rows the tables hold.
    """

    generation: str | None
    stamp: str | None
    not_held: Mapping[datetime, tuple[str, ...]]
    lost: frozenset[datetime]

    def lacking(self, hours: Iterable[datetime]) -> dict[datetime, str]:
        """A digest of what each of the hours lacks."""
        return {hour: _digest(self.not_held[hour]) for hour in hours}

    def still_lacking(self, mended: Mapping[datetime, str]) -> dict[datetime, str]:
        """`mended` without the hours that are held by now."""
        return {hour: said for hour, said in mended.items() if hour in self.not_held}


def look_at(
    warehouse: Warehouse, lake: Lake, cursor: Cursor, looked_at: Sequence[Span], objects: list[InventoryRow]
) -> Look | None:
    """Hold the `objects` of some hours to the tables, unless nothing changed on either side that a look would tell of.

    Nobody is waited for: None as well if the warehouse is in use; a later tick looks then.
    """
    stamp = warehouse.stamp()
    if stamp is None:
        return _judged(Tables(), None, objects, Contents(lake))
    found = fingerprints(objects)
    if stamp == cursor.stamp and all(digest_of(hour, found) == said for hour, said in cursor.lost.items()):
        return None
    contents = Contents(lake, CONTENT_BYTES)
    try:
        with warehouse.looking(timeout=0):
            parts = [look_at_tables(warehouse, span, deep=warehouse.asks_freely) for span in looked_at]
            judged = _judged(joined(parts), None, objects, contents)
            contents.note(warehouse)
            return replace(judged, stamp=warehouse.stamp())
    except WarehouseLocked:
        return None


def to_mend(
    look: Look, cursor: Cursor, found: Mapping[TopicHour, Fingerprint], busy: list[Span]
) -> set[datetime]:
    """Hours that were asked for before, did not change since, and are not held: once for each thing that they lack."""
    if look.generation is None:
        return set()  # where nothing was ever built, nothing was lost
    asked = {hour for _, hour in cursor.seen} - {hour for _, hour in changed(found, cursor.seen)}
    return {
        hour
        for hour, digest in look.lacking(asked & look.not_held.keys()).items()
        if not is_within(hour, busy) and cursor.mended.get(hour) != digest
    }


def hours_left_to_others(instance: dg.DagsterInstance, hours: set[datetime]) -> set[datetime]:
    """Of `hours` those whose last run failed, which `failed_hours` sees to, or was cancelled, which a person meant."""
    if not hours:
        return set()
    ended = instance.get_run_records(dg.RunsFilter(tags=HOURLY, statuses=ENDED), limit=LAST_RUNS)
    last: dict[datetime, dg.DagsterRunStatus] = {}
    for record in ended:  # the newest first
        span = span_of(record.dagster_run)
        for hour in hours:
            if span is not None and is_within(hour, [span]):
                last.setdefault(hour, record.dagster_run.status)
    return {hour for hour, status in last.items() if status != dg.DagsterRunStatus.SUCCESS}


def digest_of(hour: datetime, found: Mapping[TopicHour, Fingerprint]) -> str:
    """A digest of all objects of an hour, of whatever topic."""
    return _digest(sorted((topic, *value) for (topic, at), value in found.items() if at == hour))


def _judged(tables: Tables, stamp: str | None, objects: list[InventoryRow], contents: Contents) -> Look:
    verdicts = judge_all(by_hour(objects), tables, contents.is_same)
    lost = frozenset(hour for (_, hour), verdict in verdicts.items() if verdict.gone)
    return Look(tables.generation, stamp, not_held(verdicts), lost)


def _digest(said: Iterable[object]) -> str:
    return hashlib.blake2b(repr(tuple(said)).encode(), digest_size=8).hexdigest()
