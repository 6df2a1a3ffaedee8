"""Old hours sealed (docs/sealed-hours.md): which are due, and the warehouse told before their objects go."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from streaming_assets.events import WAREHOUSE_TYPES
from streaming_assets.files import locked
from streaming_assets.lake.factory import lake_of
from streaming_assets.lake.inventory import InventoryRow, by_hour, list_topic
from streaming_assets.lake.names import HOUR, MANIFEST, TopicHour, hour_prefix
from streaming_assets.lake.sealed import YOUNGEST, SealedLake
from streaming_assets.lake.sealing import Prepared, commit, prepare, superseded
from streaming_assets.lake.store import LakeError
from streaming_assets.settings import Settings
from streaming_assets.text import counted
from streaming_assets.warehouses.factory import warehouse_of
from streaming_assets.warehouses.warehouse import Warehouse

_BATCH_HOURS, _BATCH_BYTES = 120, 64 * 2**20  # topics' hours, and bytes, for which the warehouse is held once


class NotSealed(Exception):
    """No hour can be sealed; the message says why and the way out."""


@dataclass(frozen=True)
class Sealed:
    """What became of old hours: topics' hours sealed, the objects that went, their bytes and those of the new files.

    `faults` are what could not be sealed, in words; all else was.
    """

    hours: int = 0
    objects: int = 0
    size: int = 0
    sealed_size: int = 0
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Held:
    """An object as the inventory has it: its version, and whether it can be sealed, being plain in every byte."""

    size: int
    generation: int
    is_plain: bool


def seal(
    settings: Settings, older_than_days: int, tell: Callable[[str], None], *, dry_run: bool = False
) -> Sealed:
    """Seal each topic's hour that ended so many days ago and whose objects the tables hold as they lie there.

    After a crash the same call does the rest.

    Raises:
        NotSealed: this warehouse reads no sealed hours, or somebody else rewrites the lake.
        LakeError: the lake can't be listed.
        WarehouseLocked: the warehouse is in use for longer than its lock timeout; what was sealed stays so.
        WarehouseOutdated: the tables are of another version.
    """
    lake, warehouse = lake_of(settings), warehouse_of(settings)
    if not warehouse.reads_sealed:
        raise NotSealed(
            f"hours are not sealed where {warehouse.kind} reads the lake: its external tables read each object as it "
            "lies there (docs/sealed-hours.md)"
        )
    before = datetime.now(UTC) - max(timedelta(days=older_than_days), YOUNGEST)
    with rewriting(settings, NotSealed):
        lying, sealed = _lying(lake)
        if not warehouse.is_there() or not lying:
            return Sealed()
        with warehouse.exclusive():
            warehouse.check_version()
            held = _held(warehouse, min(hour for _, hour in lying), before)
        keys = due(lying, sealed, held, before)
        if dry_run:
            rows = [row for key in keys for row in lying[key]]
            return Sealed(len(keys), len(rows), sum(row.size for row in rows))
        return _seal_all(lake, warehouse, keys, tell)


def due(
    lying: Mapping[TopicHour, list[InventoryRow]],
    sealed: Iterable[TopicHour],
    held: Mapping[str, Held],
    before: datetime,
) -> list[TopicHour]:
    """The topics' hours to seal, the oldest first.

    Args:
        lying: the objects that lie in the lake, those of a sealing that broke off among them.
        sealed: hours that were sealed before, wholly or not.
        held: objects whose rows the tables hold, by name.
        before: the hours that ended by then are old enough.
    """
    sealed = {*sealed}

    def is_due(key: TopicHour, rows: list[InventoryRow]) -> bool:
        found = [held.get(str(row.name)) for row in rows]
        as_they_lie = all(
            row.error is None and there and (row.size, row.generation) == (there.size, there.generation)
            for row, there in zip(rows, found, strict=True)
        )
        plain = sum(there is not None and there.is_plain for there in found)
        return key[1] + HOUR <= before and as_they_lie and plain >= (1 if key in sealed else 2)

    keys = [key for key, rows in lying.items() if is_due(key, rows)]
    return sorted(keys, key=lambda key: (key[1], key[0]))


def purge(lake: SealedLake, warehouse: Warehouse) -> None:
    """Make sealed files anew that still hold lines of objects which were written anew since.

    Raises:
        LakeError: the lake can't be read or written, or a sealed file is damaged; the next call goes on.
    """
    lying, sealed = _lying(lake)
    keys = sorted(key for key in {*sealed} & lying.keys() if superseded(lake, *key))
    _commit(lake, warehouse, [found for key in keys if (found := prepare(lake, *key))])


@contextmanager
def rewriting(settings: Settings, refusal: type[Exception]) -> Iterator[None]:
    """Keep out whoever else would rewrite the lake's objects: one forgets, seals or expires fields at a time.

    Raises:
        refusal: another process does.
    """
    with ExitStack() as inside:
        try:
            inside.enter_context(locked(settings.home / "forget.lock", wait=False))
        except BlockingIOError:
            raise refusal(
                "`streaming-assets forget`, `seal` or Dagster's job `expiry` rewrites the lake now: let it end first"
            ) from None
        yield


def _lying(lake: SealedLake) -> tuple[dict[TopicHour, list[InventoryRow]], list[TopicHour]]:
    """The objects of events as they lie in the lake, and the topics' hours that have a manifest."""
    objects, sealed = [], []
    for kind in WAREHOUSE_TYPES:
        listing = list_topic(lake.stored, kind.topic)
        objects += listing.objects
        names = {*listing.strays}
        hours = {row.name.hour for row in listing.objects}
        sealed += [(kind.topic, h) for h in hours if hour_prefix(kind.topic, h) + MANIFEST in names]
    return by_hour(objects), sealed


def _held(warehouse: Warehouse, start: datetime, end: datetime) -> dict[str, Held]:
    if start >= end:
        return {}
    return {
        name: Held(size, generation, is_plain)
        for name, size, generation, is_plain in warehouse.held_versions((start, end))
    }


def _seal_all(
    lake: SealedLake, warehouse: Warehouse, keys: list[TopicHour], tell: Callable[[str], None]
) -> Sealed:
    done, batch = Sealed(), list[Prepared]()
    told = datetime.now(UTC)
    for number, key in enumerate(keys, 1):
        try:
            if prepared := prepare(lake, *key):
                batch.append(prepared)
        except LakeError as error:
            fault = f"{key[0]} of {key[1]:%Y-%m-%dT%H:%MZ}: {error}"
            tell(fault)
            done = replace(done, faults=(*done.faults, fault))
        if len(batch) >= _BATCH_HOURS or sum(len(one.data or b"") for one in batch) >= _BATCH_BYTES:
            done, batch = _with(done, _commit(lake, warehouse, batch)), []
        if datetime.now(UTC) - told > timedelta(seconds=10):
            told = datetime.now(UTC)
            tell(
                f"{number:,} of {counted(len(keys), 'hour')} of topics, {counted(done.objects, 'object')} gone"
            )
    return _with(done, _commit(lake, warehouse, batch))


def _commit(lake: SealedLake, warehouse: Warehouse, batch: list[Prepared]) -> list[Prepared]:
    """Seal what is prepared while no run reads: an hour's inventory names objects until its models have read them."""
    if batch:
        with warehouse.exclusive():
            warehouse.prepare()
            for prepared in batch:
                commit(lake, prepared, warehouse.note_sealed)
            for kind in WAREHOUSE_TYPES:
                warehouse.create_event_table(kind, lake, lambda _: None)
    return batch


def _with(done: Sealed, batch: list[Prepared]) -> Sealed:
    return replace(
        done,
        hours=done.hours + len(batch),
        objects=done.objects + sum(one.objects for one in batch),
        size=done.size + sum(one.size for one in batch),
        sealed_size=done.sealed_size + sum(len(one.data or b"") for one in batch),
    )
