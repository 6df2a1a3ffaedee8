"""Counts over the world's facts: what the pages must show. Nothing here reads a mart."""

from collections import Counter
from datetime import date, timedelta

import pandas as pd

from streaming_assets_tests.dashboards.world import World


def between(rows: pd.DataFrame, first: date, last: date) -> pd.DataFrame:
    return rows[(rows.event_date >= first) & (rows.event_date <= last)]


def listens(world: World, first: date, last: date, state: str = "ALL") -> pd.DataFrame:
    rows = between(world.listens, first, last)
    return rows if state == "ALL" else rows[rows.state_code == state]


def ranked(values: pd.Series) -> list[tuple[str, int]]:
    """Each value with its count, the most frequent first, equal ones by name."""
    return sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))


def songs(world: World, first: date, last: date, state: str = "ALL") -> dict[tuple[str, str], int]:
    """Streams of each (title, artist)."""
    rows = listens(world, first, last, state)
    return dict(Counter(zip(rows.title, rows.artist, strict=True)))


def week(world: World, start: date, price: float) -> dict[str, float]:
    """The numbers of the four tiles."""
    rows = between(world.sessions, start, start + timedelta(days=6))
    users, paid = set(rows.user_id), set(rows.user_id[rows.level == "paid"])
    return {
        "total-users": len(users),
        "conversion-rate": len(paid) / len(users),
        "recurring-revenue": len(paid) * price / 4,
        "arpu-free": rows.ad_revenue.sum() / len(users - paid),
    }


def active_users(world: World, day: date) -> tuple[int, int, int]:
    """Distinct users of a day: free, paid, all."""
    rows = world.sessions[world.sessions.event_date == day]
    free, paid = (set(rows.user_id[rows.level == level]) for level in ("free", "paid"))
    return len(free), len(paid), len(free | paid)


def ad_revenue(world: World, day: date) -> float:
    return world.sessions[world.sessions.event_date == day].ad_revenue.sum()
