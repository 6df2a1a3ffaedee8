"""Who came when, and played what: counted over the published facts, once a snapshot or view."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import groupby

import numpy as np
import pyarrow as pa

from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Database, Snapshot
from streaming_assets.published.tables import ALL_STATES

SESSIONS, LISTENS = "fact_session_events", "fact_listen_events"
DEPARTURES = "fact_churn_events"
USERS, LOCATIONS, SONGS = "dim_users", "dim_locations", "dim_songs"
WEEK = timedelta(days=7)
COUNTS_KEPT = 32
DAYS_KEPT = 2000  # each in a state
DAYS_AFTER_KEPT = 400  # each of a song, in a state


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


@dataclass(frozen=True)
class Played:
    """A song, by the hash that is its key, and how often it was played."""

    key: str
    name: str
    times: int


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
    rows = database.query(
        """
        SELECT user_id, min(session_start_datetime)::DATE AS day, max(session_start_datetime)::DATE > day AS is_back,
               bool_or(level = 'paid') AS is_paid
        FROM read_parquet($files) GROUP BY user_id ORDER BY user_id
        """,
        {"files": [*weeks[-1]]},
    )
    users, day, is_back, is_paid = (column.to_numpy() for column in rows.columns)
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


@lru_cache(maxsize=COUNTS_KEPT)
def _users_by_weeks(snapshot: Snapshot) -> dict[tuple[date, date], int]:
    """Users by the week that they were first seen in and a week that they came in."""
    weeks = _weeks(snapshot, SESSIONS)
    mondays = [*weeks]
    came = _seen(snapshot.database, tuple(weeks.values())).came
    return {(mondays[first], mondays[week]): users for (first, week), users in came.items() if users}


def cohorts(snapshot: Snapshot, view: View) -> list[Cohort]:
    """The cohort of each week of the view, the earliest first; a week in which nobody was first seen has none."""
    users = _users_by_weeks(snapshot)
    newest = max((week for _, week in users), default=None)
    found = []
    for week in weeks_of(snapshot, view):
        if newest and users.get((week, week)):
            later = range((newest - week).days // 7 + 1)
            found.append(Cohort(week, tuple(users.get((week, week + n * WEEK), 0) for n in later)))
    return found


def new_and_returning(snapshot: Snapshot, view: View) -> dict[date, tuple[int, int]]:
    """Of each week of the view the users first seen in it, and those seen before."""
    users = _users_by_weeks(snapshot)
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


STEPS = ("had a first session", "played a song", "came back on a later day", "had a session on level paid")


@lru_cache(maxsize=COUNTS_KEPT)
def funnel(snapshot: Snapshot, first: date, last: date) -> tuple[int, ...]:
    """Of the users first seen in these days, how many took each of `STEPS` until now, and all steps before it."""
    seen = _seen(snapshot.database, tuple(_weeks(snapshot, SESSIONS).values()))
    is_new = (seen.day >= np.datetime64(first)) & (seen.day <= np.datetime64(last))
    played = np.isin(seen.users, _players(snapshot.database, tuple(_weeks(snapshot, LISTENS).values())))
    steps = np.logical_and.accumulate([is_new, played, seen.is_back, seen.is_paid])
    return tuple(map(int, steps.sum(axis=1)))


def level_changes(snapshot: Snapshot, days: Sequence[date]) -> list[tuple[int, int]]:
    """On each of `days` how many users changed to paid, and to free."""
    files = snapshot.whole(USERS)
    if not files:
        return [(0, 0)] * len(days)
    rows = snapshot.database.query(
        """
        SELECT row_effective_datetime::DATE AS day, count(*) FILTER (level = 'paid') AS paid,
               count(*) FILTER (level = 'free') AS free
        FROM read_parquet($files) WHERE NOT is_first_row AND row_effective_datetime::DATE BETWEEN $first AND $last
        GROUP BY day
        """,
        {"files": files, "first": days[0], "last": days[-1]},
    )
    found = {row["day"]: (row["paid"], row["free"]) for row in rows.to_pylist()}
    return [found.get(day, (0, 0)) for day in days]


@lru_cache(maxsize=COUNTS_KEPT)
def departures(snapshot: Snapshot, first: date, last: date) -> dict[str, tuple[int, int]]:
    """By the page before it, how many cancelled and how many downgraded in sessions of these days; most first."""
    rows = snapshot.query(
        """
        SELECT reason_page, count(*) FILTER (departure = 'cancelled') AS cancelled,
               count(*) FILTER (departure = 'downgraded') AS downgraded
        FROM {rows} GROUP BY reason_page ORDER BY count(*) DESC, reason_page
        """,
        DEPARTURES,
        View(first, last).days(),
    )
    return {row["reason_page"]: (row["cancelled"], row["downgraded"]) for row in rows.to_pylist()}


def _in_state(snapshot: Snapshot, state: str) -> tuple[str, dict[str, object]]:
    """A condition on pk_location, and its parameters."""
    if state == ALL_STATES:
        return "true", {}
    places = snapshot.whole(LOCATIONS)
    if not places:
        return "false", {}
    return (
        "pk_location IN (SELECT pk_location FROM read_parquet($places) WHERE state_code = $state)",
        {"places": places, "state": state},
    )


def plays_by_hour(snapshot: Snapshot, first: date, last: date, state: str) -> dict[tuple[int, int], int]:
    """Plays by day of the week, 1 for Monday, and hour of the day, UTC."""
    places = _Places(snapshot)
    plays: Counter[tuple[int, int]] = Counter()
    for file in snapshot.files(LISTENS, View(first, last).days()):
        plays.update(_plays_by_hour(snapshot.database, file, state, places))
    return dict(plays)


@dataclass(frozen=True)
class _Places:
    """Where the places are. All are the same as a key: that of a place says its state for ever."""

    snapshot: Snapshot = field(compare=False)


@lru_cache(maxsize=DAYS_KEPT)
def _plays_by_hour(database: Database, file: str, state: str, places: _Places) -> dict[tuple[int, int], int]:
    """Those in a file, which never changes: a new snapshot counts its new files alone."""
    where, params = _in_state(places.snapshot, state)
    rows = database.query(
        f"""
        SELECT isodow(event_datetime) AS weekday, hour(event_datetime) AS hour, count(*) AS plays
        FROM read_parquet($file) WHERE {where} GROUP BY ALL
        """,
        params | {"file": file},
    )
    return {(row["weekday"], row["hour"]): row["plays"] for row in rows.to_pylist()}


@lru_cache(maxsize=COUNTS_KEPT)
def sessions_by_minutes(snapshot: Snapshot, first: date, last: date, state: str, step: int) -> dict[int, int]:
    """Sessions by their length in whole minutes, cut down to a multiple of `step`."""
    where, params = _in_state(snapshot, state)
    rows = snapshot.query(
        f"""
        SELECT session_seconds // ($step * 60) * $step AS minutes, count(*) AS sessions
        FROM {{rows}} WHERE {where} GROUP BY ALL
        """,
        SESSIONS,
        View(first, last).days(),
        params | {"step": step},
    )
    return {row["minutes"]: row["sessions"] for row in rows.to_pylist()}


def sessions_by_songs(snapshot: Snapshot, first: date, last: date, state: str) -> dict[int, int]:
    """Sessions by the songs played in them.

    A session id belongs to one run of the simulator, so a song must lie within the session's time.
    """
    places = _Places(snapshot)
    sessions: Counter[int] = Counter()
    for day in View(first, last).days():
        for file in snapshot.files(SESSIONS, [day]):
            listens = snapshot.files(LISTENS, View(day, _last_end(snapshot.database, file)).days())
            sessions.update(_sessions_by_songs(snapshot.database, file, tuple(listens), state, places))
    return dict(sessions)


@lru_cache(maxsize=DAYS_KEPT)
def _last_end(database: Database, file: str) -> date:
    """The day on which the last of the file's sessions ends."""
    rows = database.query(
        "SELECT max(session_end_datetime)::DATE AS day FROM read_parquet($file)", {"file": file}
    )
    return rows["day"][0].as_py()


@lru_cache(maxsize=DAYS_KEPT)
def _sessions_by_songs(
    database: Database, file: str, listens: tuple[str, ...], state: str, places: _Places
) -> dict[int, int]:
    """Those of a file, which never changes, as long as the listens of their days do not."""
    where, params = _in_state(places.snapshot, state)
    if listens:
        played, params = "read_parquet($listens)", params | {"listens": [*listens]}
    else:
        played = "(SELECT *, session_start_datetime AS event_datetime FROM read_parquet($file) WHERE false)"
    rows = database.query(
        f"""
        SELECT songs, count(*) AS sessions
        FROM (
            SELECT count(listens.user_id) AS songs
            FROM (SELECT * FROM read_parquet($file) WHERE {where}) AS sessions
            LEFT JOIN {played} AS listens
                ON sessions.user_id = listens.user_id AND sessions.session_id = listens.session_id
                AND listens.event_datetime BETWEEN session_start_datetime AND session_end_datetime
            GROUP BY sessions.user_id, sessions.session_id, session_start_datetime
        )
        GROUP BY songs
        """,
        params | {"file": file},
    )
    return {row["songs"]: row["sessions"] for row in rows.to_pylist()}


@lru_cache(maxsize=COUNTS_KEPT)
def most_played(snapshot: Snapshot, first: date, last: date, state: str, limit: int) -> list[Played]:
    """The songs played most, the first of them first."""
    where, params = _in_state(snapshot, state)
    plays = snapshot.query(
        f"""
        SELECT pk_song, count(*) AS times FROM {{rows}} WHERE {where}
        GROUP BY pk_song ORDER BY times DESC, pk_song LIMIT {limit}
        """,
        LISTENS,
        View(first, last).days(),
        params,
    )
    return _named(snapshot, plays)


def song_named(snapshot: Snapshot, key: str) -> Played:
    """The song of that key, whether it was played or not; by its key where nothing is known of it."""
    found = _named(snapshot, pa.table({"pk_song": [key], "times": [0]}))
    return found[0] if found else Played(key, f"song {key[:8]}", 0)


def played_after(snapshot: Snapshot, first: date, last: date, state: str, key: str) -> list[Played]:
    """The songs that were played right after the one of that key, in the same session of a user, most often first.

    A gap of more than a day divides sessions, so the next song is of the same day or the next.
    """
    places = _Places(snapshot)
    days = View(first, last).days()
    plays = [
        _played_after(
            snapshot.database, file, (*snapshot.files(LISTENS, days[at + 1 : at + 2]),), state, places, key
        )
        for at, day in enumerate(days)
        for file in snapshot.files(LISTENS, [day])
    ]
    if not plays:
        return []
    counted = pa.concat_tables(plays).group_by("pk_song").aggregate([("times", "sum")])
    return _named(snapshot, counted.rename_columns(["pk_song", "times"]))


@lru_cache(maxsize=DAYS_AFTER_KEPT)
def _played_after(
    database: Database, file: str, following: tuple[str, ...], state: str, places: _Places, key: str
) -> pa.Table:
    """After plays in a file, which never changes, with that of the following day."""
    where, params = _in_state(places.snapshot, state)
    return database.query(
        f"""
        WITH sessions AS (
            SELECT DISTINCT user_id, session_id FROM read_parquet($file) WHERE pk_song = $song AND {where}
        ),
        played AS (
            SELECT pk_song AS this, {where} AS is_here, filename = $file AS is_of_day,
                   lead(pk_song) OVER (
                       PARTITION BY user_id, session_id ORDER BY event_datetime, pk_song
                   ) AS pk_song
            FROM read_parquet($files, filename = true) JOIN sessions USING (user_id, session_id)
        )
        SELECT pk_song, count(*) AS times FROM played
        WHERE this = $song AND is_here AND is_of_day AND pk_song IS NOT NULL
        GROUP BY pk_song
        """,
        params | {"file": file, "files": [file, *following], "song": key},
    )


def _named(snapshot: Snapshot, plays: pa.Table) -> list[Played]:
    songs = snapshot.whole(SONGS)
    if not plays.num_rows or not songs:
        return []
    rows = snapshot.database.query(
        """
        SELECT pk_song, title || ', ' || artist AS name, times
        FROM plays JOIN read_parquet($files) AS songs USING (pk_song)
        ORDER BY times DESC, name, pk_song
        """,
        {"files": songs},
        plays=plays,
    )
    return [Played(*row.values()) for row in rows.to_pylist()]
