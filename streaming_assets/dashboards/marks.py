"""What a click on a mark of a chart filters its page by, as the address says it (`?genre=Rock`, `?weekday=5&hour=17`).

A chart says which of them its marks set and which it follows; of the others it says that it does not.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from streaming_assets.dashboards import activity, habits, streams
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot


@dataclass(frozen=True)
class Mark:
    """One kind of filter.

    Attributes:
        name: its parameter in the address.
        page: the name of the page that it filters.
        what: what a value is, in a notice about one that is not.
        label: what the filter by a value is called.
        values: those that there are.
    """

    name: str
    page: str
    what: str
    label: Callable[[str], str]
    values: Callable[[Snapshot], Collection[str]]

    def amiss(self, snapshot: Snapshot, value: str) -> str:
        """What is said of a value that is none; empty of one that is."""
        return "" if value in self.values(snapshot) else f"“{value}” is no {self.what}; all are shown."


def _fixed(labels: dict[str, str]) -> tuple[Callable[[str], str], Callable[[Snapshot], Collection[str]]]:
    return labels.__getitem__, lambda _: labels


MARKS = {
    mark.name: mark
    for mark in (
        Mark("genre", "music", "genre in the data", str, streams.genre_names),
        Mark("weekday", "habits", "day of the week, 1 to 7", *_fixed(habits.ON_WEEKDAYS)),
        Mark("hour", "habits", "hour of the day, 0 to 23", *_fixed(habits.AT_HOURS)),
        Mark("minutes", "habits", "length of sessions", *_fixed(habits.OF_MINUTES)),
        Mark("songs", "habits", "number of songs", *_fixed(habits.OF_SONGS)),
        Mark("step", "listeners", "step of the funnel", *_fixed(activity.WHO_TOOK)),
        Mark(
            "left",
            "listeners",
            "page that somebody left from",
            lambda page: f"Left from {page}",
            activity.reason_pages,
        ),
    )
}


def of_page(page: str) -> list[Mark]:
    """The marks that filter a page."""
    return [mark for mark in MARKS.values() if mark.page == page]


def labels(view: View, but: Collection[str] = ()) -> dict[str, str]:
    """What the view is filtered by, by name; without those in `but`."""
    return {name: MARKS[name].label(value) for name, value in view.marks if name not in but}


def note(view: View, heeded: Collection[str]) -> str:
    """`; not filtered by “Fridays”` of what the view is filtered by and a number that heeds only `heeded` is not."""
    others = labels(view, heeded).values()
    return f"; not filtered by {' or '.join(f'“{label}”' for label in others)}" if others else ""
