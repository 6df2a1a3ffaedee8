"""Charts by the day: their axes, their table, and a day that is not over yet."""

from datetime import date, time
from typing import Any

from dash import html

from streaming_assets.dashboards import formats, parts
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot

LABELS = 6  # at most, below an axis: as many as a phone has room for
SO_FAR = ", so far"


def unfinished(snapshot: Snapshot) -> date | None:
    """The day in the middle of which the data ends."""
    return snapshot.as_of.date() if snapshot.as_of.time() != time() else None


def heading(chart: str, day: date, snapshot: Snapshot) -> html.Button:
    """A day as a table names it: of the unfinished one, up to when there is data. A click shows it alone."""
    named = formats.weekday(day)
    until = f", until {snapshot.as_of:%H:%M}" if day == unfinished(snapshot) else ""
    return parts.days_button(chart, named + until, day, day)


def note(view: View, snapshot: Snapshot) -> str:
    """What a chart says of the unfinished day, if it shows it."""
    day = unfinished(snapshot)
    if day is None or not view.first <= day <= view.last:
        return ""
    return f"; {day.day} {day:%b} so far, until {snapshot.as_of:%H:%M} UTC"


def points(days: list[date], values: list[dict[str, Any]], snapshot: Snapshot) -> Any:
    """The data of a chart: an unfinished day's values belong to series of their own."""
    open_day = unfinished(snapshot)
    return [
        {"day": formats.weekday(day), "from": day.isoformat(), "to": day.isoformat()}
        | {name + (SO_FAR if day == open_day else ""): value for name, value in of_day.items()}
        for day, of_day in zip(days, values, strict=True)
    ]


def series(colours: dict[str, tuple[str, str]], view: View, snapshot: Snapshot) -> Any:
    """The series of `points`.

    Args:
        colours: of each series, and of the same on an unfinished day.
        view: what is shown.
        snapshot: how far the data goes.
    """
    whole = [{"name": name, "color": colour, "stackId": name} for name, (colour, _) in colours.items()]
    if not note(view, snapshot):
        return whole
    return whole + [
        {"name": name + SO_FAR, "color": colour, "stackId": name} for name, (_, colour) in colours.items()
    ]


def axes(view: View, value_format: str, with_legend: bool) -> dict[str, Any]:
    """Properties of a chart by the day: labels stand at equal distances.

    Args:
        view: what is shown.
        value_format: name of a function in pages.js.
        with_legend: whether the series are named above the chart.
    """
    every = -(-len(view.days()) // LABELS)
    return {
        "h": 300,
        "valueFormatter": {"function": value_format},
        "withLegend": with_legend,
        "legendProps": {"verticalAlign": "top", "align": "right"},
        "gridAxis": "x",
        "tickLine": "none",
        "strokeDasharray": "3 4",
        "gridColor": "var(--line)",
        "textColor": "var(--soft)",
        "tooltipAnimationDuration": 120,
        "xAxisProps": {
            "tickFormatter": {"function": "shortDay"},
            "interval": every - 1,
            "tickMargin": 10,
        },
        "yAxisProps": {"width": 52, "tickMargin": 6, "tickCount": 6},
    }


def no_data(view: View) -> str:
    """Said where no day of the range has any."""
    return f"No data in {formats.span(view.first, view.last)}; choose other days."
