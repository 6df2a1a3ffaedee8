"""Daily advertising revenue: a line."""

from collections.abc import Sequence
from datetime import date

import dash_mantine_components as dmc
from dash import html

from streaming_assets.dashboards import days as by_day
from streaming_assets.dashboards import formats, parts
from streaming_assets.dashboards.chart import Chart, Drawn, Rows
from streaming_assets.dashboards.compare import against_before
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot

NAME, TITLE, TABLE = "daily-ad-revenue", "Daily advertising revenue", "mart_daily_ad_revenue"
COLOURS = {"Revenue": ("var(--revenue)", "var(--revenue-so-far)")}


def daily_ad_revenue(snapshot: Snapshot, days: Sequence[date]) -> list[float | None]:
    """For each of `days` its advertising revenue, USD; None for a day without data."""
    found = snapshot.query("SELECT event_date, ad_revenue FROM {rows}", TABLE, days)
    revenue = {row["event_date"]: row["ad_revenue"] for row in found.to_pylist()}
    return [revenue.get(day) for day in days]


def draw(snapshot: Snapshot, view: View) -> Drawn:
    """The line, with a gap where a day has no data; an unfinished day is a point beside it."""
    days = view.days()
    revenue = daily_ad_revenue(snapshot, days)
    known = [amount for amount in revenue if amount is not None]
    chart = dmc.AreaChart(
        id=f"{NAME}-chart",
        data=by_day.points(days, [{"Revenue": amount} for amount in revenue], snapshot),
        dataKey="day",
        series=by_day.series(COLOURS, view, snapshot),
        curveType="linear",
        connectNulls=False,
        dotProps={"r": 2.5, "strokeWidth": 0},
        strokeWidth=2.5,
        fillOpacity=0.16,
        areaProps={"isAnimationActive": False},
        **by_day.axes(view, "dollars", with_legend=bool(by_day.note(view, snapshot))),
    )
    table = parts.as_table(
        f"{NAME}-rows",
        TITLE,
        ["Day", "USD"],
        [
            [by_day.heading(NAME, day, snapshot), formats.NONE if amount is None else f"{amount:,.2f}"]
            for day, amount in zip(days, revenue, strict=True)
        ],
    )
    detail = (
        f"USD of each day, {formats.dollars(sum(known))} in all"
        + against_before(snapshot, view, TABLE, lambda of: _in_all(snapshot, of))
        + by_day.note(view, snapshot)
        if known
        else by_day.no_data(view)
    )
    return Drawn(html.Div([chart, table]), detail)


def _in_all(snapshot: Snapshot, view: View) -> float:
    return sum(amount or 0 for amount in daily_ad_revenue(snapshot, view.days()))


def rows(snapshot: Snapshot, view: View) -> Rows:
    """The days, those without data too."""
    yield "day", "ad_revenue_usd"
    for day, amount in zip(view.days(), daily_ad_revenue(snapshot, view.days()), strict=True):
        yield day, None if amount is None else round(amount, 6)


CHART = Chart(
    NAME,
    TITLE,
    "kpi",
    20,
    6,
    (TABLE,),
    draw,
    rows,
    register=parts.shows_days("kpi", NAME),
    metric="ad_revenue",
)
