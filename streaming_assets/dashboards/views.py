"""A view: what a page shows, as its address says it (`?from=2025-01-06&to=2025-02-04&state=CA&q=rain`, or `?last=28`).

Whatever an address holds, a view comes out; what had to be set right is said in its notices.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType
from typing import Self
from urllib.parse import parse_qs, urlencode

from streaming_assets.dashboards import formats
from streaming_assets.dashboards.states import NAMES
from streaming_assets.published.tables import ALL_STATES

LONGEST_SEARCH = 100
MOST_PLAYED = "most"  # in place of a song, in the choice of one
NEWEST_DAY = 1
# Of the newest days, whole weeks where it can be.
PRESETS = {NEWEST_DAY: "Newest day", 7: "7 days", 28: "28 days", 84: "12 weeks"}


@dataclass(frozen=True)
class Extent:
    """First and last day that a page has data of, both included; and how many of the newest it opens with."""

    first: date
    last: date
    opens_with: int = 28

    def newest(self, days: int) -> tuple[date, date]:
        """So many of the newest days, or as many as there are."""
        return max(self.first, self.last - timedelta(days=days - 1)), self.last


@dataclass(frozen=True)
class View:
    """The filters of a page.

    Attributes:
        first: first day shown.
        last: last day shown, included.
        state: code of the one state shown, or `ALL`.
        search: text that a song's title or artist contains; empty means every song.
        song: key of the song whose followers are shown; empty for the one that is played most.
        preset: how many of the newest days it shows, whichever these are at the time; None for certain days.
        marks: the marks that it is filtered by, see marks.py: name and value of each, in the order of names.
        notices: what of the address could not be taken as it was, as sentences.
    """

    first: date
    last: date
    state: str = ALL_STATES
    search: str = ""
    song: str = ""
    preset: int | None = None
    marks: tuple[tuple[str, str], ...] = ()
    notices: tuple[str, ...] = ()

    @classmethod
    def of_address(
        cls,
        query: str,
        extent: Extent,
        names: Mapping[str, str] = NAMES,
        amiss: Mapping[str, Callable[[str], str]] = MappingProxyType({}),
    ) -> Self:
        """The view that the query part of an address asks for.

        Args:
            query: with or without its question mark; the first of a repeated parameter counts.
            extent: the days that there are; the range is cut to them.
            names: the states that there are, by code.
            amiss: the marks that there are, by name: what is said of a value that is none; empty of one that is.
        """
        asked = {key: values[0] for key, values in parse_qs(query.lstrip("?")).items()}
        notices: list[str] = []
        preset = _preset(asked, extent, notices)
        first, last = (
            _day(asked.get(key), default, notices)
            for key, default in zip(("from", "to"), extent.newest(preset), strict=True)
        )
        state = asked.get("state", ALL_STATES)
        state = state if state in names else state.upper()
        if state != ALL_STATES and state not in names:
            notices.append(f"“{asked['state']}” is no state in the data; all states are shown.")
            state = ALL_STATES
        shown = _within(first, last, extent)
        if shown != (min(first, last), max(first, last)):
            notices.append(
                f"There is data of {formats.span(extent.first, extent.last)}, not of all of "
                f"{formats.span(min(first, last), max(first, last))}; {formats.span(*shown)} is shown."
            )
        search = asked.get("q", "")[:LONGEST_SEARCH]
        song = asked.get("song", "")
        if song and not re.fullmatch("[0-9a-f]{32}", song):
            notices.append(f"“{song}” is no key of a song; the song played most is shown.")
            song = ""
        marks = []
        for name in sorted({*amiss} & {*asked}):
            if told := amiss[name](asked[name]):
                notices.append(told)
            else:
                marks.append((name, asked[name]))
        moving = None if {"from", "to"} & {*asked} else preset
        return cls(*shown, state, search, song, moving, tuple(marks), tuple(notices))

    @classmethod
    def of_controls(
        cls,
        days: list[str | None] | None,
        extent: Extent,
        state: str | None = None,
        search: str | None = None,
        song: str | None = None,
        preset: str | None = None,
        marks: Mapping[str, str] = MappingProxyType({}),
        has_chosen_days: bool = True,
    ) -> Self | None:
        """The view that the page's controls are set to; None while a range has only its first day.

        Args:
            days: the range.
            extent: the days that there are.
            state: the state, if the page has a choice of them.
            search: the text sought, if the page has a field for it.
            song: the key of the song chosen, if the page has a choice of them.
            preset: how many of the newest days, or anything else for the range.
            marks: the values of the marks chosen, by name.
            has_chosen_days: whether the range was set after the preset, and counts unless it is the same.
        """
        first, last = days or (None, None)
        newest = int(preset) if preset and preset.isdecimal() else None
        if newest and not has_chosen_days:
            chosen = extent.newest(newest)
        elif first and last:
            chosen = date.fromisoformat(first), date.fromisoformat(last)
            newest = newest if newest and chosen == extent.newest(newest) else None
        elif first or last:
            return None
        else:
            newest = extent.opens_with
            chosen = extent.newest(newest)
        return cls(
            *_within(*chosen, extent),
            state or ALL_STATES,
            search or "",
            "" if song in (None, MOST_PLAYED) else song,
            newest,
            tuple(sorted(marks.items())),
        )

    def address(self) -> str:
        """The query part of the view's address, from which `of_address` makes the same view."""
        parts = {"from": self.first.isoformat(), "to": self.last.isoformat()}
        if self.preset:
            parts = {"last": str(self.preset)}
        if self.state != ALL_STATES:
            parts["state"] = self.state
        if self.search:
            parts["q"] = self.search
        if self.song:
            parts["song"] = self.song
        return "?" + urlencode(parts | dict(self.marks))

    def mark(self, name: str) -> str:
        """The value of a mark that it is filtered by; empty without one."""
        return dict(self.marks).get(name, "")

    def days(self) -> list[date]:
        """Every day of the range, those without data too; of one day of the week, if it is filtered by one."""
        days = (self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1))
        return [day for day in days if self.mark("weekday") in ("", str(day.isoweekday()))]


def _preset(asked: Mapping[str, str], extent: Extent, notices: list[str]) -> int:
    text = asked.get("last")
    if text is None:
        return extent.opens_with
    if text in map(str, PRESETS):
        return int(text)
    notices.append(
        f"last=“{text}” is none of {', '.join(map(str, PRESETS))} days; {extent.opens_with} is used."
    )
    return extent.opens_with


def _day(text: str | None, default: date, notices: list[str]) -> date:
    if text is None:
        return default
    try:
        return date.fromisoformat(text)
    except ValueError:
        notices.append(f"“{text}” is no date such as {default}; {default} is used.")
        return default


def _within(first: date, last: date, extent: Extent) -> tuple[date, date]:
    cut: Callable[[date], date] = lambda day: min(max(day, extent.first), extent.last)  # noqa: E731
    return cut(min(first, last)), cut(max(first, last))
