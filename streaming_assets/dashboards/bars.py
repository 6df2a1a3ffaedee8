"""Bars side by side or on top of each other, with their numbers as a table."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlencode

import dash_mantine_components as dmc
from dash import html

from streaming_assets.dashboards import formats, parts
from streaming_assets.dashboards.days import SO_FAR
from streaming_assets.dashboards.views import View

# Colours of a series, and of the same in a day or week that is not over.
FIRST = ("var(--series-1)", "var(--series-1-so-far)")
SECOND = ("var(--series-2)", "var(--series-2-so-far)")


OTHERS = ", others"


@dataclass(frozen=True)
class Marks:
    """By what a click on a bar filters a page; once it does, the other bars are pale.

    Attributes:
        page: the page's name.
        name: the mark's, see marks.py.
        values: of each bar, by its label.
        view: what is shown.
    """

    page: str
    name: str
    values: dict[str, str]
    view: View


def bars(
    name: str,
    title: str,
    along: str,
    series: dict[str, tuple[str, str]],
    values: dict[str, tuple[int, ...]],
    spans: Iterable[tuple[date, date]] = (),
    unfinished: str | None = None,
    marks: Marks | None = None,
) -> html.Div:
    """A bar for each of `values`, a part of it for each of the series.

    Args:
        name: of the chart.
        title: of its table.
        along: what the labels of the bars are.
        series: names of the parts, and their colours.
        values: of each bar, by its label.
        spans: first and last day of each, for bars that stand for days; see `parts.shows_days`.
        unfinished: label of the bar whose days are not over.
        marks: by what a click on a bar filters the page.
    """
    named = {label: label + (SO_FAR if label == unfinished else "") for label in values}
    pale = {unfinished: SO_FAR} if unfinished in values else {}
    if marks and (chosen := marks.view.mark(marks.name)):
        pale = {label: OTHERS for label, value in marks.values.items() if value != chosen}
    points: Any = [
        {along: named[label]}
        | {part + pale.get(label, ""): n for part, n in zip(series, counts, strict=True)}
        for label, counts in values.items()
    ]
    headings: list[Any] = [*named.values()]
    for at, (first, last) in enumerate(spans):
        points[at] |= {"from": first.isoformat(), "to": last.isoformat()}
        headings[at] = parts.days_button(name, headings[at], first, last)
    if marks:
        for at, value in enumerate(marks.values.values()):
            sets = {marks.name: value}
            points[at] |= {"sets": urlencode(sets)}
            headings[at] = parts.mark_button(marks.page, name, headings[at], marks.view, **sets)
    of: Any = [{"name": part, "color": whole, "stackId": "all"} for part, (whole, _) in series.items()]
    for suffix in {*pale.values()}:
        of += [
            {"name": part + suffix, "color": colour, "stackId": "all"} for part, (_, colour) in series.items()
        ]
    chart = dmc.BarChart(
        id=f"{name}-chart",
        h=260,
        data=points,
        dataKey=along,
        series=of,
        maxBarWidth=44,
        withLegend=len(of) > 1,
        legendProps={"verticalAlign": "top", "align": "right"},
        barProps={"isAnimationActive": False},
        valueFormatter={"function": "count"},
        tickLine="none",
        gridAxis="x",
        strokeDasharray="3 4",
        gridColor="var(--line)",
        textColor="var(--soft)",
        xAxisProps={"tickMargin": 10, "interval": "equidistantPreserveStart"},
        yAxisProps={"width": 52, "tickMargin": 6, "tickCount": 6, "allowDecimals": False},
    )
    table = parts.as_table(
        f"{name}-rows",
        title,
        [along, *series],
        [
            [heading, *map(formats.count, counts)]
            for heading, counts in zip(headings, values.values(), strict=True)
        ],
    )
    return html.Div([chart, table])
