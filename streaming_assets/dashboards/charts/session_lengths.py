"""How long sessions are: a histogram."""

from streaming_assets.dashboards import formats, habits, streams
from streaming_assets.dashboards.bars import FIRST, Marks, bars
from streaming_assets.dashboards.chart import Chart, Drawn, Rows
from streaming_assets.dashboards.compare import against_before
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot

NAME, TITLE = "session-lengths", "Length of sessions"


def draw(snapshot: Snapshot, view: View) -> Drawn:
    """The bars."""
    counts = habits.sessions_by_minutes(snapshot, view)
    if not any(counts.values()):
        return Drawn(streams.no_sessions(snapshot, view))
    labels = habits.MINUTE_LABELS
    values = {labels[minutes]: (count,) for minutes, count in counts.items()}
    marks = Marks("habits", "minutes", {label: str(start) for start, label in labels.items()}, view)
    return Drawn(
        bars(NAME, TITLE, "Minutes", {"Sessions": FIRST}, values, marks=marks),
        f"{formats.count(sum(counts.values()))} sessions that began in {streams.where(snapshot, view)}"
        + against_before(
            snapshot,
            view,
            habits.SESSIONS,
            lambda of: sum(habits.sessions_by_minutes(snapshot, of).values()),
            lambda of, until: sum(habits.sessions_by_minutes(snapshot, of, until).values()),
        ),
    )


def rows(snapshot: Snapshot, view: View) -> Rows:
    """The bars' numbers."""
    yield "from_minutes", "sessions"
    yield from habits.sessions_by_minutes(snapshot, view).items()


CHART = Chart(
    NAME,
    TITLE,
    "habits",
    20,
    6,
    (habits.SESSIONS, habits.LISTENS, habits.LOCATIONS),
    draw,
    rows,
    metric="session_length",
    sets=("minutes",),
    follows=("weekday", "hour", "songs"),
)
