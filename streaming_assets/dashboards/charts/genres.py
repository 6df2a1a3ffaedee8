"""Top genres: a ring of the largest, and their shares."""

from typing import Any
from urllib.parse import urlencode

import dash_mantine_components as dmc
from dash import html

from streaming_assets.dashboards import formats, parts, streams
from streaming_assets.dashboards.chart import Chart, Drawn, Rows
from streaming_assets.dashboards.streams import Slice
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot

NAME, TITLE, TABLE = "genres", "Top genres", streams.GENRES
SHOWN = 5
OTHERS = "Others"
COLOURS = tuple(f"var(--slice-{number})" for number in range(1, SHOWN + 1))
OTHERS_COLOUR = "var(--slice-others)"


def genres(snapshot: Snapshot, view: View, shown: int | None = SHOWN) -> list[Slice]:
    """Genres by streams, the largest first, those after the first `shown` as one slice `Others`."""
    slices = streams.largest(snapshot, TABLE, "genre", view)
    if shown is None or len(slices) <= shown:
        return slices
    rest = slices[shown:]
    others = Slice(OTHERS, sum(part.streams for part in rest), sum(part.share for part in rest))
    return [*slices[:shown], others]


def draw(snapshot: Snapshot, view: View) -> Drawn:
    """The ring and its legend."""
    parts_of_all = genres(snapshot, view)
    if not parts_of_all:
        return Drawn(streams.no_streams(snapshot, view))
    first = parts_of_all[0].name
    colours = [*COLOURS[: len(parts_of_all)], OTHERS_COLOUR]
    slices: Any = [
        {"name": part.name, "value": part.streams, "color": colour, "sets": _sets(part.name)}
        for part, colour in zip(parts_of_all, colours, strict=False)
    ]
    donut = dmc.DonutChart(
        id=f"{NAME}-chart",
        data=slices,
        size="208",
        thickness=28,
        paddingAngle=2,
        strokeWidth=0,
        chartLabel=formats.compact(sum(part.streams for part in parts_of_all)),
        tooltipDataSource="segment",
        pieChartProps={"accessibilityLayer": False},  # the legend tells the same, and better
        pieProps={"isAnimationActive": False, "rootTabIndex": -1},
    )
    legend = html.Ul(
        [
            html.Li(
                [
                    html.Span(className="swatch", style={"background": colour}),
                    html.Span(
                        part.name if part.name == OTHERS else _button("legend", part.name, view),
                        className="legend-name",
                    ),
                    html.Span(formats.percent(part.share, 1), className="legend-share"),
                ],
                **parts.aria(data_streams=str(part.streams)),
            )
            for part, colour in zip(parts_of_all, colours, strict=False)
        ],
        className="legend",
    )
    figure = html.Div(
        [
            html.Div(donut, className="donut", **parts.aria(hidden="true")),
            legend,
            streams.as_table(
                NAME,
                TITLE,
                "Genre",
                genres(snapshot, view, shown=None),
                lambda genre: _button("rows", genre, view),
            ),
        ],
        className="genres",
    )
    return Drawn(
        figure,
        f"Share of streams in {streams.where(snapshot, view)}; choose a genre to filter by it"
        + streams.first_against_before(
            snapshot,
            view,
            TABLE,
            first,
            lambda of: streams.of_one(snapshot, TABLE, "genre", first, of),
        ),
    )


def _sets(genre: str) -> str:
    return "" if genre == OTHERS else urlencode({"genre": genre})


def _button(place: str, genre: str, view: View) -> html.Button:
    return parts.mark_button("music", f"{NAME}-{place}", genre, view, genre=genre)


def rows(snapshot: Snapshot, view: View) -> Rows:
    """All genres."""
    yield "genre", "streams", "share"
    yield from ((part.name, part.streams, part.share) for part in genres(snapshot, view, shown=None))


CHART = Chart(NAME, TITLE, "music", 20, 5, (TABLE,), draw, rows, metric="listens", sets=("genre",))
