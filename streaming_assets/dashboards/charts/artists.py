"""Top artists: a bar each."""

from dash import html

from streaming_assets.dashboards import formats, parts, streams
from streaming_assets.dashboards.chart import Chart, Drawn, Rows
from streaming_assets.dashboards.streams import Slice
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot

TABLE = "mart_daily_artist_streams"
SHOWN = 10


def artists(snapshot: Snapshot, view: View, shown: int | None = SHOWN) -> list[Slice]:
    """The artists with the most streams, the largest first, with their share of all; None shows all."""
    return streams.largest(snapshot, TABLE, "artist", view, shown)


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
                    html.Div(
                        [
                            html.Div(
                                [
                                    html.Span(part.name, className="bar-name"),
                                    html.Span(formats.count(part.streams), className="bar-value"),
                                ],
                                className="bar-line",
                            ),
                            html.Div(
                                html.Div(
                                    style={"width": f"{part.streams / most[0].streams:.2%}"},
                                    className="bar-fill",
                                ),
                                className="bar-track",
                                **parts.aria(hidden="true"),
                            ),
                        ],
                        className="bar-body",
                    ),
                ],
                title=f"{part.name}: {formats.count(part.streams)} streams, {part.share:.1%} of all",
            )
            for place, part in enumerate(most, 1)
        ],
        className="bars",
    )
    return Drawn(bars, f"Streams in {streams.where(snapshot, view)}")


def rows(snapshot: Snapshot, view: View) -> Rows:
    """All artists."""
    yield "artist", "streams", "share"
    yield from ((part.name, part.streams, part.share) for part in artists(snapshot, view, shown=None))


CHART = Chart("artists", "Top artists", "music", 30, 5, (TABLE,), draw, rows)
