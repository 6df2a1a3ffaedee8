"""Churn by reason page: what those who cancelled or downgraded looked at just before."""

from streaming_assets.dashboards import activity, formats, parts
from streaming_assets.dashboards.bars import FIRST, SECOND, Marks, bars
from streaming_assets.dashboards.chart import Chart, Drawn, Rows
from streaming_assets.dashboards.compare import against_before
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot

NAME, TITLE = "departures", "Churn by reason page"


def draw(snapshot: Snapshot, view: View) -> Drawn:
    """The bars, the page with most departures first."""
    by_page = activity.departures(snapshot, view)
    cancelled, downgraded = (sum(counts) for counts in zip((0, 0), *by_page.values(), strict=True))
    if not by_page:
        return Drawn(parts.nothing("Nobody cancelled or downgraded on these days. Choose other days."))
    return Drawn(
        bars(
            NAME,
            TITLE,
            "Page before",
            {"Cancelled": FIRST, "Downgraded": SECOND},
            by_page,
            marks=Marks("listeners", "left", {page: page for page in by_page}, view),
        ),
        f"{formats.count(cancelled)} cancelled and {formats.count(downgraded)} downgraded in sessions that "
        f"began on these days, by the last page before they went to leave"
        + against_before(
            snapshot,
            view,
            activity.SESSIONS,
            lambda of: sum(map(sum, activity.departures(snapshot, of).values())),
        ),
    )


def rows(snapshot: Snapshot, view: View) -> Rows:
    """The pages."""
    yield "reason_page", "cancelled", "downgraded"
    yield from ((page, *counts) for page, counts in activity.departures(snapshot, view).items())


CHART = Chart(
    NAME,
    TITLE,
    "listeners",
    50,
    12,
    (activity.SESSIONS, activity.DEPARTURES),
    draw,
    rows,
    sets=("left",),
    follows=("step",),
)
