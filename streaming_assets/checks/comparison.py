"""Whether the tables hold what the lake holds: each topic's hour is judged, and what is wrong with it said.

Both sides are looked at, the lake's listing and the tables themselves. What a run was asked for counts as nothing here.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf

from streaming_assets.events import LAKE_TOPICS, TOPICS
from streaming_assets.lake.inventory import InventoryRow, by_hour, list_topic
from streaming_assets.lake.names import HOUR, RAW, TopicHour, floor_hour, hours_between
from streaming_assets.lake.store import Lake, LakeError, content_hash
from streaming_assets.partitions import Span
from streaming_assets.settings import Settings
from streaming_assets.text import counted
from streaming_assets.warehouses.holding import (
    HeldObject,
    HourRows,
    Tables,
    look_at_tables,
    wholly_quarantined,
)
from streaming_assets.warehouses.warehouse import Warehouse

Listed = Mapping[TopicHour, list[InventoryRow]]
IsSame = Callable[[InventoryRow, HeldObject], bool]


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a topic's hour; nothing, where the tables hold it.

    Attributes:
        reasons: why it must be run, in words; why objects that are `gone` can't be seen, where that is known.
        gone: names of objects whose rows the tables hold and the lake lost. Such an hour is never run unasked: what is
            left of it would take the place of what the tables have.
    """

    reasons: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """The lake and the tables, held to each other.

    Attributes:
        to_run: hours that the tables do not hold, and why, in words.
        waiting: hours of unfinished runs that the tables do not hold yet, and why.
        lost: topics' hours whose rows the lake lost, and how, in words; none of them is in `to_run`.
        quarantined: topics' hours of which no row could be used, with their rows.
        strays: files below the topics' folders that are no event objects.
        outside: hours that have objects and are no partitions.
        unknown_folders: folders of no known topic.
        expired: how many hours that have objects are older than the retention, and so left alone.
    """

    to_run: Mapping[datetime, tuple[str, ...]] = field(default_factory=dict)
    waiting: Mapping[datetime, tuple[str, ...]] = field(default_factory=dict)
    lost: Mapping[TopicHour, str] = field(default_factory=dict)
    quarantined: Mapping[TopicHour, int] = field(default_factory=dict)
    strays: list[str] = field(default_factory=list)
    outside: list[datetime] = field(default_factory=list)
    unknown_folders: list[str] = field(default_factory=list)
    expired: int = 0

    def why(self, span: Span) -> str:
        """Why the hours of a span are to be run: what is said of most of them first, and how much more there is."""
        said = Counter(
            reason for hour, reasons in self.to_run.items() if is_within(hour, [span]) for reason in reasons
        )
        shown = [
            reason if hours == 1 else f"{reason} ({hours:,} hours)" for reason, hours in said.most_common(3)
        ]
        return "; ".join(shown) + (f"; and {len(said) - 3:,} other reasons" if len(said) > 3 else "")

    def summary(self) -> list[str]:
        """What it comes to, a sentence each."""
        lines = []
        if self.to_run:
            named = ", ".join(f"{hour:%Y-%m-%dT%H:%MZ}" for hour in [*self.to_run][:20])
            lines.append(
                f"{counted(len(self.to_run), 'hour')} not held: {named}{', ...' * (len(self.to_run) > 20)}"
            )
        if self.waiting:
            lines.append(
                f"{counted(len(self.waiting), 'hour')} not held yet: the runs over them have not ended"
            )
        if self.lost:
            lines.append(
                f"{counted(len({hour for _, hour in self.lost}), 'hour')} of which the lake lost rows"
            )
        return lines or ["the tables hold what the lake holds"]


def compare(
    lake: Lake,
    warehouse: Warehouse,
    settings: Settings,
    busy: Sequence[Span],
    timeout: float | None = None,
) -> Comparison:
    """The whole lake, less what is older than the retention, held to the tables, and these to it.

    Objects that were written anew with as many bytes are read, where no listing tells their content, and what is the
    same is noted as such.

    Args:
        lake: is listed after the tables are looked at, so that what arrives between is new, not gone.
        warehouse: is held while its tables are asked.
        settings: the first hour and the retention.
        busy: the spans of unfinished runs.
        timeout: how long to wait for the warehouse, s; its lock timeout unless given.

    Raises:
        LakeError: the lake can't be listed.
        WarehouseLocked: the warehouse is in use for longer.
        WarehouseOutdated: its tables are of another version.
    """
    now = datetime.now(UTC)
    start, end = kept_since(settings, warehouse, now), floor_hour(now) + HOUR
    with warehouse.looking(timeout):
        warehouse.check_version()
        tables = look_at_tables(warehouse, (start, end), deep=True)
    listings = [list_topic(lake, topic) for topic in LAKE_TOPICS]
    listed = by_hour(row for listing in listings for row in listing.objects)
    contents = Contents(lake)
    verdicts = judge_all(
        {key: rows for key, rows in listed.items() if start <= key[1] < end}, tables, contents.is_same
    )
    if contents.same:
        with warehouse.looking(timeout):
            contents.note(warehouse)
    lost = {key: said for key, said in _lost(verdicts, tables).items() if not is_within(key[1], busy)}
    unheld = not_held(verdicts)
    return Comparison(
        {hour: why for hour, why in unheld.items() if not is_within(hour, busy)},
        {hour: why for hour, why in unheld.items() if is_within(hour, busy)},
        lost,
        wholly_quarantined(tables.rows),
        [name for listing in listings for name in listing.strays],
        sorted({hour for _, hour in listed if hour < settings.first_hour or end <= hour}),
        unknown_folders(lake),
        len({hour for _, hour in listed if settings.first_hour <= hour < start}),
    )


def kept_since(settings: Settings, warehouse: Warehouse, now: datetime) -> datetime:
    """The first partition, or the first hour that lake and warehouse still keep whole, if that is later."""
    ages = [warehouse.keeps_staged] if warehouse.keeps_staged else []
    if settings.lake.retention_days:
        ages.append(24 * HOUR * settings.lake.retention_days)
    # The hour at the edge may have lost some of its objects already.
    return max([settings.first_hour, *(floor_hour(now - age) + HOUR for age in ages)])


def judge_all(listed: Listed, tables: Tables, is_same: IsSame) -> dict[TopicHour, Verdict]:
    """The verdict on each topic's hour that the lake or the inventory has."""
    return {
        key: judge(
            listed.get(key, []),
            tables.objects.get(key, {}),
            tables.rows.get(key, HourRows()),
            tables.lacking.get(key, []),
            is_same,
        )
        for key in sorted(listed.keys() | tables.objects.keys(), key=lambda key: (key[1], key[0]))
    }


def judge(
    listed: Iterable[InventoryRow],
    held: Mapping[str, HeldObject],
    rows: HourRows,
    lacking: Iterable[str],
    is_same: IsSame,
) -> Verdict:
    """The verdict on one topic's hour.

    Args:
        listed: its objects in the lake.
        held: its objects as a run read them last.
        rows: its rows in these, and in the tables.
        lacking: what the tables lack of it otherwise.
        is_same: whether an object that was written anew, with as many bytes, has the same content.
    """
    listed = list(listed)
    now = {str(row.name): row for row in listed if not row.error}
    unseen = tuple(row.error for row in listed if row.error)
    gone = tuple(
        name for name, found in held.items() if name not in now and found.rows and found.is_processed
    )
    if gone:
        return Verdict(unseen, gone)
    new = [name for name in now if name not in held]
    rewritten = [
        name for name, row in now.items() if name in held and not _is_as_read(row, held[name], is_same)
    ]
    reasons = [
        f"{counted(len(names), 'object')} {what}"
        for names, what in ((new, "new"), (rewritten, "written anew"))
        if names
    ]
    reasons += unseen
    if any(name in held and not held[name].is_processed for name in now):
        reasons.append("the last run over it did not end well")
    elif rows.accounted < rows.lines:
        reasons.append(f"{counted(rows.lines - rows.accounted, 'row')} of its objects in no table")
    return Verdict((*reasons, *lacking))


class Contents:
    """Tells whether objects that were written anew are the same; reads them where no listing tells their content."""

    def __init__(self, lake: Lake, most_bytes: float = inf) -> None:
        """`most_bytes`: how much is read in all; what is beyond counts as changed."""
        self._lake, self._left = lake, most_bytes
        self.same: list[InventoryRow] = []  # what was read and found so

    def is_same(self, row: InventoryRow, held: HeldObject) -> bool:
        """Whether an object has the content that was read before."""
        if row.content or not held.content:
            return row.content == held.content is not None
        if row.size > self._left:
            return False
        self._left -= row.size
        try:
            same = content_hash(self._lake.read(str(row.name))) == held.content
        except LakeError:
            return False  # the hour's run will tell
        if same:
            self.same.append(row)
        return same

    def note(self, warehouse: Warehouse) -> None:
        """Have the inventory know what was found the same, so that it is read for that once.

        To be called by whoever holds the warehouse.
        """
        if self.same:
            warehouse.note_generations(self.same)


def unknown_folders(lake: Lake) -> list[str]:
    """Folders under `raw/` that belong to no topic and are not the project's own."""
    known = {*TOPICS, *LAKE_TOPICS, "flat_files"}
    found: set[str] = set()
    faults: dict[str, str] = {}
    start = f"{RAW}/"
    while listed := next(iter(lake.list(f"{RAW}/", start, faults=faults)), None):
        name = listed.name.split("/")[1]
        found.add(name)
        start = f"{RAW}/{name}0"  # '0' follows '/': past all of the folder in one step
    if f"{RAW}/" in faults:
        raise LakeError(faults[f"{RAW}/"])
    return sorted({*found, *(place.split("/")[1] for place in faults)} - known)


def not_held(verdicts: Mapping[TopicHour, Verdict]) -> dict[datetime, tuple[str, ...]]:
    """The hours to run, and why: all topics of an hour are run together, so none of an hour with a loss."""
    left_alone = {hour for (_, hour), verdict in verdicts.items() if verdict.gone}
    found: dict[datetime, tuple[str, ...]] = {}
    for (topic, hour), verdict in verdicts.items():
        if verdict.reasons and hour not in left_alone:
            found[hour] = (*found.get(hour, ()), f"{topic}: {', '.join(verdict.reasons)}")
    return found


def _lost(verdicts: Mapping[TopicHour, Verdict], tables: Tables) -> dict[TopicHour, str]:
    lost = {
        key: "; ".join(
            (f"{counted(len(verdict.gone), 'object')} gone whose rows the tables hold", *verdict.reasons)
        )
        for key, verdict in verdicts.items()
        if verdict.gone
    }
    for hour, events in sorted(tables.surplus.items()):
        key = ("listen_events", hour)
        said = f"{counted(events, 'listen')} in the facts that the hour's objects hold no more"
        lost[key] = f"{lost[key]}; {said}" if key in lost else said
    return lost


def is_within(hour: datetime, spans: Iterable[Span]) -> bool:
    """Whether one of the spans covers the hour."""
    return any(start <= hour < end for start, end in spans)


def are_within(span: Span, spans: Iterable[Span]) -> bool:
    """Whether the spans together cover each hour of `span`."""
    spans = list(spans)
    return all(is_within(hour, spans) for hour in hours_between(*span))


def _is_as_read(row: InventoryRow, held: HeldObject, is_same: IsSame) -> bool:
    if row.size != held.size:
        return False
    return row.generation == held.generation or is_same(row, held)
