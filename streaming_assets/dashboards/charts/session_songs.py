"""How many songs are played in a session: a histogram."""

from streaming_assets.dashboards import formats, habits, streams
from streaming_assets.dashboards.bars import FIRST, Marks, bars
from streaming_assets.dashboards.chart import Chart, Drawn, Rows
from streaming_assets.dashboards.compare import against_before
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot

NAME, TITLE = "session-songs", "Songs a session"


def draw(snapshot: Snapshot, view: View) -> Drawn:
    """The bars."""
    counts = habits.by_song_counts(habits.sessions_by_songs(snapshot, view))
    if not any(counts.values()):
        return Drawn(streams.no_sessions(snapshot, view))
    labels = habits.SONG_LABELS
    marks = Marks("habits", "songs", {label: str(start) for start, label in labels.items()}, view)
    values = {labels[start]: (count,) for start, count in counts.items()}
    mean = _mean(snapshot, view) or 0
    return Drawn(
        bars(NAME, TITLE, "Songs", {"Sessions": FIRST}, values, marks=marks),
        f"Sessions that began in {streams.where(snapshot, view)}; {formats.decimal(mean)} songs on average"
        + against_before(snapshot, view, habits.SESSIONS, lambda of: _mean(snapshot, of)),
    )


def _mean(snapshot: Snapshot, view: View) -> float | None:
    found = habits.sessions_by_songs(snapshot, view)
    return sum(number * count for number, count in found.items()) / sum(found.values()) if found else None


def rows(snapshot: Snapshot, view: View) -> Rows:
    """Every number of songs that occurs."""
    yield "songs", "sessions"
    yield from sorted(habits.sessions_by_songs(snapshot, view).items())


CHART = Chart(
    NAME,
    TITLE,
    "habits",
    30,
    6,
    (habits.SESSIONS, habits.LISTENS, habits.LOCATIONS),
    draw,
    rows,
    sets=("songs",),
    follows=("weekday", "hour", "minutes"),
)
