"""New against returning users, week by week."""

from datetime import timedelta

from streaming_assets.dashboards import activity, formats, parts
from streaming_assets.dashboards.bars import FIRST, SECOND, bars
from streaming_assets.dashboards.chart import Chart, Drawn, Rows
from streaming_assets.dashboards.compare import against_before
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot

NAME, TITLE = "new-users", "New and returning users"


def draw(snapshot: Snapshot, view: View) -> Drawn:
    """The bars."""
    users = activity.new_and_returning(snapshot, view)
    if not any(map(sum, users.values())):
        return Drawn(parts.nothing("No user came in these weeks. Choose other days."))
    running = activity.running_week(snapshot)
    labels = {week: f"{week.day} {week:%b}" for week in users}
    new = _new(snapshot, view)
    return Drawn(
        bars(
            NAME,
            TITLE,
            "Week from",
            {"New": FIRST, "Returning": SECOND},
            {labels[week]: counts for week, counts in users.items()},
            ((week, week + timedelta(days=6)) for week in users),
            labels.get(running) if running else None,
        ),
        f"Users of each week; {formats.count(new)} were first seen in these weeks"
        + against_before(snapshot, view, activity.SESSIONS, lambda of: _new(snapshot, of)),
    )


def _new(snapshot: Snapshot, view: View) -> int:
    return sum(new for new, _ in activity.new_and_returning(snapshot, view).values())


def rows(snapshot: Snapshot, view: View) -> Rows:
    """The weeks."""
    yield "week_start", "new_users", "returning_users"
    yield from ((week, *counts) for week, counts in activity.new_and_returning(snapshot, view).items())


CHART = Chart(
    NAME,
    TITLE,
    "listeners",
    20,
    6,
    (activity.SESSIONS,),
    draw,
    rows,
    register=parts.shows_days("listeners", NAME),
    follows=("step", "left"),
    metric="active_users",
)
