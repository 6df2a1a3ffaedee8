"""A view's number against that of the same days whole weeks before, so that weekdays meet their like."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from streaming_assets.dashboards import days, formats
from streaming_assets.dashboards.kpi_queries import change
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot


def against_before(
    snapshot: Snapshot,
    view: View,
    table: str,
    number: Callable[[View], float | None],
    so_far: Callable[[View, int], float | None] | None = None,
) -> str:
    """`, up 4.2% on 1 to 7 Jan 2025`, of the days that are over; empty where there is nothing to compare with.

    A single day is compared with the same weekday, and with the day before, too.

    Args:
        snapshot: where the days are.
        view: whose number.
        table: the number's; its first day is that from which on there is data.
        number: of a view; None where it has none.
        so_far: the same of a day, of the hours before one; by it a day that is not over is compared with those
            hours of the others.
    """
    unfinished = days.unfinished(snapshot)
    last = view.last if view.last != unfinished else view.last - timedelta(days=1)
    known = snapshot.days(table)
    whole = "" if last == view.last else "whole days "
    if last < view.first and so_far and snapshot.as_of.hour:
        last, until = view.last, snapshot.as_of.hour
        number, whole = lambda of: so_far(of, until), f"until {until:02}:00 "
    if last < view.first or not known:
        return ""
    weeks = timedelta(weeks=((last - view.first).days + 7) // 7)
    is_day = last == view.first
    now, moved = number(replace(view, last=last)), []
    for shift in (weeks, timedelta(days=1)) if is_day else (weeks,):
        before = replace(view, first=view.first - shift, last=last - shift)
        relative = change(now, number(before)) if before.first >= known[0] else None
        if relative is not None:
            when = formats.weekday(before.first) if is_day else formats.span(before.first, before.last)
            moved.append(f"{_moved(relative)} {when}")
    return f", {whole}{' and '.join(moved)}" if moved else ""


def _moved(relative: float) -> str:
    return "as" if abs(relative) < 0.0005 else f"{'up' if relative > 0 else 'down'} {abs(relative):.1%} on"
