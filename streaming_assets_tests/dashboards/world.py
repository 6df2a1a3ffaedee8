"""A small world of known facts, and the marts that follow from them, counted here in plain pandas.

Facts are rows of single sessions and listens; every expectation of the tests is counted from them, never
from the marts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar
from unittest.mock import patch

import numpy as np
import pandas as pd
import pyarrow as pa

from streaming_assets.dashboards.states import NAMES
from streaming_assets.published.manifest import File
from streaming_assets.published.snapshot import Database, Snapshot
from streaming_assets.testing.publishing import tables

FIRST_DAY = date(2025, 1, 6)  # a Monday
LAST_DAY = date(2025, 2, 11)  # a Tuesday: its week is still running
MISSING_DAY = date(2025, 1, 22)  # nothing happened
QUIET_STATES = ("VT", "WY")  # nobody lives there
LARGE_STATES = {
    "CA": 39, "TX": 30, "FL": 22, "NY": 20, "PA": 13, "IL": 13, "OH": 12, "GA": 11, "NC": 11, "MI": 10, "NJ": 9,
    "VA": 9, "WA": 8, "AZ": 7, "MA": 7, "TN": 7, "IN": 7, "MO": 6, "MD": 6, "CO": 6, "WI": 6, "MN": 6,
}  # fmt: skip
AS_OF = datetime(2025, 2, 12, tzinfo=UTC)

GENRES = ("Rock", "Pop", "Hip Hop", "Electronic", "Country", "Jazz", "Soul", "Folk", "Classical")
GENRE_SHARES = (0.26, 0.2, 0.15, 0.12, 0.09, 0.06, 0.05, 0.04, 0.03)
FIRST = ("Velvet", "Paper", "Northern", "Golden", "Silent", "Electric", "Distant", "Copper", "Little", "Wild")
SECOND = ("Harbor", "Lanterns", "Foxes", "Avenue", "Orchard", "Satellites", "Rivers", "Monarchs")
VERB = ("Leaving", "Finding", "Chasing", "Under", "Beyond", "Waiting for", "Dancing on", "Letters to")
PLACE = ("Tomorrow", "the Lake", "Summer Rain", "Cleveland", "Midnight", "the Moon", "Yesterday", "Home")


@dataclass(frozen=True)
class World:
    """Facts: one row a session, one row a listen."""

    sessions: (
        pd.DataFrame
    )  # user_id, session_id, event_date, start, seconds, level, state_code, ads_served, ad_revenue
    listens: pd.DataFrame  # user_id, session_id, event_date, at, state_code, pk_song, title, artist, genre
    changes: pd.DataFrame  # user_id, day, of changes from free to paid
    departures: pd.DataFrame  # user_id, session_id, start, state_code, level, departure, reason_page


def make_world(users: int = 900, seed: int = 7) -> World:
    rng = np.random.default_rng(seed)
    days = [FIRST_DAY + timedelta(days=n) for n in range((LAST_DAY - FIRST_DAY).days + 1)]
    homes = [code for code in NAMES if code not in QUIET_STATES]
    weight = np.array([LARGE_STATES.get(code, 3) for code in homes]) * rng.uniform(0.6, 1.4, len(homes))
    home = rng.choice(homes, users, p=weight / weight.sum())
    upgrade_day = np.where(rng.random(users) < 0.25, rng.integers(-10, 60, users), 999)
    joined = np.where(rng.random(users) < 0.7, 0, rng.integers(0, len(days), users))
    songs = _songs(rng)
    popularity = 1 / np.arange(1, len(songs) + 1) ** 0.7
    sessions, listens, known = [], [], 0
    for number, day in enumerate(days):
        if day == MISSING_DAY:
            continue
        active = 0.26 + 0.09 * (day.weekday() >= 4) + 0.03 * np.sin(number)
        here = np.flatnonzero((rng.random(users) < active) & (joined <= number))
        here = np.concatenate([here, rng.choice(here, len(here) // 6)])  # some come twice a day
        paid = upgrade_day[here] <= number
        ads = np.where(paid, 0, rng.poisson(2.2, len(here)))
        sessions.append(
            pd.DataFrame(
                {
                    "user_id": here,
                    "session_id": known + np.arange(len(here)),
                    "event_date": day,
                    "level": np.where(paid, "paid", "free"),
                    "ads_served": ads,
                    "state_code": home[here],
                    "ad_revenue": np.round(ads * rng.uniform(0.002, 0.009, len(here)), 4),
                }
            )
        )
        songs_played = rng.integers(1, 7, len(here))
        of_session = np.repeat(here, songs_played)
        picked = songs.iloc[rng.choice(len(songs), len(of_session), p=popularity / popularity.sum())]
        listens.append(
            picked.assign(
                user_id=of_session,
                session_id=np.repeat(known + np.arange(len(here)), songs_played),
                event_date=day,
                state_code=home[of_session],
            )
        )
        known += len(here)
    changed = np.flatnonzero((upgrade_day >= 0) & (upgrade_day < len(days)))
    changes = pd.DataFrame({"user_id": changed, "day": [days[at] for at in upgrade_day[changed]]})
    return _timed(
        pd.concat(sessions, ignore_index=True), pd.concat(listens, ignore_index=True), changes, seed
    )


def _timed(sessions: pd.DataFrame, listens: pd.DataFrame, changes: pd.DataFrame, seed: int) -> World:
    """Sessions start at some minute, and no song is played in some of the short ones; a song takes some minutes."""
    rng = np.random.default_rng([seed, 1])
    hour = np.minimum(rng.normal(17, 4, len(sessions)).clip(0), 21)
    start = pd.to_datetime(sessions.event_date) + pd.to_timedelta((hour * 3600).astype(int), "s")
    played = listens.groupby("session_id").size().reindex(sessions.session_id, fill_value=0).to_numpy()
    seconds = played * 240 + rng.exponential(1500, len(sessions)).astype(int)
    nth = listens.groupby("session_id").cumcount().to_numpy()
    of_session = pd.Series(start.to_numpy(), index=sessions.session_id)
    at = of_session.loc[listens.session_id].to_numpy() + pd.to_timedelta(nth * 240, "s")
    sessions = sessions.assign(start=start, seconds=seconds)
    return World(sessions, listens.assign(at=at), changes, _departures(sessions, rng))


def _departures(sessions: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """One in a hundred sessions ends with somebody leaving."""
    left = sessions[rng.random(len(sessions)) < 0.01]
    paid = (left.level == "paid") & (rng.random(len(left)) < 0.6)
    columns = ["user_id", "session_id", "start", "seconds", "state_code", "level"]
    return left[columns].assign(
        departure=np.where(paid, "downgraded", "cancelled"),
        reason_page=rng.choice(["NextSong", "Home", "Help", "PlayAd", "NO PAGE"], len(left)),
    )


def _songs(rng: np.random.Generator, count: int = 260) -> pd.DataFrame:
    artists = [f"{one} {two}" for one in FIRST for two in SECOND][:48]
    of_artist = rng.permutation(count) % len(artists)
    titles = [
        f"{VERB[n % 8]} {PLACE[(n // 8) % 8]}{'' if n < 64 else f', Part {n // 64 + 1}'}"
        for n in range(count)
    ]
    return pd.DataFrame(
        {
            "pk_song": [f"{n:032x}" for n in rng.permutation(count)],
            "title": rng.permutation(titles),
            "artist": [artists[n] for n in of_artist],
            "genre": rng.choice(GENRES, len(artists), p=GENRE_SHARES)[of_artist],
        }
    )


class Shorter(Snapshot):
    """The world's snapshot without its last week and a half."""

    def _files(self, table: str) -> Mapping[date, File | None]:
        return {day: file for day, file in super()._files(table).items() if day < date(2025, 2, 4)}


T = TypeVar("T")


def counted_anew(snapshot: Snapshot, counts: Callable[[Snapshot], T]) -> tuple[int, T, T]:
    """The shorter snapshot counted after the whole: by how many queries, what, and what a new database finds."""
    counts(snapshot)
    with patch.object(snapshot.database, "query", wraps=snapshot.database.query) as query:
        found = counts(Shorter(snapshot.folder, snapshot.manifest, snapshot.database))
    return query.call_count, found, counts(Shorter(snapshot.folder, snapshot.manifest, Database()))


Marts = dict[str, dict[date | None, pa.Table]]


def marts_of(world: World) -> Marts:
    """The marts as the warehouse delivers them."""
    sessions, listens = world.sessions, world.listens
    by_level = sessions.groupby(["event_date", "level"]).user_id.nunique().reset_index(name="active_users")
    at_all = (
        sessions.groupby("event_date").user_id.nunique().reset_index(name="active_users").assign(level="all")
    )
    weekly = sessions.assign(week_start=[day - timedelta(days=day.weekday()) for day in sessions.event_date])
    weeks = weekly.groupby("week_start").agg(
        users=("user_id", "nunique"), ads_served=("ads_served", "sum"), ad_revenue=("ad_revenue", "sum")
    )
    weeks["paid_users"] = weekly[weekly.level == "paid"].groupby("week_start").user_id.nunique()
    weeks["free_users"] = weeks.users - weeks.paid_users
    frames = {
        "mart_daily_active_users": pd.concat([by_level, at_all]),
        "mart_daily_ad_revenue": sessions.groupby("event_date")[["ads_served", "ad_revenue"]]
        .sum()
        .reset_index(),
        "mart_weekly_users": weeks.reset_index(),
        "mart_daily_genre_streams": _streams(listens, ["genre"]),
        "mart_daily_song_streams": _streams(listens, ["pk_song", "title", "artist"]),
        "mart_daily_artist_streams": _streams(listens, ["artist"]),
        "mart_daily_state_streams": _streams(listens, [])
        .query("state_code != 'ALL'")
        .assign(state=lambda frame: frame.state_code.map(NAMES)),
    }
    return {name: by_day(name, frame) for name, frame in frames.items()}


def facts_of(world: World) -> Marts:
    """Facts and dimensions, as far as the pages read them."""
    sessions, listens = world.sessions, world.listens
    keys = {"pk_user": "user", "last_ingestion_datetime": sessions.start.dt.floor("h")}
    frames = {
        "fact_session_events": sessions.rename(
            columns={"ads_served": "num_ads_served", "seconds": "session_seconds"}
        ).assign(
            session_start_datetime=sessions.start,
            session_end_datetime=sessions.start + pd.to_timedelta(sessions.seconds, "s"),
            pk_location=sessions.state_code,
            pk_entry_page="page",
            num_pages_visited=1,
            total_ad_revenue=sessions.ad_revenue,
            **keys,
        ),
        "fact_listen_events": listens.assign(
            event_datetime=listens["at"],
            event_id=[f"{n:032x}" for n in range(len(listens))],
            pk_user="user",
            pk_location=listens.state_code,
            level="free",
            bucket_ingestion_datetime=listens["at"].dt.floor("h"),
        ),
        "fact_churn_events": world.departures.assign(
            session_start_datetime=world.departures.start,
            event_datetime=world.departures.start + pd.to_timedelta(world.departures.seconds, "s"),
            event_id=[f"{n:032x}" for n in range(len(world.departures))],
            pk_location=world.departures.state_code,
            bucket_ingestion_datetime=world.departures.start.dt.floor("h"),
        ),
        "dim_locations": pd.DataFrame({"state_code": list(NAMES), "state": list(NAMES.values())}).assign(
            pk_location=lambda frame: frame.state_code,
            country_code="US",
            standardised_postal_code=None,
            raw_postal_code=None,
            city="City",
            is_inferred=False,
        ),
        "dim_users": _users(world),
        "dim_songs": listens[["pk_song", "artist", "title", "genre"]]
        .drop_duplicates("pk_song")
        .assign(duration=200.0, is_inferred=False),
    }
    return {name: by_day(name, frame) for name, frame in frames.items()}


def _users(world: World) -> pd.DataFrame:
    """Each user's first row, and one from each change on."""
    first = pd.DataFrame({"user_id": sorted({*world.sessions.user_id, *world.changes.user_id})}).assign(
        row_effective_datetime=pd.Timestamp(2024, 1, 1), level="free", is_first_row=True
    )
    changed = world.changes.assign(
        row_effective_datetime=pd.to_datetime(world.changes.day) + pd.Timedelta(hours=12),
        level="paid",
        is_first_row=False,
    )
    rows = pd.concat([first, changed], ignore_index=True)
    return rows.assign(
        pk_user=[f"{n:032x}" for n in range(len(rows))],
        first_name=None,
        last_name=None,
        gender="F",
        registration_datetime=pd.Timestamp(2024, 1, 1),
        row_expiry_datetime=pd.Timestamp(2099, 1, 1),
        is_inferred=False,
        first_seen_datetime=pd.Timestamp(2024, 1, 1),
    )


def by_day(name: str, frame: pd.DataFrame) -> dict[date | None, pa.Table]:
    """The rows of a table, a table for each day; of one without days, under None."""
    column = tables()[name].day_column
    if not column:
        return {None: pa.Table.from_pandas(frame, preserve_index=False)}
    days = frame[column].dt.date if column.endswith("datetime") else frame[column]
    return {day: pa.Table.from_pandas(rows, preserve_index=False) for day, rows in frame.groupby(days)}


def _streams(listens: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    both = pd.concat([listens, listens.assign(state_code="ALL")])
    return both.groupby(["event_date", "state_code", *columns]).size().reset_index(name="streams")
