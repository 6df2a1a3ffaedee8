"""A site of two users over four days: the events that schedules are drawn from.

Few users, sessions, items and moments, so that draws collide: copies of one event that differ, changes of level in one
moment, session ids of two simulator processes, rows just under and over a day apart. Moments (`at`) are milliseconds
after START, a Friday evening, so that a week ends within.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from streaming_assets.lake.names import HOUR

START = datetime(2025, 3, 28, 22, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)
HALF_DAY = 12 * 3_600_000
# Ingestion hours: neighbours, across midnight, a day later, across the end of the week.
HOURS = [START + hours * HOUR for hours in (0, 1, 2, 3, 25, 26, 50, 51)]

# title, artist, duration, and what the reference calls it, if it knows it
SONGS = [
    ("Hello", "Ann", 200.5),
    ('Caf\u00e9 "Live"', "Ben", 180),
    ("Caf", "Ben", "180.004"),
    ("Hello", "\u00c5nn", 200.5),
    ("Hello", "\u00c3\u2026nn", 200.5),
    ("Da", "\u0414\u0430", 99.5),
    ("", "Ann", 31.25),
]
PLACES = [
    {"city": "Salem", "zip": "02801", "state": "RI"},
    {"city": "Salem", "zip": 2801, "state": "RI"},
    {"city": "Reno", "zip": "", "state": "XX"},
    {"zip": None},
    {"city": "Reno", "zip": "89501", "state": "ALL"},
]
PAGES = ["Home", "NextSong", "PlayAd", "Lab", "Settings", "Cancel", "Submit Downgrade"]
LEVELS = ["free", "paid", "Paid"]
# What a field may hold instead of its value; ... takes the field out.
JUNK = [None, ..., "", "abc", "1.5", 1.5, -1, 0, "12", True, [], {}, 10**19, "gold"]
LINES = [
    '{"value": {"ts": 1',
    "lost",
    '{"value": 5, "offset": 7}',
    '{"value": null}',
    "[1, 2]",
    '"text"',
    "null",
    " x",
]

# The reference files as they grow: each version knows more songs and places, or knows them better. None ever leaves:
# what a source drops, the merge with the lake's file keeps as retired.
REFERENCES = [
    ([], []),
    (
        [("t1", "Ann", "Hello", 200.5, None), ("t2", "Zoe", "Never", 10.0, "Pop")],
        [("US", "02801", "Salem", "Rhode Island", "RI")],
    ),
    (
        [
            ("t1", "Ann", "Hello", 200.5, None),
            ("t2", "Zoe", "Never", 10.0, "Pop"),
            ("t3", "Ann", "Hello", 200.5, "Rock"),
            ("t4", "Ben", 'Caf"', 180.0, "Jazz"),
            ("t5", "\u00c5nn", "Hello", 200.5, "Folk"),
        ],
        [("US", "02801", "Salem", "State of Rhode Island", "RI"), ("US", None, None, None, None)],
    ),
    (
        [
            ("t2", "Zoe", "Never", 10.0, "Pop"),
            ("t3", "Ann", "Hello", 200.5, "Folk"),
            ("t4", "Ben", 'Caf"', 180.0, "Jazz"),
            ("t4", "Ben", "Caf", 180.0, "Jazz"),
            ("t5", "\u00c5nn", "Hello", 200.5, "Folk"),
            ("t5", "\u00c3nn", "Hello", 200.5, "Folk"),
            ("t6", "Ann", "", 31.25, None),
        ],
        [
            ("US", "02801", "Salem", "Ocean State", "RI"),
            ("US", None, None, None, None),
            ("US", "2801", "Salem", "Rhode Island", "RI"),
        ],
    ),
]


@dataclass(frozen=True)
class Listen:
    """A song played; `song` and `place` are indexes."""

    user: int
    session: int
    item: int
    at: int
    level: str
    song: int
    place: int

    topic = "listen_events"

    @property
    def value(self) -> dict[str, Any]:
        """The event as the simulator writes it."""
        song, artist, duration = SONGS[self.song]
        track = {"song": song, "artist": artist, "duration": duration}
        return _in_session(self) | {"level": self.level} | track | PLACES[self.place]


@dataclass(frozen=True)
class View:
    """A page viewed."""

    user: int
    session: int
    item: int
    at: int
    level: str
    page: str
    place: int
    logged_in: bool
    ad_revenue: float | None

    topic = "page_view_events"

    @property
    def value(self) -> dict[str, Any]:
        """The event as the simulator writes it."""
        auth = "Logged In" if self.logged_in else "Guest"
        page = {"page": self.page, "auth": auth, "level": self.level, "userAgent": '"Mozilla"'}
        ad = {} if self.ad_revenue is None else {"ad_revenue": self.ad_revenue}
        return _in_session(self) | page | ad | PLACES[self.place]


@dataclass(frozen=True)
class Change:
    """An upgrade or downgrade, with the level before it."""

    user: int
    session: int
    item: int
    at: int
    level: str

    topic = "status_change_events"

    @property
    def value(self) -> dict[str, Any]:
        """The event as the simulator writes it."""
        return _in_session(self) | {"level": self.level}


@dataclass(frozen=True)
class Info:
    """A user's record; `registered` is a moment like `at`."""

    user: int
    at: int
    registered: int
    level: str
    name: str

    topic = "user_info"

    @property
    def value(self) -> dict[str, Any]:
        """The event as the simulator writes it."""
        who = {"userId": self.user, "firstName": self.name, "gender": "F", "level": self.level}
        return {"ts": START_MS + self.at, "registration": START_MS + self.registered, **who}


@dataclass(frozen=True)
class Broken:
    """An event one of whose fields holds something else, or lacks."""

    event: Listen | View | Change | Info
    field: str
    junk: Any

    @property
    def topic(self) -> str:
        """Topic of the event."""
        return self.event.topic

    @property
    def value(self) -> dict[str, Any]:
        """The event with the field replaced."""
        whole = self.event.value | {self.field: self.junk}
        return {name: value for name, value in whole.items() if value is not ...}


@dataclass(frozen=True)
class Garbage:
    """A line that is no event at all."""

    topic: str
    value: str


Event = Listen | View | Change | Info | Broken | Garbage


def _in_session(event: Any) -> dict[str, Any]:
    return {
        "ts": START_MS + event.at,
        "userId": event.user,
        "sessionId": event.session,
        "itemInSession": event.item,
    }


_moments = st.builds(
    lambda half_days, shift: half_days * HALF_DAY + shift,
    st.integers(0, 7),
    st.sampled_from([0, 1, -1, 999, 3_600_000]),
)
# Records of a user repeat, with the same registration or another.
_INFO_MOMENTS = [0, HALF_DAY, 3 * HALF_DAY + 1]
_users = st.integers(1, 2)
_session = {
    "user": st.integers(1, 3),
    "session": st.integers(1, 2),
    "item": st.integers(0, 2),
    "at": _moments,
}
_levels = st.sampled_from(LEVELS)
_places = st.integers(0, len(PLACES) - 1)
_sound = st.one_of(
    st.builds(Listen, **_session, level=_levels, song=st.integers(0, len(SONGS) - 1), place=_places),
    st.builds(
        View,
        **_session,
        level=_levels,
        page=st.sampled_from(PAGES),
        place=_places,
        logged_in=st.sampled_from([True, True, True, False]),
        ad_revenue=st.sampled_from([None, 0.007, 0.01]),
    ),
    st.builds(Change, **_session, level=_levels),
    st.builds(
        Info,
        user=_users,
        at=st.sampled_from(_INFO_MOMENTS),
        registered=st.sampled_from(_INFO_MOMENTS),
        level=_levels,
        name=st.sampled_from(["Ada", "Bo"]),
    ),
)
_broken = _sound.flatmap(
    lambda event: st.builds(
        Broken, st.just(event), st.sampled_from(sorted({*event.value, "ad_revenue"})), st.sampled_from(JUNK)
    )
)
_topics = st.sampled_from(["listen_events", "page_view_events", "status_change_events", "user_info"])
_garbage = st.builds(Garbage, _topics, st.sampled_from(LINES))

events: st.SearchStrategy[Event] = st.integers(0, 9).flatmap(
    lambda kind: _garbage if kind == 9 else _broken if kind == 8 else _sound
)
