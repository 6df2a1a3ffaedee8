"""Top artists: a bar each."""

from dash import Dash, html

from streaming_assets.dashboards import formats, parts, song_ranking, streams
from streaming_assets.dashboards.chart import Chart, Drawn, Rows
from streaming_assets.dashboards.charts.songs import SEARCH
from streaming_assets.dashboards.site import Site
from streaming_assets.dashboards.streams import Slice
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot

TABLE = "mart_daily_artist_streams"
SHOWN = 10
CHOICE = "artist"


def artists(snapshot: Snapshot, view: View, shown: int | None = SHOWN) -> list[Slice]:
    """The artists with the most streams, the largest first, with their share of all; None shows all."""
    if not view.mark("genre"):
        return streams.largest(snapshot, TABLE, "artist", view, shown)
    found = song_ranking.artists(snapshot, view)
    all_streams = sum(count for _, count in found)
    return [Slice(name, count, count / all_streams) for name, count in found[:shown]]


def draw(snapshot: Snapshot, view: View) -> Drawn:
    """The bars, in order."""
    most = artists(snapshot, view)
    if not most:
        return Drawn(streams.no_streams(snapshot, view))
    bars = html.Ol(
        [
            html.Li(
                [
                    html.Span(str(place), className="bar-rank"),
                    parts.bar(
                        part.name,
                        formats.count(part.streams),
                        part.streams / most[0].streams,
                        parts.choice(CHOICE, part.name, part.name),
                    ),
                ],
                title=f"{part.name}: {formats.count(part.streams)} streams, {part.share:.1%} of all",
            )
            for place, part in enumerate(most, 1)
        ],
        className="bars",
    )
    figure = [bars, streams.as_table("artists", "Top artists", "Artist", most)]
    return Drawn(
        html.Div(figure, className="filled"),
        f"Streams in {streams.where(snapshot, view)}; choose an artist to see the songs"
        + streams.first_against_before(
            snapshot, view, TABLE, most[0].name, lambda of: _streams_of(snapshot, of, most[0].name)
        ),
    )


def _streams_of(snapshot: Snapshot, view: View, artist: str) -> int:
    if not view.mark("genre"):
        return streams.of_one(snapshot, TABLE, "artist", artist, view)
    return dict(song_ranking.artists(snapshot, view)).get(artist, 0)


def rows(snapshot: Snapshot, view: View) -> Rows:
    """All artists."""
    yield "artist", "streams", "share"
    yield from ((part.name, part.streams, part.share) for part in artists(snapshot, view, shown=None))


def register(app: Dash, _site: Site) -> None:
    """A click on an artist seeks it among the songs."""
    parts.register_choice(app, CHOICE, SEARCH)


CHART = Chart(
    "artists",
    "Top artists",
    "music",
    30,
    5,
    (TABLE,),
    draw,
    rows,
    register=register,
    metric="listens",
    follows=("genre",),
)
