"""How long sessions are: a histogram."""

from streaming_assets.dashboards import activity, formats, streams
from streaming_assets.dashboards.bars import FIRST, bars
from streaming_assets.dashboards.chart import Chart, Drawn, Rows
from streaming_assets.dashboards.compare import against_before
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot

NAME, TITLE = "session-lengths", "Length of sessions"
STEP, LAST = 15, 180  # minutes; all from the last on are one bar


def lengths(snapshot: Snapshot, view: View) -> dict[int, int]:
    """Sessions of each quarter of an hour up to three hours, those that are longer in the last."""
    found = activity.sessions_by_minutes(snapshot, view.first, view.last, view.state, STEP)
    counts = {minutes: found.get(minutes, 0) for minutes in range(0, LAST, STEP)}
    return counts | {LAST: sum(count for minutes, count in found.items() if minutes >= LAST)}


def draw(snapshot: Snapshot, view: View) -> Drawn:
    """The bars."""
    counts = lengths(snapshot, view)
    if not any(counts.values()):
        return Drawn(streams.no_sessions(snapshot, view))
    values = {_label(minutes): (count,) for minutes, count in counts.items()}
    return Drawn(
        bars(NAME, TITLE, "Minutes", {"Sessions": FIRST}, values),
        f"{formats.count(sum(counts.values()))} sessions that began in {streams.where(snapshot, view)}"
        + against_before(snapshot, view, activity.SESSIONS, lambda of: sum(lengths(snapshot, of).values())),
    )


def _label(minutes: int) -> str:
    return f"{minutes}–{minutes + STEP}" if minutes < LAST else f"{minutes}+"


def rows(snapshot: Snapshot, view: View) -> Rows:
    """The bars' numbers."""
    yield "from_minutes", "sessions"
    yield from lengths(snapshot, view).items()


CHART = Chart(
    NAME,
    TITLE,
    "habits",
    20,
    6,
    (activity.SESSIONS, activity.LOCATIONS),
    draw,
    rows,
    metric="session_length",
)
