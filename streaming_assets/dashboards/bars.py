"""Bars side by side or on top of each other, with their numbers as a table."""

from collections.abc import Iterable
from datetime import date
from typing import Any

import dash_mantine_components as dmc
from dash import html

from streaming_assets.dashboards import formats, parts

FIRST, SECOND = "var(--series-1)", "var(--series-2)"


def bars(
    name: str,
    title: str,
    along: str,
    series: dict[str, str],
    values: dict[str, tuple[int, ...]],
    spans: Iterable[tuple[date, date]] = (),
) -> html.Div:
    """A bar for each of `values`, a part of it for each of the series.

    Args:
        name: of the chart.
        title: of its table.
        along: what the labels of the bars are.
        series: names of the parts, and their colours.
        values: of each bar, by its label.
        spans: first and last day of each, for bars that stand for days; see `parts.shows_days`.
    """
    points: Any = [
        {along: label, **dict(zip(series, counts, strict=True))} for label, counts in values.items()
    ]
    for point, (first, last) in zip(points, spans, strict=False):
        point |= {"from": first.isoformat(), "to": last.isoformat()}
    of: Any = [{"name": part, "color": colour, "stackId": "all"} for part, colour in series.items()]
    chart = dmc.BarChart(
        id=f"{name}-chart",
        h=260,
        data=points,
        dataKey=along,
        series=of,
        maxBarWidth=44,
        withLegend=len(series) > 1,
        legendProps={"verticalAlign": "top", "align": "right", "height": 36},
        barProps={"isAnimationActive": False},
        valueFormatter={"function": "count"},
        tickLine="none",
        gridAxis="x",
        strokeDasharray="3 4",
        gridColor="var(--line)",
        textColor="var(--soft)",
        xAxisProps={"tickMargin": 10, "interval": "equidistantPreserveStart"},
        yAxisProps={"width": 52, "tickMargin": 6, "tickCount": 6},
    )
    table = parts.as_table(
        f"{name}-rows",
        title,
        [along, *series],
        [[label, *map(formats.count, counts)] for label, counts in values.items()],
    )
    return html.Div([chart, table])
