"""Which hours changed since the last look: pure functions over listings, and the sensor's cursor."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from streaming_assets.lake.inventory import InventoryRow
from streaming_assets.partitions import hour_of, key_of

Fingerprint = tuple[int, int, int]  # objects, bytes, newest generation
TopicHour = tuple[str, datetime]

_VERSION = 1


@dataclass(frozen=True)
class Cursor:
    """The fingerprint of each topic's hour at its last request; hours before the look-back window are forgotten."""

    seen: Mapping[TopicHour, Fingerprint] = field(default_factory=dict)

    def to_json(self) -> str:
        """Topics by hour; a few kilobytes for the default window."""
        hours: dict[str, dict[str, Fingerprint]] = {}
        for (topic, hour), fingerprint in sorted(self.seen.items()):
            hours.setdefault(key_of(hour), {})[topic] = fingerprint
        return json.dumps({"version": _VERSION, "hours": hours}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | None) -> "Cursor":
        """The cursor that `to_json` wrote; an empty one for anything else, so that all is looked at anew."""
        try:
            content = json.loads(text or "{}")
            if content.get("version") != _VERSION:
                return cls()
            return cls(
                {
                    (str(topic), hour_of(key)): (int(objects), int(size), int(generation))
                    for key, topics in content["hours"].items()
                    for topic, (objects, size, generation) in topics.items()
                }
            )
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            return cls()

    def after(self, taken: Mapping[TopicHour, Fingerprint], window_start: datetime) -> "Cursor":
        """The cursor once the hours `taken` have been asked for."""
        return Cursor(
            {key: value for key, value in (dict(self.seen) | dict(taken)).items() if key[1] >= window_start}
        )


def fingerprints(objects: Iterable[InventoryRow]) -> dict[TopicHour, Fingerprint]:
    """The fingerprint of each topic's hour. Names alone would not do: the sink replaces objects."""
    found: dict[TopicHour, Fingerprint] = {}
    for row in objects:
        count, size, generation = found.get((row.name.topic, row.name.hour), (0, 0, 0))
        found[row.name.topic, row.name.hour] = (count + 1, size + row.size, max(generation, row.generation))
    return found


def changed(
    now: Mapping[TopicHour, Fingerprint], before: Mapping[TopicHour, Fingerprint]
) -> dict[TopicHour, Fingerprint]:
    """The topics' hours that differ from before, the oldest first."""
    differing = {key: value for key, value in now.items() if before.get(key) != value}
    return dict(sorted(differing.items(), key=lambda item: (item[0][1], item[0][0])))
