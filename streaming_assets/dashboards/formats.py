"""Numbers, days and ages as the pages write them."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

NONE = "–"


def count(value: float) -> str:
    """123456 as `123,456`."""
    return f"{value:,.0f}"


def decimal(value: float) -> str:
    """1234.56 as `1,234.6`."""
    return f"{value:,.1f}"


def compact(value: float) -> str:
    """Whole below a hundred thousand, above it three digits: 950, 12,345, 617K, 1.23M."""
    if abs(value) < 99_999.5:
        return f"{value:,.0f}"
    size, suffix = next(
        (size, suffix) for size, suffix in ((1e9, "B"), (1e6, "M"), (1e3, "K")) if abs(value) >= size * 0.9995
    )
    return f"{float(f'{value / size:.3g}'):g}{suffix}"


def dollars(value: float) -> str:
    """USD: cents up to a thousand, then as `compact`; three digits of what is less than a dollar."""
    if abs(value) >= 999.995:
        return "$" + compact(value)
    return f"${value:,.2f}" if abs(value) >= 1 or not value else f"${value:.3f}"


def percent(share: float, digits: int = 2) -> str:
    """0.1611 as `16.11%`."""
    return f"{share:.{digits}%}"


def day(value: date) -> str:
    """`6 Jan 2025`."""
    return f"{value.day} {value:%b %Y}"


def weekday(value: date) -> str:
    """`Mon 6 Jan 2025`."""
    return f"{value:%a} {day(value)}"


def span(first: date, last: date) -> str:
    """`27 Jan to 2 Feb 2025`, with as few years and months as are needed."""
    if first == last:
        return day(first)
    if first.year != last.year:
        return f"{day(first)} to {day(last)}"
    start = f"{first.day}" if first.month == last.month else f"{first.day} {first:%b}"
    return f"{start} to {day(last)}"


def moment(value: datetime) -> str:
    """`12 Feb 2025, 14:00 UTC`, of a time in UTC."""
    return f"{day(value)}, {value:%H:%M} UTC"


def hours(values: Iterable[datetime]) -> str:
    """Hours in UTC, those that follow each other as one: `2 Jan 2025, 03:00 to 05:00; 3 Jan 2025, 07:00 to 08:00`."""
    spans: list[list[datetime]] = []
    for hour in sorted(values):
        if spans and hour == spans[-1][1]:
            spans[-1][1] = hour + timedelta(hours=1)
        else:
            spans.append([hour, hour + timedelta(hours=1)])
    return "; ".join(f"{day(first)}, {first:%H:%M} to {_end(first, end)}" for first, end in spans)


def _end(first: datetime, end: datetime) -> str:
    return f"{end:%H:%M}" if end - first <= timedelta(days=1) else f"{day(end)}, {end:%H:%M}"


def age(value: timedelta) -> str:
    """The largest unit that says it: `just now`, `5 min`, `3 h`, `2 days`."""
    minutes = int(value.total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 120:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h"
    return f"{minutes // (24 * 60)} days"
