"""How many songs are played in a session: a histogram."""

from streaming_assets.dashboards import activity, formats, streams
from streaming_assets.dashboards.bars import FIRST, bars
from streaming_assets.dashboards.chart import Chart, Drawn, Rows
from streaming_assets.dashboards.compare import against_before
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot

NAME, TITLE = "session-songs", "Songs a session"
# The starts of the bars; the last has all from there on.
STARTS: tuple[int, ...] = (0, 1, 2, 3, 5, 10, 20, 30, 50, 75, 100)


def songs(snapshot: Snapshot, view: View) -> dict[int, int]:
    """Sessions by songs, under the start of each bar."""
    found = activity.sessions_by_songs(snapshot, view.first, view.last, view.state)
    counts = dict.fromkeys(STARTS, 0)
    for number, sessions in found.items():
        counts[max(start for start in STARTS if start <= number)] += sessions
    return counts


def draw(snapshot: Snapshot, view: View) -> Drawn:
    """The bars."""
    counts = songs(snapshot, view)
    if not any(counts.values()):
        return Drawn(streams.no_sessions(snapshot, view))
    labels = dict(zip(STARTS, map(_label, STARTS, (*STARTS[1:], None)), strict=True))
    values = {labels[start]: (count,) for start, count in counts.items()}
    mean = _mean(snapshot, view) or 0
    return Drawn(
        bars(NAME, TITLE, "Songs", {"Sessions": FIRST}, values),
        f"Sessions that began in {streams.where(snapshot, view)}; {formats.decimal(mean)} songs on average"
        + against_before(snapshot, view, activity.SESSIONS, lambda of: _mean(snapshot, of)),
    )


def _mean(snapshot: Snapshot, view: View) -> float | None:
    found = activity.sessions_by_songs(snapshot, view.first, view.last, view.state)
    return sum(number * count for number, count in found.items()) / sum(found.values()) if found else None


def _label(start: int, following: int | None) -> str:
    if following is None:
        return f"{start}+"
    return f"{start}" if following == start + 1 else f"{start}–{following - 1}"


def rows(snapshot: Snapshot, view: View) -> Rows:
    """Every number of songs that occurs."""
    yield "songs", "sessions"
    yield from sorted(activity.sessions_by_songs(snapshot, view.first, view.last, view.state).items())


CHART = Chart(
    NAME, TITLE, "habits", 30, 6, (activity.SESSIONS, activity.LISTENS, activity.LOCATIONS), draw, rows
)
