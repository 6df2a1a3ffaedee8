"""What is told of the conditions, and when: once when they come, seldom while they last, once when they heal. Pure.

What was told is remembered in `Memory`, with what could not be sent yet.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from streaming_assets.monitoring.conditions import Condition, is_known
from streaming_assets.monitoring.observed import Observed
from streaming_assets.monitoring.rules import Rules
from streaming_assets.monitoring.runbook import entry_of

MOST_UNSENT = 200  # entries that are kept for an address; of older ones the number alone
SHOWN = 20  # entries of a message


@dataclass(frozen=True)
class Open:
    """A condition that lasts: since when, when it was told last (None: not yet), its text and a digest of its hours."""

    since: datetime
    told: datetime | None
    what: str
    hours: str


@dataclass(frozen=True)
class Unsent:
    """What an address is still to be sent, and how many older entries were dropped."""

    entries: tuple[str, ...] = ()
    dropped: int = 0

    def with_more(self, entries: Iterable[str]) -> "Unsent":
        """With newer entries; only so many are kept."""
        both = (*self.entries, *entries)
        over = max(len(both) - MOST_UNSENT, 0)
        return Unsent(both[over:], self.dropped + over)

    def body(self) -> str:
        """A message's text, the newest entries first."""
        shown = [*reversed(self.entries)][:SHOWN]
        more = len(self.entries) - len(shown) + self.dropped
        return "\n\n".join([*shown, *([f"And {more:,} more: streaming-assets status"] if more else [])])


@dataclass(frozen=True)
class Memory:
    """The conditions that last, by key, and what each address is to be sent."""

    lasting: Mapping[str, Open] = field(default_factory=dict)
    unsent: Mapping[str, Unsent] = field(default_factory=dict)

    def to_json(self) -> str:
        """As `from_json` takes it."""
        lasting = {
            key: [one.since.timestamp(), one.told and one.told.timestamp(), one.what, one.hours]
            for key, one in self.lasting.items()
        }
        unsent = {address: [left.entries, left.dropped] for address, left in self.unsent.items()}
        return json.dumps({"lasting": lasting, "unsent": unsent})

    @classmethod
    def from_json(cls, text: str | None) -> "Memory":
        """What `to_json` gave; nothing remembered if it is anything else."""
        try:
            known: dict[str, Any] = json.loads(text or "")
            return cls(
                {
                    key: Open(_moment(since), _moment(told) if told else None, what, hours)
                    for key, (since, told, what, hours) in known["lasting"].items()
                },
                {
                    address: Unsent(tuple(entries), dropped)
                    for address, (entries, dropped) in known["unsent"].items()
                },
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls()


def decide(
    memory: Memory, found: Collection[Condition], seen: Observed, rules: Rules, pages: str
) -> tuple[Memory, list[str]]:
    """What is to be told now.

    Args:
        memory: of what was told.
        found: the conditions that hold.
        seen: what they were told from; what could not be seen heals nothing.
        rules: what is told, and after how long.
        pages: address of Dagster's pages, for links; empty for none.

    Returns:
        What is to be remembered, and the entries to be sent.
    """
    lasting: dict[str, Open] = {}
    entries: list[str] = []
    for condition in found:
        rule = rules.of(condition.kind)
        if not rule.tell:
            continue
        hours = hashlib.blake2b(repr(condition.hours).encode(), digest_size=8).hexdigest()
        known = memory.lasting.get(condition.key) or Open(seen.at, None, condition.what, hours)
        if known.told is None:
            is_due = seen.at - known.since >= timedelta(minutes=rule.after_minutes)
        else:
            is_worth_it = condition.is_grave or known.hours != hours
            is_due = is_worth_it and seen.at - known.told >= timedelta(hours=rules.remind_hours)
        if is_due:
            entries.append(entry(condition, known, pages))
            known = replace(known, told=seen.at, hours=hours)
        lasting[condition.key] = replace(known, what=condition.what)
    for key, known in memory.lasting.items():
        kind = key.partition(" ")[0]
        if key in lasting or kind not in type(rules).model_fields or not rules.of(kind).tell:
            continue
        if not is_known(kind, seen):
            lasting[key] = known
        elif known.told is not None:
            entries.append(
                f"Healed: {key.partition(' ')[2]} ({kind}), which lasted {_length(seen.at - known.since)}"
            )
    return Memory(lasting, memory.unsent), entries


def entry(condition: Condition, known: Open, pages: str) -> str:
    """What is told of a condition: what it is, what it means, what to look at, what to type, where to click."""
    advice = entry_of(condition)
    word = "Wrong" if condition.is_grave else "Warning"
    since = f" It lasts since {known.since:%Y-%m-%d %H:%M} UTC." if known.told else ""
    lines = [f"{word}: {condition.what}.{since}", f"{advice.meaning} {advice.look}"]
    lines += [f"    {command}" for command in advice.commands]
    if pages and condition.page:
        lines.append(pages.rstrip("/") + condition.page)
    return "\n".join(lines)


def title(entries: Collection[str]) -> str:
    """Of a message with these entries."""
    wrong = sum(not text.startswith("Healed") for text in entries)
    healed = len(entries) - wrong
    parts: Iterator[str] = (
        f"{number} {what}" for number, what in ((wrong, "wrong"), (healed, "healed")) if number
    )
    return f"streaming_assets: {', '.join(parts)}"


def _length(span: timedelta) -> str:
    minutes = span // timedelta(minutes=1)
    return f"{minutes:,} min" if minutes < 120 else f"{minutes // 60:,} h"


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
