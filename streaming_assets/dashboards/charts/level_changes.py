"""Changes of level by day: who starts to pay, and who stops."""

from streaming_assets.dashboards import activity, formats, parts
from streaming_assets.dashboards import days as by_day
from streaming_assets.dashboards.bars import FIRST, SECOND, bars
from streaming_assets.dashboards.chart import Chart, Drawn, Rows
from streaming_assets.dashboards.compare import against_before
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot

NAME, TITLE = "level-changes", "Changes of level"


def draw(snapshot: Snapshot, view: View) -> Drawn:
    """The bars."""
    days = view.days()
    changes = activity.level_changes(snapshot, view)
    to_paid, to_free = (sum(counts) for counts in zip(*changes, strict=True))
    if not to_paid + to_free:
        return Drawn(
            parts.nothing(f"Nobody changed level, {formats.span(view.first, view.last)}. Choose other days.")
        )
    labels = {day: f"{day.day} {day:%b}" for day in days}
    values = {labels[day]: counts for day, counts in zip(days, changes, strict=True)}
    unfinished = by_day.unfinished(snapshot)
    return Drawn(
        bars(
            NAME,
            TITLE,
            "Day",
            {"To paid": FIRST, "To free": SECOND},
            values,
            zip(days, days, strict=True),
            labels.get(unfinished) if unfinished else None,
        ),
        f"{formats.count(to_free)} changes to free, {formats.count(to_paid)} to paid"
        + against_before(
            snapshot,
            view,
            activity.SESSIONS,
            lambda of: sum(paid for paid, _ in activity.level_changes(snapshot, of)),
        ),
    )


def rows(snapshot: Snapshot, view: View) -> Rows:
    """The days."""
    yield "day", "to_paid", "to_free"
    yield from (
        (day, *counts)
        for day, counts in zip(view.days(), activity.level_changes(snapshot, view), strict=True)
    )


CHART = Chart(
    NAME,
    TITLE,
    "listeners",
    40,
    12,
    (activity.SESSIONS, activity.USERS),
    draw,
    rows,
    register=parts.shows_days("listeners", NAME),
    follows=("step", "left"),
)
