"""The charts of a page, drawn in their places, and drawn anew when the filters change."""

from datetime import timedelta
from functools import partial
from typing import Any

from dash import Output, html

from streaming_assets.dashboards import marks, parts, streams
from streaming_assets.dashboards.chart import Chart
from streaming_assets.dashboards.charts import charts_of
from streaming_assets.dashboards.pages import BY_NAME
from streaming_assets.dashboards.views import Extent, View
from streaming_assets.published.snapshot import Snapshot


def extent(page: str, snapshot: Snapshot) -> Extent | None:
    """The days that the page's charts have data of, up to the newest hour; None if they have none.

    An event that claims to be of a later day is no reason to show that day.
    """
    newest = (snapshot.as_of - timedelta(microseconds=1)).date()
    tables = {table for chart in charts_of(page) for table in chart.reads}
    days = [day for table in tables for day in snapshot.days(table) if day <= newest]
    return Extent(min(days), max(days), BY_NAME[page].days) if days else None


def view_of(page: str, snapshot: Snapshot, query: str) -> View | None:
    """The view that the query part of a page's address asks for; None if its charts have no data."""
    found = extent(page, snapshot)
    amiss = {mark.name: partial(mark.amiss, snapshot) for mark in marks.of_page(page)}
    return View.of_address(query, found, streams.state_names(snapshot), amiss) if found else None


def cards(page: str, snapshot: Snapshot, view: View) -> html.Div:
    """The page's charts, each in its card."""
    return html.Div(
        [
            html.Div(_card(chart, snapshot, view), id=f"{chart.name}-card", className=f"span-{chart.width}")
            for chart in charts_of(page)
        ],
        className="charts",
    )


def outputs(page: str) -> list[Output]:
    """What changes of the page's charts with the filters."""
    return [
        output
        for chart in charts_of(page)
        for output in (chart.live.outputs if chart.live else (Output(f"{chart.name}-card", "children"),))
    ]


def values(page: str, snapshot: Snapshot, view: View) -> list[Any]:
    """The values of `outputs`."""
    return [
        value
        for chart in charts_of(page)
        for value in (chart.live.values(snapshot, view) if chart.live else (_card(chart, snapshot, view),))
    ]


def _card(chart: Chart, snapshot: Snapshot, view: View) -> html.Div:
    drawn = chart.draw(snapshot, view)
    explained = parts.about(chart.title, chart.metric, chart.reads)
    detail = [drawn.detail, note(chart, view)]
    return parts.card(chart.name, chart.title, detail, drawn.figure, view, drawn.extra, explained)


def note(chart: Chart, view: View) -> str:
    """What the chart's caption says of the marks that it does not follow."""
    return marks.note(view, (*chart.sets, *chart.follows))
