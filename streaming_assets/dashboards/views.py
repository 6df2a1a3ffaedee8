"""A view: what a page shows, as its address says it (`?from=2025-01-06&to=2025-02-04&state=CA&q=rain`).

Whatever an address holds, a view comes out; what had to be set right is said in its notices.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Self
from urllib.parse import parse_qs, urlencode

from streaming_assets.dashboards import formats
from streaming_assets.dashboards.states import NAMES
from streaming_assets.published.tables import ALL_STATES

DEFAULT_DAYS = 30
LONGEST_SEARCH = 100


@dataclass(frozen=True)
class Extent:
    """First and last day that a page has data of, both included."""

    first: date
    last: date

    def default(self) -> tuple[date, date]:
        """The range that a page opens with: the newest 30 days."""
        return max(self.first, self.last - timedelta(days=DEFAULT_DAYS - 1)), self.last


@dataclass(frozen=True)
class View:
    """The filters of a page.

    Attributes:
        first: first day shown.
        last: last day shown, included.
        state: code of the one state shown, or `ALL`.
        search: text that a song's title or artist contains; empty means every song.
        notices: what of the address could not be taken as it was, as sentences.
    """

    first: date
    last: date
    state: str = ALL_STATES
    search: str = ""
    notices: tuple[str, ...] = ()

    @classmethod
    def of_address(cls, query: str, extent: Extent, names: Mapping[str, str] = NAMES) -> Self:
        """The view that the query part of an address asks for.

        Args:
            query: with or without its question mark; the first of a repeated parameter counts.
            extent: the days that there are; the range is cut to them.
            names: the states that there are, by code.
        """
        asked = {key: values[0] for key, values in parse_qs(query.lstrip("?")).items()}
        notices: list[str] = []
        first, last = (
            _day(asked.get(key), default, notices)
            for key, default in zip(("from", "to"), extent.default(), strict=True)
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
        return cls(*shown, state, asked.get("q", "")[:LONGEST_SEARCH], tuple(notices))

    @classmethod
    def of_controls(
        cls,
        days: list[str | None] | None,
        extent: Extent,
        state: str | None = None,
        search: str | None = None,
    ) -> Self | None:
        """The view that the page's controls are set to; None while a range has only its first day."""
        first, last = days or (None, None)
        if (first is None) != (last is None):
            return None
        chosen = (date.fromisoformat(first), date.fromisoformat(last)) if first and last else extent.default()
        return cls(*_within(*chosen, extent), state or ALL_STATES, search or "")

    def address(self) -> str:
        """The query part of the view's address, from which `of_address` makes the same view."""
        parts = {"from": self.first.isoformat(), "to": self.last.isoformat()}
        if self.state != ALL_STATES:
            parts["state"] = self.state
        if self.search:
            parts["q"] = self.search
        return "?" + urlencode(parts)

    def days(self) -> list[date]:
        """Every day of the range, those without data too."""
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]


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
