"""What the music page shows, computed from a snapshot: pure functions, small results.

A song's streams are grouped by a number and ranked once for each range and state; its names are looked up
for the rows of a page only. The rankings of the latest views are kept, so that paging, sorting and searching
do not count anew.
"""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import pyarrow as pa

from streaming_assets.dashboards.snapshot import Snapshot
from streaming_assets.dashboards.states import NAMES
from streaming_assets.dashboards.tables import (
    ALL_STATES,
    DAILY_ARTIST_STREAMS,
    DAILY_GENRE_STREAMS,
    DAILY_SONG_STREAMS,
    DAILY_STATE_STREAMS,
)
from streaming_assets.dashboards.views import Extent, View

GENRES_SHOWN = 5
OTHERS = "Others"
ARTISTS_SHOWN = 10
RANKINGS_KEPT = 24  # at most some 6 MB each, with 400,000 songs
SORTED_BY = {"rank": "rank", "title": "lower(title)", "artist": "lower(artist)", "streams": "streams"}


@dataclass(frozen=True)
class Slice:
    """A named part of all streams."""

    name: str
    streams: int
    share: float  # 0 to 1


@dataclass(frozen=True)
class Song:
    """One row of the songs table; its rank is the place by streams within the range and state."""

    rank: int
    title: str
    artist: str
    streams: int


@dataclass(frozen=True)
class SongPage:
    """Some rows of the songs table.

    Attributes:
        songs: the rows.
        found: how many rows there are in all.
        most: the streams of the first-ranked song, for shading.
    """

    songs: list[Song]
    found: int
    most: int


def genres(snapshot: Snapshot, view: View, shown: int | None = GENRES_SHOWN) -> list[Slice]:
    """Genres by streams, the largest first, those after the first `shown` as one slice `Others`."""
    slices = _ranked(snapshot, DAILY_GENRE_STREAMS.name, "genre", view)
    if shown is None or len(slices) <= shown:
        return slices
    rest = slices[shown:]
    others = Slice(OTHERS, sum(part.streams for part in rest), sum(part.share for part in rest))
    return [*slices[:shown], others]


def artists(snapshot: Snapshot, view: View, shown: int | None = ARTISTS_SHOWN) -> list[Slice]:
    """Artists by streams, the largest first."""
    return _ranked(snapshot, DAILY_ARTIST_STREAMS.name, "artist", view)[:shown]


def streams_by_state(snapshot: Snapshot, view: View) -> list[Slice]:
    """Streams of each state in the range, by state code, whatever state the view is of."""
    rows = snapshot.query(
        f"SELECT state_code AS name, sum(streams)::BIGINT AS streams FROM {{rows}} "
        f"WHERE state_code <> '{ALL_STATES}' GROUP BY ALL ORDER BY streams DESC, name",
        DAILY_STATE_STREAMS.name,
        view.days(),
    )
    return _slices(rows)


@lru_cache(maxsize=4)
def state_names(snapshot: Snapshot) -> dict[str, str]:
    """The name of each state by its code, sorted by name: all of the USA, and others that occur."""
    rows = snapshot.query(
        f"SELECT DISTINCT state_code, state FROM {{rows}} WHERE state_code <> '{ALL_STATES}'",
        DAILY_STATE_STREAMS.name,
        snapshot.days(DAILY_STATE_STREAMS.name),
    )
    names = {row["state_code"]: row["state"] for row in rows.to_pylist()} | NAMES
    return dict(sorted(names.items(), key=lambda item: item[1]))


def songs(
    snapshot: Snapshot,
    view: View,
    start: int,
    end: int | None,
    sort: str = "rank",
    descending: bool = False,
) -> SongPage:
    """Rows [start, end) of the songs whose title or artist contains the view's search text.

    Args:
        snapshot: where to read.
        view: range, state, and search text, in which case and surrounding blanks do not matter.
        start: first row, from 0.
        end: row after the last; None means all that follow.
        sort: a key of `SORTED_BY`; rows that it leaves equal are in the order of rank.
        descending: the other way round.

    Raises:
        KeyError: `sort` is none of them.
    """
    ranking = _ranking(snapshot, view.first, view.last, view.state)
    if not ranking.num_rows:
        return SongPage([], 0, 0)
    _learn_names(snapshot)
    sought = view.search.strip().lower()
    limit = ranking.num_rows if end is None else end - start
    in_order = (sort, descending) in (("rank", False), ("streams", True))
    with snapshot.cursor() as cursor:
        if in_order and not sought:  # take the rows first, and name only those
            cursor.register("piece", ranking.slice(start, limit))
            rows = cursor.execute(
                "SELECT rank, title, artist, streams FROM piece JOIN songs USING (song_id) ORDER BY rank"
            ).to_arrow_table()
            found = ranking.num_rows
        else:
            cursor.register("ranking", ranking)
            rows = cursor.execute(
                f"""
                SELECT rank, title, artist, streams, count(*) OVER () AS found
                FROM ranking JOIN songs USING (song_id)
                WHERE contains(searched, $sought)
                ORDER BY {SORTED_BY[sort]} {"DESC" if descending else "ASC"}, rank
                LIMIT $limit OFFSET $start
                """,
                {"sought": sought, "limit": limit, "start": start},
            ).to_arrow_table()
            found = rows["found"][0].as_py() if rows.num_rows else 0
            rows = rows.drop(["found"])
    return SongPage([Song(**row) for row in rows.to_pylist()], found, ranking["streams"][0].as_py())


def extent(snapshot: Snapshot) -> Extent | None:
    """The days that the page's charts have data of; None if they have none."""
    days = snapshot.days(DAILY_STATE_STREAMS.name)
    return Extent(days[0], days[-1]) if days else None


def _ranked(snapshot: Snapshot, table: str, column: str, view: View) -> list[Slice]:
    rows = snapshot.query(
        f"SELECT {column} AS name, sum(streams)::BIGINT AS streams FROM {{rows}} WHERE state_code = $state "
        f"GROUP BY ALL ORDER BY streams DESC, name",
        table,
        view.days(),
        {"state": view.state},
    )
    return _slices(rows)


def _slices(rows: pa.Table) -> list[Slice]:
    counted = rows.to_pylist()
    total = sum(row["streams"] for row in counted)
    return [Slice(row["name"], row["streams"], row["streams"] / total) for row in counted]


@lru_cache(maxsize=RANKINGS_KEPT)
def _ranking(snapshot: Snapshot, first: date, last: date, state: str) -> pa.Table:
    """Every song of the range and state: song_id, streams, rank (1 is the most streamed), in this order."""
    return snapshot.query(
        """
        SELECT song_id, streams, row_number() OVER (ORDER BY streams DESC, song_id)::INTEGER AS rank
        FROM (
            SELECT song_id, sum(streams)::INTEGER AS streams
            FROM {rows} WHERE state_code = $state GROUP BY song_id
        ) ORDER BY rank
        """,
        DAILY_SONG_STREAMS.name,
        View(first, last).days(),
        {"state": state},
    )


def _learn_names(snapshot: Snapshot) -> None:
    """Put the songs of files not read so far into the table `songs` of the snapshot's DuckDB."""
    with snapshot.alone(), snapshot.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS songs "
            "(song_id UBIGINT, title VARCHAR, artist VARCHAR, searched VARCHAR)"
        )
        cursor.execute("CREATE TABLE IF NOT EXISTS learnt (file VARCHAR)")
        known = {file for (file,) in cursor.execute("SELECT file FROM learnt").fetchall()}
        files = set(snapshot.manifest.tables[DAILY_SONG_STREAMS.name].values()) - known
        if not files:
            return
        days = [
            date.fromisoformat(day)
            for day, file in snapshot.manifest.tables[DAILY_SONG_STREAMS.name].items()
            if file in files
        ]
        new = snapshot.query(
            f"""
            SELECT song_id, any_value(title) AS title, any_value(artist) AS artist
            FROM {{rows}} AS delivered
            WHERE state_code = '{ALL_STATES}'
              AND NOT EXISTS (FROM songs WHERE songs.song_id = delivered.song_id)
            GROUP BY song_id
            """,
            DAILY_SONG_STREAMS.name,
            days,
        )
        cursor.register("new", new)
        cursor.execute(
            "INSERT INTO songs SELECT song_id, title, artist, lower(title || chr(10) || artist) FROM new"
        )
        cursor.executemany("INSERT INTO learnt VALUES (?)", [[file] for file in files])
