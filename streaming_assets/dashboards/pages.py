"""The pages that there are: where each stands, what it is headed by, and by what it can be filtered."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streaming_assets.dashboards import formats, habits, marks, streams
from streaming_assets.dashboards import kpi_queries as kpi
from streaming_assets.dashboards.compare import against_before
from streaming_assets.dashboards.kpi_tiles import subtitle, tiles
from streaming_assets.dashboards.site import Site
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot


@dataclass(frozen=True)
class Page:
    """One page.

    Attributes:
        name: what charts call it, and the first part of its controls' ids.
        path: its address.
        link: what leads to it.
        heading: its own.
        what: what it has none of before data comes.
        subtitle: one line below the heading.
        days: how many it opens with, the newest; one of the presets.
        by_state: whether it can be filtered by state.
        tiles: what stands above the filters and does not follow them.
    """

    name: str
    path: str
    link: str
    heading: str
    what: str
    subtitle: Callable[[Snapshot, View], str]
    days: int = 28
    by_state: bool = False
    tiles: Callable[[Site, Snapshot], list[Any]] | None = None


def _streams(snapshot: Snapshot, view: View) -> str:
    counted = habits.plays if view.mark("hour") else streams.count
    compared = against_before(
        snapshot,
        view,
        streams.STATES,
        lambda of: counted(snapshot, of),
        None if view.mark("genre") else lambda of, until: habits.plays(snapshot, of, until),
    )
    return (
        f"{formats.count(counted(snapshot, view))} streams in {streams.where(snapshot, view)}, {_when(view)}{compared}"
        + marks.note(view, ("genre", "weekday", "hour"))
    )


def _when(view: View) -> str:
    return formats.span(view.first, view.last)


PAGES = (
    Page(
        "kpi",
        "/",
        "KPIs",
        "Business KPIs",
        "users",
        lambda snapshot, _: subtitle(kpi.weeks(snapshot)),
        tiles=lambda site, snapshot: tiles(kpi.weeks(snapshot), site.monthly_price),
    ),
    Page("music", "/music", "Music", "Music charts", "streams", _streams, by_state=True),
    Page(
        "listeners",
        "/listeners",
        "Listeners",
        "Who comes, stays and pays",
        "users",
        lambda _, view: f"{_when(view)}; a week begins on Monday, UTC",
        days=84,
    ),
    Page(
        "habits", "/habits", "Habits", "When and how long people listen", "streams", _streams, by_state=True
    ),
)
BY_NAME = {page.name: page for page in PAGES}
BY_PATH = {page.path: page for page in PAGES}
