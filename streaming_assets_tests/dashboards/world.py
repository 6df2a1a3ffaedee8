"""A small world of known facts, and the marts that follow from them, counted here in plain pandas.

Facts are rows of single sessions and listens; every expectation of the tests is counted from them, never
from the marts.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa

from streaming_assets.dashboards.states import NAMES
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

    sessions: pd.DataFrame  # user_id, event_date, level, ads_served, ad_revenue
    listens: pd.DataFrame  # event_date, state_code, pk_song, title, artist, genre


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
    sessions, listens = [], []
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
                    "event_date": day,
                    "level": np.where(paid, "paid", "free"),
                    "ads_served": ads,
                    "ad_revenue": np.round(ads * rng.uniform(0.002, 0.009, len(here)), 4),
                }
            )
        )
        of_session = np.repeat(here, rng.integers(1, 7, len(here)))
        picked = songs.iloc[rng.choice(len(songs), len(of_session), p=popularity / popularity.sum())]
        listens.append(picked.assign(event_date=day, state_code=home[of_session]))
    return World(pd.concat(sessions, ignore_index=True), pd.concat(listens, ignore_index=True))


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


Marts = dict[str, dict[date, pa.Table]]


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


def by_day(name: str, frame: pd.DataFrame) -> dict[date, pa.Table]:
    """The rows of a mart, a table for each day."""
    return {
        day: pa.Table.from_pandas(rows, preserve_index=False)
        for day, rows in frame.groupby(tables()[name].day_column)
    }


def _streams(listens: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    both = pd.concat([listens, listens.assign(state_code="ALL")])
    return both.groupby(["event_date", "state_code", *columns]).size().reset_index(name="streams")
