"""The KPI page, light: four tiles of the newest week, and two charts under a date range."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, html
from dash.exceptions import PreventUpdate

from streaming_assets.dashboards import formats, parts
from streaming_assets.dashboards import kpi_queries as kpi
from streaming_assets.dashboards.kpi_queries import Week, Weeks
from streaming_assets.dashboards.site import Site
from streaming_assets.dashboards.snapshot import Snapshot
from streaming_assets.dashboards.views import View

REVENUE, TREND = "#0b7f76", "#4f46e5"
USER_SERIES: Any = [{"name": "Free", "color": "#7a8af7"}, {"name": "Paid", "color": "#2a2775"}]
REVENUE_SERIES: Any = [{"name": "Revenue", "color": REVENUE}]


@dataclass(frozen=True)
class Tile:
    """One of the tiles.

    Attributes:
        name: its id.
        title: its heading.
        value: its number, of a week and the monthly price of a subscription, USD.
        text: how the number is written.
        definition: what stands behind its (i).
    """

    name: str
    title: str
    value: Callable[[Week, float], float | None]
    text: Callable[[float], str]
    definition: str


TILES = (
    Tile(
        "total-users",
        "Total users",
        lambda week, _: week.users,
        formats.compact,
        "Distinct users with at least one session in the week, Monday to Sunday, UTC. Somebody who came on "
        "seven days counts once.",
    ),
    Tile(
        "conversion-rate",
        "Conversion rate",
        lambda week, _: week.conversion,
        formats.percent,
        "Paid users divided by all users of the week. A user is paid who had a session on level paid in it.",
    ),
    Tile(
        "recurring-revenue",
        "Weekly recurring revenue",
        lambda week, price: week.recurring_revenue(price),
        formats.dollars,
        "Paid users of the week times a quarter of a subscription's monthly price, USD.",
    ),
    Tile(
        "arpu-free",
        "ARPU, free tier",
        lambda week, _: week.arpu_free,
        formats.dollars,
        "Average revenue per user of the free tier: the week's advertising revenue divided by its free "
        "users, who are those without a session on level paid, USD.",
    ),
)


def render(site: Site, snapshot: Snapshot, address: str) -> Any:
    """The page, filled, as the query part of its address asks for it."""
    extent = kpi.extent(snapshot)
    weeks = kpi.weeks(snapshot)
    if extent is None:
        return parts.nothing("The snapshot has no users yet. This page fills as soon as it has.")
    view = View.of_address(address, extent)
    return html.Div(
        [
            *parts.stores("kpi", snapshot, view),
            html.Div(parts.notices(view), id="notices"),
            html.Div(
                [
                    html.H1("Business KPIs"),
                    html.P(_subtitle(weeks), id="kpi-week", className="subtitle"),
                ],
                className="page-head",
            ),
            html.Div(tiles(weeks, site.monthly_price), id="kpi-tiles", className="tiles"),
            html.Div(
                [
                    html.H2("Day by day", className="section-title"),
                    parts.date_range("kpi-days", view, extent.first.isoformat(), extent.last.isoformat()),
                ],
                className="filters",
            ),
            html.Div([_users_card(snapshot, view), _revenue_card(snapshot, view)], className="kpi-charts"),
        ]
    )


def tiles(weeks: Weeks | None, monthly_price: float) -> list[html.Div]:
    """The four tiles; empty if there is no week."""
    return [_tile(tile, weeks, monthly_price) for tile in TILES] if weeks else []


def _subtitle(weeks: Weeks | None) -> str:
    if weeks is None:
        return "No week has users yet."
    days = formats.span(weeks.shown.start, weeks.shown.start + timedelta(days=6))
    if weeks.running:
        return f"The running week, {days}: no week is complete yet, so these numbers still grow."
    before = "against the week before" if weeks.before else "no week before it to compare with"
    return f"Week of {days}, {before}"


def _tile(tile: Tile, weeks: Weeks, price: float) -> html.Div:
    value = tile.value(weeks.shown, price)
    before = tile.value(weeks.before, price) if weeks.before else None
    trend = [tile.value(week, price) or 0 for week in weeks.trend]
    return html.Div(
        [
            html.Div([html.H2(tile.title, id=f"{tile.name}-title"), _about(tile)], className="tile-head"),
            html.P(
                formats.NONE if value is None else tile.text(value),
                className="tile-value",
                title="" if value is None else f"{value:,.4f}".rstrip("0").rstrip("."),
            ),
            html.Div(
                [
                    _change(kpi.change(value, before)),
                    html.Div(
                        dmc.Sparkline(
                            data=trend,
                            h=36,
                            color=TREND,  # pyright: ignore[reportArgumentType]  # any colour will do
                            curveType="monotone",
                            fillOpacity=0.18,
                        )
                        if len(trend) > 1
                        else None,
                        className="tile-trend",
                        **parts.aria(hidden="true"),
                    ),
                ],
                className="tile-foot",
            ),
        ],
        id=tile.name,
        className="card tile",
        role="group",
        **parts.aria(labelledby=f"{tile.name}-title", data_value=repr(value)),
    )


def _about(tile: Tile) -> html.Details:
    return html.Details(
        [
            html.Summary([parts.icon("info"), parts.hidden(f"How “{tile.title}” is defined")]),
            html.P(tile.definition, className="definition"),
        ],
        className="about",
    )


def _change(relative: float | None) -> html.Div:
    if relative is None:
        return html.Div("no week before", className="change change-none")
    flat = abs(relative) < 0.0005
    kind, arrow, word = (
        ("flat", "→", "unchanged by")
        if flat
        else ("up", "▲", "up")
        if relative > 0
        else ("down", "▼", "down")
    )
    return html.Div(
        [
            html.Span(
                [
                    html.Span(arrow, **parts.aria(hidden="true")),
                    parts.hidden(word),
                    f" {abs(relative):.1%}",
                ],
                className="change-amount",
            ),
            html.Span("vs week before", className="change-note"),
        ],
        className=f"change change-{kind}",
    )


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


def _users_card(snapshot: Snapshot, view: View) -> html.Div:
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


def _revenue_card(snapshot: Snapshot, view: View) -> html.Div:
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


def register(app: Dash, site: Site) -> None:
    """The page's callbacks."""

    @app.callback(
        *(
            Output(f"{chart}-{piece}", prop)
            for chart in CHARTS
            for piece, prop in (
                ("chart", "data"),
                ("detail", "children"),
                ("rows", "children"),
                ("download", "href"),
            )
        ),
        Output("kpi-days", "maxDate"),
        Output(parts.ADDRESS | {"page": "kpi"}, "data"),
        Output("failure", "children", allow_duplicate=True),
        Input("kpi-days", "value"),
        Input(parts.SNAPSHOT | {"page": "kpi"}, "data"),
        prevent_initial_call=True,
    )
    def redraw(days: list[str | None], _snapshot: int) -> tuple[Any, ...]:
        snapshot = site.reader.current()
        extent = kpi.extent(snapshot)
        view = extent and View.of_controls(days, extent)
        if extent is None or view is None:
            raise PreventUpdate
        outputs = []
        for chart, draw in CHARTS.items():
            drawn = draw(snapshot, view)
            rows = parts.table_rows(drawn.rows)
            outputs += [drawn.data, drawn.detail, rows, parts.download_address(chart, view)]
        return *outputs, extent.last.isoformat(), view.address(), None

    @app.callback(
        Output("kpi-tiles", "children"),
        Output("kpi-week", "children"),
        Input(parts.SNAPSHOT | {"page": "kpi"}, "data"),
        prevent_initial_call=True,
    )
    def new_week(_snapshot: int) -> tuple[Any, ...]:
        weeks = kpi.weeks(site.reader.current())
        return tiles(weeks, site.monthly_price), _subtitle(weeks)
