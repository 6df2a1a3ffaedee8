"""Who came when, came back, paid and left: counted over the published facts, once a snapshot or view."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import groupby

import numpy as np
import pyarrow as pa

from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Database, Snapshot

SESSIONS, LISTENS = "fact_session_events", "fact_listen_events"
DEPARTURES, USERS = "fact_churn_events", "dim_users"
WEEK = timedelta(days=7)
COUNTS_KEPT = 32
WEEKS_KEPT = 200


@dataclass(frozen=True)
class Cohort:
    """The users first seen in a week.

    Attributes:
        week: its Monday.
        came: how many of them had a session in that week, in the one after it, and so on to the newest; the first is
            how many they are.
    """

    week: date
    came: tuple[int, ...]


def monday(day: date) -> date:
    """The Monday of the day's week."""
    return day - timedelta(days=day.weekday())


def running_week(snapshot: Snapshot) -> date | None:
    """The Monday of the week in the middle of which the data ends."""
    week = monday(snapshot.as_of.date())
    return week if snapshot.as_of > datetime.combine(week, time(), UTC) else None


def weeks_of(snapshot: Snapshot, view: View) -> list[date]:
    """The Mondays of the weeks that the view's days lie in, up to the newest of the data."""
    last = min(view.last, (snapshot.as_of - timedelta(microseconds=1)).date())
    count = (monday(last) - monday(view.first)).days // 7 + 1
    return [monday(view.first) + n * WEEK for n in range(count)]


@dataclass(frozen=True)
class _Seen:
    """The users of all weeks up to one.

    Attributes:
        users: their ids, ascending.
        week: of each the number of the week in which it was first seen.
        day: of each the day of its first session.
        is_back: whether it had a session on a later day.
        is_paid: whether it had a session on level paid.
        came: how many came in a week, by the number of their first week and of that week.
    """

    users: np.ndarray
    week: np.ndarray
    day: np.ndarray
    is_back: np.ndarray
    is_paid: np.ndarray
    came: dict[tuple[int, int], int]


_NOBODY = _Seen(
    np.empty(0, np.int64),
    np.empty(0, np.int32),
    np.empty(0, "datetime64[D]"),
    np.empty(0, bool),
    np.empty(0, bool),
    {},
)


def _weeks(snapshot: Snapshot, table: str) -> dict[date, tuple[str, ...]]:
    """The files of each week, by its Monday."""
    by_week = groupby(snapshot.days(table), monday)
    return {week: tuple(snapshot.files(table, days)) for week, days in by_week}


@lru_cache(maxsize=WEEKS_KEPT)
def _visitors(database: Database, files: tuple[str, ...]) -> pa.Table:
    """The users of a week, ascending: the day of the first session, whether one was on a later day or on level paid."""
    return database.query(
        """
        SELECT user_id, min(session_start_datetime)::DATE AS day, max(session_start_datetime)::DATE > day AS is_back,
               bool_or(level = 'paid') AS is_paid
        FROM read_parquet($files) GROUP BY user_id ORDER BY user_id
        """,
        {"files": [*files]},
    )


@lru_cache(maxsize=4)
def _seen(database: Database, weeks: tuple[tuple[str, ...], ...]) -> _Seen:
    """Told from the weeks before, whose files seldom change: a new snapshot reads its newest week alone.

    Args:
        database: what reads.
        weeks: the files of each week's sessions.
    """
    if not weeks:
        return _NOBODY
    before, week = _seen(database, weeks[:-1]), len(weeks) - 1
    users, day, is_back, is_paid = (column.to_numpy() for column in _visitors(database, weeks[-1]).columns)
    at = np.searchsorted(before.users, users)
    new = ~np.isin(users, before.users, assume_unique=True)
    known = at[~new]
    firsts, counts = np.unique(before.week[known], return_counts=True)
    came = {(int(first), week): int(count) for first, count in zip(firsts, counts, strict=True)}
    was_back, was_paid = before.is_back.copy(), before.is_paid.copy()
    was_back[known] = True
    was_paid[known] |= is_paid[~new]
    return _Seen(
        np.insert(before.users, at[new], users[new]),
        np.insert(before.week, at[new], week),
        np.insert(before.day, at[new], day[new].astype("datetime64[D]")),
        np.insert(was_back, at[new], is_back[new]),
        np.insert(was_paid, at[new], is_paid[new]),
        before.came | came | {(week, week): int(new.sum())},
    )


@lru_cache(maxsize=4)
def _players(database: Database, weeks: tuple[tuple[str, ...], ...]) -> np.ndarray:
    """The ids of all who played a song, ascending, told in the same way from the files of each week's listens."""
    if not weeks:
        return _NOBODY.users
    rows = database.query("SELECT DISTINCT user_id FROM read_parquet($files)", {"files": [*weeks[-1]]})
    return np.union1d(_players(database, weeks[:-1]), rows["user_id"].to_numpy())


STEPS = ("had a first session", "played a song", "came back on a later day", "had a session on level paid")
# What the page can be filtered by, as its address has it: each step but the first, which everybody took.
STEP_NAMES = ("played", "back", "paid")
WHO_TOOK = {name: f"Who {step}" for name, step in zip(STEP_NAMES, STEPS[1:], strict=True)}


def _seen_until_now(snapshot: Snapshot) -> _Seen:
    return _seen(snapshot.database, tuple(_weeks(snapshot, SESSIONS).values()))


@lru_cache(maxsize=4)
def _steps(snapshot: Snapshot) -> np.ndarray:
    """Of each of `STEPS` and all users seen, whether the user took it and all before it until now."""
    seen = _seen_until_now(snapshot)
    played = np.isin(seen.users, _players(snapshot.database, tuple(_weeks(snapshot, LISTENS).values())))
    return np.logical_and.accumulate([np.ones_like(played), played, seen.is_back, seen.is_paid])


@lru_cache(maxsize=COUNTS_KEPT)
def _leavers(snapshot: Snapshot, page: str) -> np.ndarray:
    """The ids of all who ever left from a page."""
    days = snapshot.days(DEPARTURES)
    rows = snapshot.query(
        "SELECT DISTINCT user_id FROM {rows} WHERE reason_page = $page", DEPARTURES, days, {"page": page}
    )
    return rows["user_id"].to_numpy() if days else _NOBODY.users


@lru_cache(maxsize=4)
def reason_pages(snapshot: Snapshot) -> set[str]:
    """The pages that somebody left from."""
    days = snapshot.days(DEPARTURES)
    rows = snapshot.query("SELECT DISTINCT reason_page FROM {rows}", DEPARTURES, days)
    return set(rows["reason_page"].to_pylist()) if days else set()


@lru_cache(maxsize=COUNTS_KEPT)
def _chosen(snapshot: Snapshot, step: str, left: str) -> np.ndarray | None:
    """The ids of the users that a page is filtered by: who took a step, and left from a page; None for all."""
    users = None
    if step:
        users = _seen_until_now(snapshot).users[_steps(snapshot)[STEP_NAMES.index(step) + 1]]
    if left:
        leavers = _leavers(snapshot, left)
        users = leavers if users is None else np.intersect1d(users, leavers)
    return users


def _chosen_by(snapshot: Snapshot, view: View, but: str = "") -> np.ndarray | None:
    step, left = ("" if name == but else view.mark(name) for name in ("step", "left"))
    return _chosen(snapshot, step, left)


@lru_cache(maxsize=COUNTS_KEPT)
def _users_by_weeks(snapshot: Snapshot, step: str = "", left: str = "") -> dict[tuple[date, date], int]:
    """Users by the week that they were first seen in and a week that they came in; all, or the chosen ones."""
    weeks = _weeks(snapshot, SESSIONS)
    mondays = [*weeks]
    seen, chosen = _seen_until_now(snapshot), _chosen(snapshot, step, left)
    came = seen.came if chosen is None else _came(snapshot.database, weeks.values(), seen, chosen)
    return {(mondays[first], mondays[week]): users for (first, week), users in came.items() if users}


def _came(
    database: Database, weeks: Iterable[tuple[str, ...]], seen: _Seen, chosen: np.ndarray
) -> dict[tuple[int, int], int]:
    """`_Seen.came` of the chosen users alone."""
    came = {}
    for week, files in enumerate(weeks):
        here = np.intersect1d(_visitors(database, files)["user_id"].to_numpy(), chosen)
        firsts = np.bincount(seen.week[np.searchsorted(seen.users, here)], minlength=week + 1)
        came |= {(first, week): int(count) for first, count in enumerate(firsts)}
    return came


def cohorts(snapshot: Snapshot, view: View) -> list[Cohort]:
    """The cohort of each week of the view, the earliest first; a week in which nobody was first seen has none."""
    users = _users_by_weeks(snapshot, view.mark("step"), view.mark("left"))
    newest = max((week for _, week in users), default=None)
    found = []
    for week in weeks_of(snapshot, view):
        if newest and users.get((week, week)):
            later = range((newest - week).days // 7 + 1)
            found.append(Cohort(week, tuple(users.get((week, week + n * WEEK), 0) for n in later)))
    return found


def new_and_returning(snapshot: Snapshot, view: View) -> dict[date, tuple[int, int]]:
    """Of each week of the view the users first seen in it, and those seen before."""
    users = _users_by_weeks(snapshot, view.mark("step"), view.mark("left"))
    return {
        week: (
            users.get((week, week), 0),
            sum(count for (first, came), count in users.items() if came == week > first),
        )
        for week in weeks_of(snapshot, view)
    }


def first_week(snapshot: Snapshot) -> date | None:
    """The first week of the data, in which everybody is new."""
    return min((first for first, _ in _users_by_weeks(snapshot)), default=None)


def funnel(snapshot: Snapshot, view: View) -> tuple[int, ...]:
    """Of the users first seen in the view's days, how many took each of `STEPS` until now, and all steps before it."""
    seen, chosen = _seen_until_now(snapshot), _chosen_by(snapshot, view, but="step")
    is_new = (seen.day >= np.datetime64(view.first)) & (seen.day <= np.datetime64(view.last))
    if chosen is not None:
        is_new &= np.isin(seen.users, chosen)
    return tuple(map(int, (_steps(snapshot) & is_new).sum(axis=1)))


def level_changes(snapshot: Snapshot, view: View) -> list[tuple[int, int]]:
    """On each of the view's days how many users changed to paid, and to free."""
    days, files = view.days(), snapshot.whole(USERS)
    if not files:
        return [(0, 0)] * len(days)
    of, tables = _among(_chosen_by(snapshot, view))
    rows = snapshot.database.query(
        f"""
        SELECT row_effective_datetime::DATE AS day, count(*) FILTER (level = 'paid') AS paid,
               count(*) FILTER (level = 'free') AS free
        FROM read_parquet($files)
        WHERE NOT is_first_row AND row_effective_datetime::DATE BETWEEN $first AND $last AND {of}
        GROUP BY day
        """,
        {"files": files, "first": view.first, "last": view.last},
        **tables,
    )
    found = {row["day"]: (row["paid"], row["free"]) for row in rows.to_pylist()}
    return [found.get(day, (0, 0)) for day in days]


def _among(users: np.ndarray | None) -> tuple[str, dict[str, pa.Table]]:
    """A condition on user_id, and the table that it names."""
    if users is None:
        return "true", {}
    return "user_id IN (SELECT user_id FROM chosen)", {"chosen": pa.table({"user_id": users})}


@lru_cache(maxsize=COUNTS_KEPT)
def departures(snapshot: Snapshot, view: View) -> dict[str, tuple[int, int]]:
    """By the page before it, how many cancelled and how many downgraded in sessions of the days; most first."""
    files = snapshot.files(DEPARTURES, view.days())
    if not files:
        return {}
    of, tables = _among(_chosen_by(snapshot, view, but="left"))
    rows = snapshot.database.query(
        f"""
        SELECT reason_page, count(*) FILTER (departure = 'cancelled') AS cancelled,
               count(*) FILTER (departure = 'downgraded') AS downgraded
        FROM read_parquet($files) WHERE {of} GROUP BY reason_page ORDER BY count(*) DESC, reason_page
        """,
        {"files": files},
        **tables,
    )
    return {row["reason_page"]: (row["cancelled"], row["downgraded"]) for row in rows.to_pylist()}
