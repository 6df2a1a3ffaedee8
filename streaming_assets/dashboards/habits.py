"""When people listen, for how long, and what: counted over the published facts, once a file, which never changes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Database, Snapshot
from streaming_assets.published.tables import ALL_STATES

SESSIONS, LISTENS = "fact_session_events", "fact_listen_events"
LOCATIONS, SONGS = "dim_locations", "dim_songs"
DAYS_KEPT = 2000  # each in a state
SESSIONS_KEPT = 500  # days of which each session is kept: with 9,000 a day 140 KB each
DAYS_AFTER_KEPT = 400  # each of a song, in a state
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
STEP = 15
MINUTES = tuple(range(0, 181, STEP))  # the starts of the bars; the last has all from there on
SONG_COUNTS: tuple[int, ...] = (0, 1, 2, 3, 5, 10, 20, 30, 50, 75, 100)


def hour_label(hour: int) -> str:
    """17 as `17:00 to 18:00`."""
    return f"{hour:02}:00 to {(hour + 1) % 24:02}:00"


def _between(start: int, end: int | None) -> str:
    return f"{start}+" if end is None else f"{start}" if start == end else f"{start}–{end}"


MINUTE_LABELS = dict(zip(MINUTES, map(_between, MINUTES, (*MINUTES[1:], None)), strict=True))
SONG_LABELS: dict[int, str] = dict(
    zip(SONG_COUNTS, map(_between, SONG_COUNTS, (*(n - 1 for n in SONG_COUNTS[1:]), None)), strict=True)
)
# What a page can be filtered by, as its address has it, and how that is called.
ON_WEEKDAYS = {str(number): f"{name}s" for number, name in enumerate(WEEKDAYS, 1)}
AT_HOURS = {str(hour): hour_label(hour) for hour in range(24)}
OF_MINUTES = {str(start): f"Sessions of {label} minutes" for start, label in MINUTE_LABELS.items()}
OF_SONGS = {str(start): f"Sessions of {label} songs" for start, label in SONG_LABELS.items()}


@dataclass(frozen=True)
class Played:
    """A song, by the hash that is its key, and how often it was played."""

    key: str
    name: str
    times: int


@dataclass(frozen=True)
class _Places:
    """Where the places are. All are the same as a key: that of a place says its state for ever."""

    snapshot: Snapshot = field(compare=False)

    def condition(self, state: str) -> tuple[str, dict[str, object]]:
        """A condition on pk_location, and its parameters."""
        if state == ALL_STATES:
            return "true", {}
        places = self.snapshot.whole(LOCATIONS)
        if not places:
            return "false", {}
        return (
            "pk_location IN (SELECT pk_location FROM read_parquet($places) WHERE state_code = $state)",
            {"places": places, "state": state},
        )


def _files(snapshot: Snapshot, table: str, days: Sequence[date]) -> Iterator[tuple[date, str]]:
    for day in days:
        for file in snapshot.files(table, [day]):
            yield day, file


def plays_by_hour(snapshot: Snapshot, view: View) -> dict[tuple[int, int], int]:
    """Plays by day of the week, 1 for Monday, and hour of the day, UTC, whichever of them the view is filtered by."""
    plays = np.zeros((8, 24), np.int64)
    for day, file in _files(snapshot, LISTENS, View(view.first, view.last).days()):
        plays[day.isoweekday()] += _plays_by_hour(snapshot.database, file, view.state, _Places(snapshot))
    return {(int(weekday), int(hour)): int(plays[weekday, hour]) for weekday, hour in np.argwhere(plays)}


def plays(snapshot: Snapshot, view: View, until: int = 24) -> int:
    """Plays of the view's days of the week and hour of the day, in the hours of the day before `until`."""
    weekday, hour = view.mark("weekday"), view.mark("hour")
    return sum(
        count
        for at, count in plays_by_hour(snapshot, view).items()
        if weekday in ("", str(at[0])) and hour in ("", str(at[1])) and at[1] < until
    )


@lru_cache(maxsize=DAYS_KEPT)
def _plays_by_hour(database: Database, file: str, state: str, places: _Places) -> np.ndarray:
    where, params = places.condition(state)
    rows = database.query(
        f"SELECT hour(event_datetime) AS hour FROM read_parquet($file) WHERE {where}", params | {"file": file}
    )
    return np.bincount(rows["hour"].to_numpy(), minlength=24)


def sessions_by_minutes(snapshot: Snapshot, view: View, until: int = 24) -> dict[int, int]:
    """Sessions by length, under each of `MINUTES`, whichever of these the view is filtered by.

    Args:
        snapshot: where to read.
        view: which sessions.
        until: the hour of the day before which they began.
    """
    rows = _sessions_in(snapshot, view, "minutes")
    rows = rows[rows[:, 0] < until]
    return dict(zip(MINUTES, _counted(rows[:, 1] // STEP, rows[:, 3], len(MINUTES)), strict=True))


def sessions_by_songs(snapshot: Snapshot, view: View) -> dict[int, int]:
    """Sessions by the songs played in them, whichever number of songs the view is filtered by."""
    rows = _sessions_in(snapshot, view, "songs")
    return {number: count for number, count in enumerate(_counted(rows[:, 2], rows[:, 3])) if count}


def by_song_counts(sessions: Mapping[int, int]) -> dict[int, int]:
    """The same under each of `SONG_COUNTS`."""
    numbers, counts = (np.array([*one], np.int64) for one in (sessions, sessions.values()))
    bars = _counted(_bar_of(numbers, SONG_COUNTS), counts, len(SONG_COUNTS))
    return dict(zip(SONG_COUNTS, bars, strict=True))


def _sessions_in(snapshot: Snapshot, view: View, but: str) -> np.ndarray:
    """The view's rows of `_sessions`; it is not filtered by the mark `but`."""
    days, places, found = view.days(), _Places(snapshot), [np.empty((0, 4), np.int32)]
    for day, file in _files(snapshot, SESSIONS, days):
        listens = snapshot.files(LISTENS, View(day, _last_end(snapshot.database, file)).days())
        found.append(_sessions(snapshot.database, file, tuple(listens), view.state, places))
    rows = np.concatenate(found)
    wanted = {
        "hour": lambda start: rows[:, 0] == start,
        "minutes": lambda start: rows[:, 1] == start,
        "songs": lambda start: _bar_of(rows[:, 2], SONG_COUNTS) == SONG_COUNTS.index(start),
    }
    chosen = [wanted[name](int(value)) for name, value in view.marks if name in wanted and name != but]
    return rows[np.logical_and.reduce(chosen)] if chosen else rows


def _bar_of(values: np.ndarray, starts: Sequence[int]) -> np.ndarray:
    return np.searchsorted(starts, values, "right") - 1


def _counted(values: np.ndarray, counts: np.ndarray, length: int = 0) -> list[int]:
    return np.bincount(values, counts, length).astype(int).tolist()


@lru_cache(maxsize=DAYS_KEPT)
def _last_end(database: Database, file: str) -> date:
    """The day on which the last of the file's sessions ends."""
    rows = database.query(
        "SELECT max(session_end_datetime)::DATE AS day FROM read_parquet($file)", {"file": file}
    )
    return rows["day"][0].as_py()


@lru_cache(maxsize=SESSIONS_KEPT)
def _sessions(
    database: Database, file: str, listens: tuple[str, ...], state: str, places: _Places
) -> np.ndarray:
    """Those of a file, as long as the listens of their days do not change.

    A session id belongs to one run of the simulator, so a song must lie within the session's time.

    Returns:
        A row for each hour of the start, one of `MINUTES` and number of songs: these, and how many sessions.
    """
    where, params = places.condition(state)
    if listens:
        played, params = "read_parquet($listens)", params | {"listens": [*listens]}
    else:
        played = "(SELECT *, session_start_datetime AS event_datetime FROM read_parquet($file) WHERE false)"
    rows = database.query(
        f"""
        SELECT hour(start) AS hour, least(seconds // {STEP * 60} * {STEP}, {MINUTES[-1]}) AS minutes, songs,
               count(*) AS sessions
        FROM (
            SELECT session_start_datetime AS start, session_seconds AS seconds, count(listens.user_id) AS songs
            FROM (SELECT * FROM read_parquet($file) WHERE {where}) AS sessions
            LEFT JOIN {played} AS listens
                ON sessions.user_id = listens.user_id AND sessions.session_id = listens.session_id
                AND listens.event_datetime BETWEEN session_start_datetime AND session_end_datetime
            GROUP BY sessions.user_id, sessions.session_id, session_start_datetime, session_seconds
        )
        GROUP BY ALL
        """,
        params | {"file": file},
    )
    return np.column_stack([column.to_numpy().astype(np.int32) for column in rows.columns])


def song_named(snapshot: Snapshot, key: str) -> Played:
    """The song of that key, whether it was played or not; by its key where nothing is known of it."""
    found = _named(snapshot, pa.table({"pk_song": [key], "times": [0]}))
    return found[0] if found else Played(key, f"song {key[:8]}", 0)


_NOTHING_AFTER = pa.table(
    {
        "hour": pa.array([], pa.int64()),
        "pk_song": pa.array([], pa.string()),
        "times": pa.array([], pa.int64()),
    }
)


def played_after(snapshot: Snapshot, view: View, key: str) -> list[Played]:
    """The songs that were played right after the one of that key, in the same session of a user, most often first.

    A gap of more than a day divides sessions, so the next song is of the same day or the next.
    """
    return _named(snapshot, _after(snapshot, view, key))


def times_after(snapshot: Snapshot, view: View, key: str) -> int:
    """How often another song was played right after the one of that key."""
    return sum(_after(snapshot, view, key)["times"].to_pylist())


def _after(snapshot: Snapshot, view: View, key: str) -> pa.Table:
    places, plays = _Places(snapshot), [_NOTHING_AFTER]
    for day, file in _files(snapshot, LISTENS, view.days()):
        following = tuple(snapshot.files(LISTENS, [day + timedelta(days=1)] if day < view.last else []))
        plays.append(_played_after(snapshot.database, file, following, view.state, places, key))
    rows = pa.concat_tables(plays)
    if hour := view.mark("hour"):
        rows = rows.filter(pc.field("hour") == int(hour))
    counted = rows.group_by("pk_song").aggregate([("times", "sum")])
    return counted.rename_columns(["pk_song", "times"])


@lru_cache(maxsize=DAYS_AFTER_KEPT)
def _played_after(
    database: Database, file: str, following: tuple[str, ...], state: str, places: _Places, key: str
) -> pa.Table:
    """After plays in a file, which never changes, with that of the following day; by the hour of these plays."""
    where, params = places.condition(state)
    return database.query(
        f"""
        WITH sessions AS (
            SELECT DISTINCT user_id, session_id FROM read_parquet($file) WHERE pk_song = $song AND {where}
        ),
        played AS (
            SELECT pk_song AS this, {where} AS is_here, filename = $file AS is_of_day, hour(event_datetime) AS hour,
                   lead(pk_song) OVER (
                       PARTITION BY user_id, session_id ORDER BY event_datetime, pk_song
                   ) AS pk_song
            FROM read_parquet($files, filename = true) JOIN sessions USING (user_id, session_id)
        )
        SELECT hour, pk_song, count(*) AS times FROM played
        WHERE this = $song AND is_here AND is_of_day AND pk_song IS NOT NULL
        GROUP BY hour, pk_song
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
