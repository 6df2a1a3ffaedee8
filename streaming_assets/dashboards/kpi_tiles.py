"""The four tiles of the KPI page, and what stands behind their (i)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import dash_mantine_components as dmc
from dash import html

from streaming_assets.dashboards import formats, parts
from streaming_assets.dashboards import kpi_queries as kpi
from streaming_assets.dashboards.kpi_queries import Week, Weeks

TREND = "var(--trend)"


@dataclass(frozen=True)
class Tile:
    """One of the tiles.

    Attributes:
        name: its id.
        title: its heading.
        value: its number, of a week and the monthly price of a subscription, USD.
        text: how the number is written.
        metric: the metric that it shows, whose description stands behind its (i).
    """

    name: str
    title: str
    value: Callable[[Week, float], float | None]
    text: Callable[[float], str]
    metric: str


TILES = (
    Tile(
        "total-users",
        "Total users",
        lambda week, _: week.users,
        formats.compact,
        "active_users",
    ),
    Tile(
        "conversion-rate",
        "Conversion rate",
        lambda week, _: week.conversion,
        formats.percent,
        "conversion_rate",
    ),
    Tile(
        "recurring-revenue",
        "Weekly recurring revenue",
        lambda week, price: week.recurring_revenue(price),
        formats.dollars,
        "weekly_recurring_revenue",
    ),
    Tile(
        "arpu-free",
        "ARPU, free tier",
        lambda week, _: week.arpu_free,
        formats.dollars,
        "arpu_free",
    ),
)


def tiles(weeks: Weeks | None, monthly_price: float) -> list[html.Div]:
    """The four tiles; empty if there is no week."""
    return [_tile(tile, weeks, monthly_price) for tile in TILES] if weeks else []


def subtitle(weeks: Weeks | None) -> str:
    """Which week the tiles show, and against which."""
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
            html.Div(
                [html.H2(tile.title, id=f"{tile.name}-title"), parts.about(tile.title, tile.metric)],
                className="tile-head",
            ),
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
