"""What the KPI page shows, computed from a snapshot: pure functions, small results."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from streaming_assets.dashboards.snapshot import Snapshot
from streaming_assets.dashboards.views import Extent

ACTIVE_USERS, AD_REVENUE = "mart_daily_active_users", "mart_daily_ad_revenue"
WEEKLY_USERS = "mart_weekly_users"
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
    starts = snapshot.days(WEEKLY_USERS)
    if not starts:
        return None
    complete = [start for start in starts if _end(start) <= snapshot.manifest.as_of]
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


@dataclass(frozen=True)
class ActiveUsers:
    """Distinct users of a day: on each level, and at all (who was on both counts once there)."""

    day: date
    free: int
    paid: int
    all: int


def daily_active_users(snapshot: Snapshot, days: Sequence[date]) -> list[ActiveUsers | None]:
    """For each of `days` its users; None for a day without data."""
    rows = snapshot.query(
        "SELECT event_date, level, active_users FROM {rows}", ACTIVE_USERS, days
    ).to_pylist()
    users = {(row["event_date"], row["level"]): row["active_users"] for row in rows}
    seen = {day for day, _ in users}
    return [
        ActiveUsers(day, *(users.get((day, level), 0) for level in ("free", "paid", "all")))
        if day in seen
        else None
        for day in days
    ]


def daily_ad_revenue(snapshot: Snapshot, days: Sequence[date]) -> list[float | None]:
    """For each of `days` its advertising revenue, USD; None for a day without data."""
    rows = snapshot.query("SELECT event_date, ad_revenue FROM {rows}", AD_REVENUE, days)
    revenue = {row["event_date"]: row["ad_revenue"] for row in rows.to_pylist()}
    return [revenue.get(day) for day in days]


def extent(snapshot: Snapshot) -> Extent | None:
    """The days that the page's charts have data of; None if they have none."""
    days = snapshot.days(ACTIVE_USERS) + snapshot.days(AD_REVENUE)
    return Extent(min(days), max(days)) if days else None


def _end(start: date) -> datetime:
    return datetime.combine(start + WEEK, time(), UTC)
