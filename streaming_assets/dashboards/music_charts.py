"""Genres and artists of the music page, of a range of days and a state."""

from typing import Any

import dash_mantine_components as dmc
from dash import html

from streaming_assets.dashboards import formats, parts
from streaming_assets.dashboards import music_queries as music
from streaming_assets.dashboards.music_queries import Slice
from streaming_assets.dashboards.snapshot import Snapshot
from streaming_assets.dashboards.tables import ALL_STATES
from streaming_assets.dashboards.views import View

GENRE_COLORS = ("#a78bfa", "#f472b6", "#38bdf8", "#34d399", "#fbbf24")
OTHERS_COLOR = "#7b88a1"


def charts(snapshot: Snapshot, view: View, names: dict[str, str]) -> tuple[str, Any, Any]:
    """The page's subtitle, genres, and artists."""
    where = "all states" if view.state == ALL_STATES else names.get(view.state, view.state)
    when = formats.span(view.first, view.last)
    genres = music.genres(snapshot, view)
    streams = sum(part.streams for part in genres)
    return (
        f"{formats.count(streams)} streams in {where}, {when}",
        _genres_card(genres, streams, view, where, when),
        _artists_card(music.artists(snapshot, view), view, where, when),
    )


def _genres_card(genres: list[Slice], streams: int, view: View, where: str, when: str) -> html.Div:
    title = "Top genres"
    if not genres:
        return parts.card("genres", title, "", _no_streams(where, when), view)
    colors = [*GENRE_COLORS[: len(genres)], OTHERS_COLOR]
    slices: Any = [
        {"name": part.name, "value": part.streams, "color": color}
        for part, color in zip(genres, colors, strict=False)
    ]
    donut = dmc.DonutChart(
        id="genres-chart",
        data=slices,
        size="208",
        thickness=28,
        paddingAngle=2,
        strokeWidth=0,
        chartLabel=formats.compact(streams),
        tooltipDataSource="segment",
        pieChartProps={"accessibilityLayer": False},  # the legend tells the same, and better
        pieProps={"isAnimationActive": False, "rootTabIndex": -1},
    )
    legend = html.Ul(
        [
            html.Li(
                [
                    html.Span(className="swatch", style={"background": color}),
                    html.Span(part.name, className="legend-name"),
                    html.Span(formats.percent(part.share, 1), className="legend-share"),
                ],
                **parts.aria(data_streams=str(part.streams)),
            )
            for part, color in zip(genres, colors, strict=False)
        ],
        className="legend",
    )
    return parts.card(
        "genres",
        title,
        f"Share of streams in {where}",
        html.Div(
            [html.Div(donut, className="donut", **parts.aria(hidden="true")), legend], className="genres"
        ),
        view,
    )


def _artists_card(artists: list[Slice], view: View, where: str, when: str) -> html.Div:
    title = "Top artists"
    if not artists:
        return parts.card("artists", title, "", _no_streams(where, when), view)
    most = artists[0].streams
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
                                html.Div(style={"width": f"{part.streams / most:.2%}"}, className="bar-fill"),
                                className="bar-track",
                                **parts.aria(hidden="true"),
                            ),
                        ],
                        className="bar-body",
                    ),
                ],
                title=f"{part.name}: {formats.count(part.streams)} streams, {part.share:.1%} of all",
            )
            for place, part in enumerate(artists, 1)
        ],
        className="bars",
    )
    return parts.card("artists", title, f"Streams in {where}", bars, view)


def _no_streams(where: str, when: str) -> html.Div:
    return parts.nothing(f"No streams in {where}, {when}. Choose other days or another state.")
