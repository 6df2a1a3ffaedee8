"""Which hours changed since the last look: pure functions over listings, and the sensor's cursor."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from streaming_assets.checks.comparison import is_within
from streaming_assets.lake.inventory import InventoryRow, by_hour
from streaming_assets.lake.names import HOUR, TopicHour, hours_between
from streaming_assets.partitions import Span, hour_of, key_of, spans

_VERSION = 2
OBJECTS_PER_TICK = 40_000  # that are listed and held to the tables: 1 to 2 s


class Fingerprint(NamedTuple):
    """What a listing tells of a topic's hour: objects, bytes, and a digest of each name, size and version."""

    objects: int
    size: int
    digest: str


@dataclass(frozen=True)
class Cursor:
    """What the object sensor remembers.

    Attributes:
        seen: the fingerprint of each topic's hour at its last request; hours before the window are forgotten.
        series: the name of this cursor, which each that starts over makes anew.
        serial: how many times it asked. Both are in the keys of its runs: no run is taken for an earlier one's repeat.
        generation: the warehouse's, when its tables were looked at last.
        stamp: the warehouse's then; with another, the tables may be others.
        mended: hours that were asked for because the tables lacked them though no object changed, with the digest of
            what was lacking: once is enough.
        lost: hours that lost objects, with a digest of those that were left at the last look; empty before one.
        turn: the hour with which the next tick goes on; None where each looks at the whole window.
    """

    seen: Mapping[TopicHour, Fingerprint] = field(default_factory=dict)
    series: str = ""
    serial: int = 0
    generation: str | None = None
    stamp: str | None = None
    mended: Mapping[datetime, str] = field(default_factory=dict)
    lost: Mapping[datetime, str] = field(default_factory=dict)
    turn: datetime | None = None

    def to_json(self) -> str:
        """Topics by hour; some ten kilobytes for the default window."""
        hours: dict[str, dict[str, Fingerprint]] = {}
        for (topic, hour), fingerprint in sorted(self.seen.items()):
            hours.setdefault(key_of(hour), {})[topic] = fingerprint
        content = {
            "version": _VERSION,
            "series": self.series,
            "serial": self.serial,
            "generation": self.generation,
            "stamp": self.stamp,
            "mended": {key_of(hour): lacking for hour, lacking in self.mended.items()},
            "lost": {key_of(hour): left for hour, left in self.lost.items()},
            "turn": key_of(self.turn) if self.turn else None,
            "hours": hours,
        }
        return json.dumps(content, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | None) -> "Cursor":
        """The cursor that `to_json` wrote; an empty one for anything else, so that all is looked at anew."""
        try:
            content = json.loads(text or "{}")
            if content.get("version") != _VERSION:
                return cls()
            return cls(
                {
                    (str(topic), hour_of(key)): Fingerprint(int(objects), int(size), str(digest))
                    for key, topics in content["hours"].items()
                    for topic, (objects, size, digest) in topics.items()
                },
                str(content["series"]),
                int(content["serial"]),
                _text(content["generation"]),
                _text(content["stamp"]),
                {hour_of(key): str(lacking) for key, lacking in content["mended"].items()},
                {hour_of(key): str(left) for key, left in content["lost"].items()},
                hour_of(content["turn"]) if content.get("turn") else None,
            )
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            return cls()

    def within(self, looked_at: Collection[Span]) -> "Cursor":
        """What it remembers of some hours. The stamp is of a look at all of them."""
        return replace(
            self,
            seen={key: value for key, value in self.seen.items() if is_within(key[1], looked_at)},
            mended={hour: lacking for hour, lacking in self.mended.items() if is_within(hour, looked_at)},
            lost={hour: left for hour, left in self.lost.items() if is_within(hour, looked_at)},
            stamp=None,
        )

    def with_others_of(self, former: "Cursor", looked_at: Collection[Span]) -> "Cursor":
        """This cursor of some hours, and what the former one remembers of all others."""

        def others(hours: Mapping[datetime, str]) -> dict[datetime, str]:
            return {hour: said for hour, said in hours.items() if not is_within(hour, looked_at)}

        seen = {key: value for key, value in former.seen.items() if not is_within(key[1], looked_at)}
        return replace(
            self,
            seen={**seen, **self.seen},
            mended={**others(former.mended), **self.mended},
            lost={**others(former.lost), **self.lost},
            stamp=None,
        )

    def after(self, taken: Mapping[TopicHour, Fingerprint], window_start: datetime) -> "Cursor":
        """The cursor once the hours `taken` have been asked for."""
        seen = {
            key: value for key, value in (dict(self.seen) | dict(taken)).items() if key[1] >= window_start
        }
        mended = {hour: lacking for hour, lacking in self.mended.items() if hour >= window_start}
        lost = {hour: left for hour, left in self.lost.items() if hour >= window_start}
        return replace(self, seen=seen, mended=mended, lost=lost)


def to_look_at(cursor: Cursor, window: Span) -> tuple[list[Span], datetime | None]:
    """The spans that a tick looks at, and the hour with which the next one goes on; None if this one looks at all.

    Of a window that holds more than OBJECTS_PER_TICK, as far as the cursor knows, each tick looks at the newest two
    hours and at the next ones of the others, in turn.
    """
    start, end = window
    objects = Counter[datetime]()
    for (_, hour), found in cursor.seen.items():
        objects[hour] += found.objects
    if objects.total() <= OBJECTS_PER_TICK:
        return [window], None
    newest = max(end - 2 * HOUR, start)
    first = cursor.turn if cursor.turn and start <= cursor.turn < newest else start
    left = OBJECTS_PER_TICK - sum(objects[hour] for hour in hours_between(newest, end))
    stop = min(first + HOUR, newest)
    while stop < newest and (left := left - objects[stop - HOUR]) > 0:
        stop += HOUR
    return spans([*hours_between(first, stop), *hours_between(newest, end)]), stop


def fingerprints(objects: Iterable[InventoryRow]) -> dict[TopicHour, Fingerprint]:
    """The fingerprint of each topic's hour, in whatever order its objects are listed.

    An object is told by its content where the listing has a hash of it, else by its generation: names alone would not
    do, since the sink replaces objects, nor would the newest generation, since an older object may be put back.
    """
    return {key: _fingerprint(rows) for key, rows in by_hour(objects).items()}


def changed(
    now: Mapping[TopicHour, Fingerprint], before: Mapping[TopicHour, Fingerprint]
) -> dict[TopicHour, Fingerprint]:
    """The topics' hours that differ from before, the oldest first."""
    differing = {key: value for key, value in now.items() if before.get(key) != value}
    return dict(sorted(differing.items(), key=lambda item: (item[0][1], item[0][0])))


def shrunk(now: Mapping[TopicHour, Fingerprint], before: Mapping[TopicHour, Fingerprint]) -> set[datetime]:
    """The hours of which objects are gone: to run them again would tell the facts from what is left."""
    none = Fingerprint(0, 0, "")
    return {key[1] for key, value in before.items() if now.get(key, none).objects < value.objects}


def _fingerprint(rows: list[InventoryRow]) -> Fingerprint:
    versions = sorted((str(row.name), row.size, row.content or row.generation) for row in rows)
    digest = hashlib.blake2b(repr(versions).encode(), digest_size=8).hexdigest()
    seen = sum(not row.error for row in rows)  # what can't be looked at makes up for no object
    return Fingerprint(seen, sum(row.size for row in rows), digest)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
