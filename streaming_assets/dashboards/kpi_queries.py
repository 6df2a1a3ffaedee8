"""The weeks of the KPI page's tiles, computed from a snapshot: pure functions, small results."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from streaming_assets.published.snapshot import Snapshot

WEEKLY_USERS, ACTIVE_USERS = "mart_weekly_users", "mart_daily_active_users"
WEEK = timedelta(days=7)
WEEKS_IN_TREND = 12
WEEKS_A_MONTH = 4  # as the reference reckons a subscription's month


@dataclass(frozen=True)
class Week:
    """The users of one ISO week, each counted once in it.

    Attributes:
        start: its Monday.
        users: users with a session in the week.
        paid_users: those of them with a session on level paid.
        free_users: the others.
        ad_revenue: USD.
    """

    start: date
    users: int
    paid_users: int
    free_users: int
    ad_revenue: float

    @property
    def conversion(self) -> float | None:
        """Paid users' share of all users, 0 to 1; None without users."""
        return self.paid_users / self.users if self.users else None

    @property
    def arpu_free(self) -> float | None:
        """Ad revenue for each user of the free tier, USD; None without any."""
        return self.ad_revenue / self.free_users if self.free_users else None

    def recurring_revenue(self, monthly_price: float) -> float:
        """Revenue from subscriptions in the week, USD."""
        return self.paid_users * monthly_price / WEEKS_A_MONTH


@dataclass(frozen=True)
class Weeks:
    """The week that the tiles show, and those before it.

    Attributes:
        shown: the newest complete week, or the running one if there is no complete one.
        running: whether `shown` is still running.
        before: the week right before `shown`; None if it has no data.
        trend: up to twelve weeks, oldest first, `shown` last.
    """

    shown: Week
    running: bool
    before: Week | None
    trend: tuple[Week, ...]


def weeks(snapshot: Snapshot) -> Weeks | None:
    """The weeks of the tiles; None if the snapshot has no week."""
    as_of, days = snapshot.as_of, snapshot.days(ACTIVE_USERS)
    starts = [start for start in snapshot.days(WEEKLY_USERS) if _midnight(start) < as_of]
    if not starts:
        return None
    first = days[0] if days else starts[0]  # data that begins in the middle of a week has not all of it
    complete = [start for start in starts if start >= first and _midnight(start + WEEK) <= as_of]
    picked = (complete or starts)[-WEEKS_IN_TREND:]
    rows = snapshot.query(
        "SELECT week_start AS start, users, paid_users, free_users, ad_revenue FROM {rows} ORDER BY 1",
        WEEKLY_USERS,
        picked,
    )
    trend = tuple(Week(**row) for row in rows.to_pylist())
    before = {week.start: week for week in trend}.get(trend[-1].start - WEEK)
    return Weeks(shown=trend[-1], running=not complete, before=before, trend=trend)


def change(now: float | None, before: float | None) -> float | None:
    """Relative change, 0.05 for 5 % more; None where there is nothing to compare with."""
    return None if now is None or not before else now / before - 1


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
