"""People forgotten: their lines leave the lake, and all tables are made anew of what is left, into a new file.

Nothing else would be sure: songs, places, days and weeks in the tables are told from everybody's events together, and a
run over an hour adds and replaces, but takes no row away.
"""

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain

from streaming_assets.automation.backfill import BuildDefs, reconcile
from streaming_assets.automation.sealing import purge, rewriting
from streaming_assets.checks.comparison import compare, kept_since
from streaming_assets.lake.factory import lake_of
from streaming_assets.lake.forgetting import Done, NotForgotten, People, read_people, take_out, write_people
from streaming_assets.lake.names import RAW
from streaming_assets.lake.store import Lake, LakeObject
from streaming_assets.published.manifest import Manifest, NoSnapshot
from streaming_assets.published.publication import drop_former
from streaming_assets.settings import Settings
from streaming_assets.text import counted
from streaming_assets.warehouses.factory import warehouse_of
from streaming_assets.warehouses.warehouse import Warehouse

REFERENCE = f"{RAW}/flat_files/"
SHOWN = 5


def forget(users: Collection[int], settings: Settings, build_defs: BuildDefs) -> Done:
    """Forget users, and keep out what arrives of them from now on. After a crash the same call does the rest.

    Raises:
        NotForgotten: it could not be begun, or not be ended; the message says why and the way out.
        LakeError: the lake can't be read or written.
        SnapshotError: the published snapshot can't be read or written.
        WarehouseLocked: the warehouse is in use for longer than its lock timeout.
        WarehouseOutdated: the tables are of another version.
    """
    lake, warehouse = lake_of(settings), warehouse_of(settings)
    if warehouse.is_shared:
        raise NotForgotten(
            f"on {warehouse.kind} nobody is forgotten by this command, and nothing was changed; docs/privacy.md "
            "says what to do there"
        )
    with rewriting(settings, NotForgotten):
        people = read_people(lake) or People()
        if not people.pending:
            _refuse_losses(lake, warehouse, settings)
        people = people.with_users(users)
        write_people(lake, people)
        objects, lines = _take_out_everywhere(lake, people)
        purge(lake, warehouse)
        if failed := reconcile(settings, build_defs, anew=True).failed:
            raise NotForgotten(
                f"the tables could not all be made anew, so try again: {'; '.join(failed[:SHOWN])}"
            )
        _refuse_former_snapshot(warehouse, settings)
        drop_former(settings.published_dir)
        done = Done(f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}", len(people.pending), objects, lines)
        write_people(lake, replace(people, pending=frozenset(), done=(*people.done, done)))
    return done


def lift(users: Collection[int], settings: Settings) -> int:
    """Let in again what arrives of users; how many of them were kept out.

    Raises:
        NotForgotten: one of them is not yet forgotten.
        LakeError: the lake can't be read or written.
    """
    lake = lake_of(settings)
    with rewriting(settings, NotForgotten):
        people = read_people(lake) or People()
        if people.pending & {people.hash_of(user) for user in users}:
            raise NotForgotten("forgetting them is not done yet: run the command without --lift first")
        lifted = people.without_users(users)
        if lifted.hashes != people.hashes:
            write_people(lake, lifted)
        return len(people.hashes) - len(lifted.hashes)


def _refuse_losses(lake: Lake, warehouse: Warehouse, settings: Settings) -> None:
    """Refuse where the tables hold what the lake has no more: to make them anew would lose it."""
    if not warehouse.is_there():
        return
    with warehouse.exclusive():
        kept = kept_since(settings, warehouse, datetime.now(UTC))
        old = [hour for hour in warehouse.hours_taken_in() if settings.first_hour <= hour < kept]
    lost = sorted({*old, *(hour for _, hour in compare(lake, warehouse, settings, []).lost)})
    if lost:
        raise NotForgotten(
            f"nothing was changed: the tables hold {counted(len(lost), 'hour')} whose objects the lake has no more, "
            f"from {lost[0]:%Y-%m-%dT%H:%MZ} on, and would lose them as they are made anew. Put the objects back; "
            "or, if these hours may go, `streaming-assets rebuild` first"
        )


def _refuse_former_snapshot(warehouse: Warehouse, settings: Settings) -> None:
    with warehouse.exclusive(), suppress(NoSnapshot):
        if Manifest.read(settings.published_dir).generation != warehouse.generation():
            raise NotForgotten(
                "the snapshot was not published anew, so that readers still have the former: try again"
            )


def _take_out_everywhere(lake: Lake, people: People) -> tuple[int, int]:
    """From all that lies in the lake, read or not, but for the reference; objects and lines."""
    faults: dict[str, str] = {}

    def events() -> Iterator[LakeObject]:
        yield from lake.list(f"{RAW}/", end=REFERENCE, faults=faults)
        yield from lake.list(f"{RAW}/", start=f"{REFERENCE[:-1]}0", faults=faults)  # '0' follows '/'

    objects, lines, unreadable = take_out(lake, events(), people)
    if left := [*chain(faults.values(), unreadable)]:
        raise NotForgotten(
            f"{counted(lines, 'line')} left {counted(objects, 'object')}, and nobody can tell who is in "
            f"{counted(len(left), 'other')}: remove or replace them and try again: {'; '.join(left[:SHOWN])}"
        )
    return objects, lines
