"""Times as options and configurations give them: ISO, UTC, or so long ago."""

import re
from datetime import UTC, datetime, timedelta

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([dhm])")
_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}


def parse_time(text: str, now: datetime) -> int:
    """Milliseconds since 1970 of an ISO time (UTC unless it says otherwise), `now`, or `15d`, `6h`, `30m` ago.

    Raises:
        ValueError: it is none of these.
    """
    if text == "now":
        return milliseconds(now.replace(microsecond=0))
    if ago := _AGO.fullmatch(text):
        return milliseconds((now - float(ago[1]) * _UNITS[ago[2]]).replace(microsecond=0))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no time; give ISO such as 2025-04-01T00:00:00 (UTC), `now`, or `15d`, `6h`, `30m` ago"
        ) from None
    return milliseconds(moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment)


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970 of a timezone-aware moment."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def as_iso(moment: int) -> str:
    """ISO time of milliseconds since 1970, UTC; the milliseconds only if there are any."""
    text = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment)).isoformat(
        timespec="milliseconds"
    )
    return text.removesuffix("+00:00").removesuffix(".000") + "Z"
