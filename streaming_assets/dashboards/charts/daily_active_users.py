"""Daily active users: bars, free beside paid."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import dash_mantine_components as dmc
from dash import html

from streaming_assets.dashboards import days as by_day
from streaming_assets.dashboards import formats, parts
from streaming_assets.dashboards.chart import Chart, Drawn, Rows
from streaming_assets.dashboards.compare import against_before
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot

NAME, TITLE, TABLE = "daily-active-users", "Daily active users", "mart_daily_active_users"
COLOURS = {"Free": ("var(--free)", "var(--free-so-far)"), "Paid": ("var(--paid)", "var(--paid-so-far)")}


@dataclass(frozen=True)
class ActiveUsers:
    """Distinct users of a day: on each level, and at all (who was on both counts once there)."""

    day: date
    free: int
    paid: int
    all: int


def daily_active_users(snapshot: Snapshot, days: Sequence[date]) -> list[ActiveUsers | None]:
    """For each of `days` its users; None for a day without data."""
    rows = snapshot.query("SELECT event_date, level, active_users FROM {rows}", TABLE, days).to_pylist()
    users = {(row["event_date"], row["level"]): row["active_users"] for row in rows}
    seen = {day for day, _ in users}
    return [
        ActiveUsers(day, *(users.get((day, level), 0) for level in ("free", "paid", "all")))
        if day in seen
        else None
        for day in days
    ]


def draw(snapshot: Snapshot, view: View) -> Drawn:
    """The bars; a day without data has none."""
    days = view.days()
    users = daily_active_users(snapshot, days)
    known = [day for day in users if day]
    peak = max(known, key=lambda day: day.all) if known else None
    chart = dmc.BarChart(
        id=f"{NAME}-chart",
        data=by_day.points(
            days, [{"Free": at and at.free, "Paid": at and at.paid} for at in users], snapshot
        ),
        dataKey="day",
        series=by_day.series(COLOURS, view, snapshot),
        barProps={"radius": [3, 3, 0, 0], "isAnimationActive": False},
        barChartProps={"barGap": 1, "barCategoryGap": "12%"},
        maxBarWidth=24,
        **by_day.axes(view, "count", with_legend=True),
    )
    table = parts.as_table(
        f"{NAME}-rows",
        TITLE,
        ["Day", "Free", "Paid", "All"],
        [
            [
                by_day.heading(NAME, day, snapshot),
                *(map(formats.count, (at.free, at.paid, at.all)) if at else [formats.NONE] * 3),
            ]
            for day, at in zip(days, users, strict=True)
        ],
    )
    detail = (
        f"Distinct users of each day; the most, {formats.count(peak.all)}, on {formats.weekday(peak.day)}; "
        f"{formats.count(_a_day(snapshot, view) or 0)} on average"
        + against_before(snapshot, view, TABLE, lambda of: _a_day(snapshot, of))
        + by_day.note(view, snapshot)
        if peak
        else by_day.no_data(view)
    )
    return Drawn(html.Div([chart, table]), detail)


def _a_day(snapshot: Snapshot, view: View) -> float | None:
    """Users of a day on average, of the days with data."""
    users = [at.all for at in daily_active_users(snapshot, view.days()) if at]
    return sum(users) / len(users) if users else None


def rows(snapshot: Snapshot, view: View) -> Rows:
    """The days, those without data too."""
    yield "day", "free", "paid", "all"
    for day, at in zip(view.days(), daily_active_users(snapshot, view.days()), strict=True):
        yield (day, at.free, at.paid, at.all) if at else (day, None, None, None)


CHART = Chart(
    NAME,
    TITLE,
    "kpi",
    10,
    6,
    (TABLE,),
    draw,
    rows,
    register=parts.shows_days("kpi", NAME),
    metric="active_users",
)
