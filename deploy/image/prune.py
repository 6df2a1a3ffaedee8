"""Deletes old events that only a run's log page shows. Which hours are done, checks and run states stay.

Dagster keeps every event for ever. An hour's run writes some twenty events for each one that tells of an asset, so
after DAYS only the latter are kept, with those that tell how a run went.

Usage: prune.py [DAYS] [--every HOURS]   (default 30 days, once)
"""

import argparse
import time
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from dagster import DagsterInstance
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS, PIPELINE_EVENTS
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as EVENTS
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

KEPT = sorted(event.value for event in ASSET_EVENTS | ASSET_CHECK_EVENTS | PIPELINE_EVENTS)
BATCH = 10_000  # rows a transaction: writers wait for no longer than that takes


def prune(storage: SqlEventLogStorage, before: datetime) -> int:
    """Delete the events of before that moment (timezone-aware) that are not `KEPT`; returns how many."""
    old = (
        sa.select(EVENTS.c.id)
        .where(EVENTS.c.timestamp < before.astimezone(UTC).replace(tzinfo=None))
        .where(sa.or_(EVENTS.c.dagster_event_type.is_(None), EVENTS.c.dagster_event_type.notin_(KEPT)))
        .limit(BATCH)
    )
    deleted = 0
    while True:
        with storage.index_connection() as connection:  # commits each statement
            rows = connection.execute(
                sa.delete(EVENTS).where(EVENTS.c.id.in_(old.scalar_subquery()))
            ).rowcount
        deleted += rows
        if rows < BATCH:
            return deleted


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "days", type=float, nargs="?", default=30, help="age of the events that go, days [30]"
    )
    parser.add_argument("--every", type=float, help="do it again each so many hours; once if not given")
    given = parser.parse_args()
    while True:
        with DagsterInstance.get() as instance:
            before = datetime.now(UTC) - timedelta(days=given.days)
            storage = instance.event_log_storage
            assert isinstance(storage, SqlEventLogStorage)
            deleted = prune(storage, before)
        print(f"{deleted} events from before {before:%Y-%m-%d %H:%M} deleted", flush=True)
        if given.every is None:
            return
        time.sleep(given.every * 3600)


if __name__ == "__main__":
    main()
