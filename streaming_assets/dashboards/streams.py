"""Streams of a view by genre, artist or state, and the states that there are: what charts of streams share."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from dash import html

from streaming_assets.dashboards import formats, parts
from streaming_assets.dashboards.compare import against_before
from streaming_assets.dashboards.states import NAMES
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot
from streaming_assets.published.tables import ALL_STATES

STATES, GENRES = "mart_daily_state_streams", "mart_daily_genre_streams"
COUNTS_KEPT = 64  # of genres, artists and states: many people look at the same few views


@dataclass(frozen=True)
class Slice:
    """A named part of all streams."""

    name: str
    streams: int
    share: float  # 0 to 1


def largest(snapshot: Snapshot, table: str, column: str, view: View, shown: int | None = None) -> list[Slice]:
    """The values of `column` in the view's days and state by streams, the largest first; None shows all."""
    return list(_counted(snapshot, table, column, tuple(view.days()), view.state, "", shown))


@lru_cache(maxsize=COUNTS_KEPT)
def of_one(snapshot: Snapshot, table: str, column: str, name: str, view: View) -> int:
    """The streams of one value of `column` in the view's days and state."""
    rows = snapshot.query(
        f"SELECT sum(streams)::BIGINT AS streams FROM {{rows}} WHERE state_code = $state AND {column} = $name",
        table,
        view.days(),
        {"state": view.state, "name": name},
    )
    return (rows["streams"][0].as_py() or 0) if rows.num_rows else 0


def first_against_before(
    snapshot: Snapshot, view: View, table: str, name: str, number: Callable[[View], float | None]
) -> str:
    """`; Ann, up 4.2% on 1 to 7 Jan 2025`, of what leads, and its number; empty where nothing compares."""
    compared = against_before(snapshot, view, table, number)
    return f"; {name}{compared}" if compared else ""


def streams_by_state(snapshot: Snapshot, view: View) -> list[Slice]:
    """Streams of each state in the range, by state code, whatever state the view is of; of its genre, if it has one."""
    genre = view.mark("genre")
    table = GENRES if genre else STATES
    return list(_counted(snapshot, table, "state_code", tuple(view.days()), None, genre, None))


def count(snapshot: Snapshot, view: View) -> int:
    """All streams of the view."""
    by_state = streams_by_state(snapshot, view)
    return sum(part.streams for part in by_state if view.state in (ALL_STATES, part.name))


@lru_cache(maxsize=COUNTS_KEPT)
def _counted(
    snapshot: Snapshot,
    table: str,
    column: str,
    days: tuple[date, ...],
    state: str | None,
    genre: str,
    shown: int | None,
) -> tuple[Slice, ...]:
    """Of one state, or, without one, of each; of a genre, or, where it is empty, of all."""
    rows = snapshot.query(
        f"""
        SELECT {column} AS name, sum(streams)::BIGINT AS streams,
               sum(streams) / sum(sum(streams)) OVER () AS share
        FROM {{rows}} WHERE {"state_code = $state" if state else f"state_code <> '{ALL_STATES}'"}
              AND {"genre = $genre" if genre else "true"}
        GROUP BY {column} ORDER BY streams DESC, name LIMIT {"ALL" if shown is None else shown}
        """,
        table,
        days,
        ({"state": state} if state else {}) | ({"genre": genre} if genre else {}),
    )
    return tuple(Slice(**row) for row in rows.to_pylist())


@lru_cache(maxsize=4)
def genre_names(snapshot: Snapshot) -> set[str]:
    """The genres that were streamed."""
    days = snapshot.days(GENRES)
    rows = snapshot.query("SELECT DISTINCT genre FROM {rows}", GENRES, days)
    return set(rows["genre"].to_pylist()) if days else set()


@lru_cache(maxsize=4)
def state_names(snapshot: Snapshot) -> dict[str, str]:
    """The name of each state by its code, sorted by name: all of the USA, and others that occur."""
    rows = snapshot.query(
        f"SELECT DISTINCT state_code, state FROM {{rows}} WHERE state_code <> '{ALL_STATES}'",
        STATES,
        snapshot.days(STATES),
    )
    names = {row["state_code"]: row["state"] for row in rows.to_pylist()} | NAMES
    return dict(sorted(names.items(), key=lambda item: item[1]))


def where(snapshot: Snapshot, view: View) -> str:
    """The view's state by name, or `all states`."""
    return "all states" if view.state == ALL_STATES else state_names(snapshot).get(view.state, view.state)


def as_table(
    name: str, title: str, of: str, slices: list[Slice], heading: Callable[[str], Any] = str
) -> html.Details:
    """The slices of a chart as a table; `heading` makes one of each name."""
    return parts.as_table(f"{name}-rows", title, [of, "Streams", "Share"], as_rows(slices, heading))


def as_rows(slices: list[Slice], heading: Callable[[str], Any] = str) -> list[list[Any]]:
    """The rows of the table."""
    return [
        [heading(part.name), formats.count(part.streams), formats.percent(part.share, 1)] for part in slices
    ]


def no_streams(snapshot: Snapshot, view: View) -> html.Div:
    """Stands where a view has none."""
    return _none("streams", snapshot, view)


def no_sessions(snapshot: Snapshot, view: View) -> html.Div:
    """The same of sessions."""
    return _none("sessions", snapshot, view)


def _none(what: str, snapshot: Snapshot, view: View) -> html.Div:
    when = formats.span(view.first, view.last)
    return parts.nothing(f"No {what} in {where(snapshot, view)}, {when}. Choose other days or another state.")
