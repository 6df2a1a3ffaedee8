"""The two charts of the KPI page, of a range of days."""

from dataclasses import dataclass
from typing import Any

import dash_mantine_components as dmc
from dash import html

from streaming_assets.dashboards import formats, parts
from streaming_assets.dashboards import kpi_queries as kpi
from streaming_assets.dashboards.snapshot import Snapshot
from streaming_assets.dashboards.views import View

REVENUE = "#0b7f76"
USER_SERIES: Any = [{"name": "Free", "color": "#7a8af7"}, {"name": "Paid", "color": "#2a2775"}]
REVENUE_SERIES: Any = [{"name": "Revenue", "color": REVENUE}]


@dataclass(frozen=True)
class Drawn:
    """What changes of a chart with the range: its data, the line below its title, its table."""

    data: Any
    detail: str
    rows: list[list[str]]


def users_chart(snapshot: Snapshot, view: View) -> Drawn:
    """Daily active users on each level; a day without data has no bars."""
    days = view.days()
    users = kpi.daily_active_users(snapshot, days)
    known = [day for day in users if day]
    peak = max(known, key=lambda day: day.all) if known else None
    return Drawn(
        [
            {"day": formats.weekday(day), "Free": at and at.free, "Paid": at and at.paid}
            for day, at in zip(days, users, strict=True)
        ],
        f"Distinct users of each day; the most, {formats.count(peak.all)}, on {formats.weekday(peak.day)}"
        if peak
        else _no_data(view),
        [
            [
                formats.weekday(day),
                *(map(formats.count, (at.free, at.paid, at.all)) if at else [formats.NONE] * 3),
            ]
            for day, at in zip(days, users, strict=True)
        ],
    )


def revenue_chart(snapshot: Snapshot, view: View) -> Drawn:
    """Daily ad revenue; the line has a gap where a day has no data."""
    days = view.days()
    revenue = kpi.daily_ad_revenue(snapshot, days)
    known = [amount for amount in revenue if amount is not None]
    return Drawn(
        [{"day": formats.weekday(day), "Revenue": amount} for day, amount in zip(days, revenue, strict=True)],
        f"USD of each day, {formats.dollars(sum(known))} in all" if known else _no_data(view),
        [
            [formats.weekday(day), formats.NONE if amount is None else f"{amount:,.2f}"]
            for day, amount in zip(days, revenue, strict=True)
        ],
    )


CHARTS = {"daily-active-users": users_chart, "daily-ad-revenue": revenue_chart}


def users_card(snapshot: Snapshot, view: View) -> html.Div:
    """Daily active users: bars, free beside paid."""
    title = "Daily active users"
    drawn = users_chart(snapshot, view)
    chart = dmc.BarChart(
        id="daily-active-users-chart",
        data=drawn.data,
        dataKey="day",
        series=USER_SERIES,
        barProps={"radius": [3, 3, 0, 0], "isAnimationActive": False},
        barChartProps={"barGap": 1, "barCategoryGap": "12%"},
        maxBarWidth=24,
        **_axes("count"),
    )
    table = parts.as_table("daily-active-users-rows", title, ["Day", "Free", "Paid", "All"], drawn.rows)
    return parts.card("daily-active-users", title, drawn.detail, html.Div([chart, table]), view)


def revenue_card(snapshot: Snapshot, view: View) -> html.Div:
    """Daily advertising revenue: a line."""
    title = "Daily advertising revenue"
    drawn = revenue_chart(snapshot, view)
    chart = dmc.AreaChart(
        id="daily-ad-revenue-chart",
        data=drawn.data,
        dataKey="day",
        series=REVENUE_SERIES,
        curveType="linear",
        connectNulls=False,
        dotProps={"r": 2.5, "strokeWidth": 0, "fill": REVENUE},
        strokeWidth=2.5,
        fillOpacity=0.16,
        areaProps={"isAnimationActive": False},
        **_axes("dollars"),
    )
    table = parts.as_table("daily-ad-revenue-rows", title, ["Day", "USD"], drawn.rows)
    return parts.card("daily-ad-revenue", title, drawn.detail, html.Div([chart, table]), view)


def _axes(value_format: str) -> dict[str, Any]:
    legend = {"verticalAlign": "top", "align": "right", "height": 36}
    return {
        "h": 300,
        "valueFormatter": {"function": value_format},
        "withLegend": value_format == "count",
        "legendProps": legend,
        "gridAxis": "x",
        "tickLine": "none",
        "strokeDasharray": "3 4",
        "gridColor": "var(--line)",
        "textColor": "var(--soft)",
        "tooltipAnimationDuration": 120,
        "xAxisProps": {"tickFormatter": {"function": "shortDay"}, "minTickGap": 24, "tickMargin": 10},
        "yAxisProps": {"width": 52, "tickMargin": 6, "tickCount": 6},
    }


def _no_data(view: View) -> str:
    return f"No data in {formats.span(view.first, view.last)}; choose other days."
