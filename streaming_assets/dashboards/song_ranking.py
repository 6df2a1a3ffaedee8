"""The songs of a view, ranked, searched, sorted and paged. They are what is large.

Each has a number in the reader's database, given when its first file is read; the
streams of all states are kept as one vector a day, by song number, so that any range is a sum of vectors. The
rankings of the latest views are kept too: paging, sorting and searching do not count anew.
"""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
import pyarrow as pa

from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Database, Snapshot
from streaming_assets.published.tables import ALL_STATES
from streaming_assets.text import fold

SONGS = "mart_daily_song_streams"
RANKINGS_KEPT = 24  # with 400,000 songs 6 MB each at most
VECTORS_KEPT = 120  # 1.6 MB each
DIM = "dim_songs"  # which has the genre
SORTED_BY = {"rank": "rank", "title": "lower(title)", "artist": "lower(artist)", "streams": "streams"}


@dataclass(frozen=True)
class Song:
    """One row of the songs table; its rank is the place by streams within the range, state and genre."""

    key: str
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
        view: range, state, genre, and search text, compared as `fold` sees it.
        start: first row, from 0.
        end: row after the last; None means all that follow.
        sort: a key of `SORTED_BY`; rows that it leaves equal are in the order of rank.
        descending: the other way round.

    Raises:
        KeyError: `sort` is none of them.
    """
    ranking = _ranked(snapshot, view)
    if not ranking.num_rows:
        return SongPage([], 0, 0)
    sought = fold(view.search)
    limit = ranking.num_rows if end is None else end - start
    if (sort, descending) in (("rank", False), ("streams", True)) and not sought:
        rows = snapshot.database.query(
            "SELECT key, rank, title, artist, streams FROM piece JOIN songs USING (number) ORDER BY rank",
            {},
            piece=ranking.slice(start, limit),  # the rows are in order already: name only those
        )
        found = ranking.num_rows
    else:
        rows = snapshot.database.query(
            f"""
            SELECT key, rank, title, artist, streams, count(*) OVER () AS found
            FROM ranking JOIN songs USING (number)
            WHERE contains(searched, $sought)
            ORDER BY {SORTED_BY[sort]} {"DESC" if descending else "ASC"}, rank
            LIMIT $limit OFFSET $start
            """,
            {"sought": sought, "limit": limit, "start": start},
            ranking=ranking,
        )
        found = rows["found"][0].as_py() if rows.num_rows else 0
        rows = rows.drop(["found"])
    return SongPage([Song(**row) for row in rows.to_pylist()], found, ranking["streams"][0].as_py())


def played(snapshot: Snapshot, view: View) -> int:
    """How many songs the view has, whatever is sought."""
    return _ranked(snapshot, view).num_rows


def artists(snapshot: Snapshot, view: View) -> list[tuple[str, int]]:
    """The artists of the view's songs by streams, the largest first, whatever is sought."""
    ranking = _ranked(snapshot, view)
    if not ranking.num_rows:
        return []
    rows = snapshot.database.query(
        """
        SELECT artist, sum(streams)::BIGINT AS streams FROM ranking JOIN songs USING (number)
        GROUP BY artist ORDER BY streams DESC, artist
        """,
        {},
        ranking=ranking,
    )
    return list(zip(rows["artist"].to_pylist(), rows["streams"].to_pylist(), strict=True))


def _ranked(snapshot: Snapshot, view: View) -> pa.Table:
    return _ranking(snapshot, tuple(view.days()), view.state, view.mark("genre"))


@lru_cache(maxsize=RANKINGS_KEPT)
def _ranking(snapshot: Snapshot, days: tuple[date, ...], state: str, genre: str) -> pa.Table:
    """Every song of the days, state and genre, the most streamed first: number, streams, rank from 1 on."""
    _learn_songs(snapshot)
    if state == ALL_STATES:
        vectors = [_streams_by_number(snapshot.database, file) for file in snapshot.files(SONGS, days)]
        total = np.zeros(max(map(len, vectors), default=0), np.int64)
        for vector in vectors:
            total[: len(vector)] += vector
        numbers = np.flatnonzero(total)
        streams = total[numbers]
    else:
        rows = snapshot.query(
            """
            SELECT number, streams FROM songs JOIN (
                SELECT song_id, sum(streams)::BIGINT AS streams
                FROM {rows} WHERE state_code = $state GROUP BY song_id
            ) USING (song_id)
            """,
            SONGS,
            days,
            {"state": state},
        )
        if not rows.num_rows:
            return rows
        numbers, streams = rows["number"].to_numpy(), rows["streams"].to_numpy()
    if genre:
        is_of_genre = np.isin(numbers, _numbers_of(snapshot, genre))
        numbers, streams = numbers[is_of_genre], streams[is_of_genre]
    order = np.lexsort((numbers, -streams))
    return pa.table(
        {
            "number": numbers[order].astype(np.int32),
            "streams": streams[order],
            "rank": np.arange(1, len(order) + 1, dtype=np.int32),
        }
    )


@lru_cache(maxsize=RANKINGS_KEPT)
def _numbers_of(snapshot: Snapshot, genre: str) -> np.ndarray:
    """The numbers of a genre's songs."""
    files = snapshot.whole(DIM)
    if not files:
        return np.empty(0, np.int32)
    rows = snapshot.database.query(
        "SELECT number FROM songs JOIN read_parquet($files) ON key = pk_song WHERE genre = $genre",
        {"files": files, "genre": genre},
    )
    return rows["number"].to_numpy()


@lru_cache(maxsize=VECTORS_KEPT)
def _streams_by_number(database: Database, file: str) -> np.ndarray:
    """The streams of each song in all states, in a file, which never changes."""
    rows = database.query(
        f"""
        SELECT number, streams FROM read_parquet($file) JOIN songs USING (song_id)
        WHERE state_code = '{ALL_STATES}'
        """,
        {"file": file},
    )
    numbers = rows["number"].to_numpy()
    vector = np.zeros(numbers.max() + 1, np.int32)
    vector[numbers] = rows["streams"].to_numpy()
    return vector


def _learn_songs(snapshot: Snapshot) -> None:
    """Put the songs of files not read so far into the table `songs` of the database."""
    database, table = snapshot.database, SONGS
    files = snapshot.files(table, snapshot.days(table))
    with database.lock:
        database.query(
            "CREATE TABLE IF NOT EXISTS songs "
            "(number INTEGER, song_id UBIGINT, key VARCHAR, title VARCHAR, artist VARCHAR, searched VARCHAR)",
            {},
        )
        database.query("CREATE TABLE IF NOT EXISTS learnt (file VARCHAR)", {})
        known = set(database.query("SELECT file FROM learnt", {})["file"].to_pylist())
        new = [file for file in files if file not in known]
        if new:
            songs = database.query(
                f"""
                SELECT (SELECT count(*) FROM songs) + row_number() OVER (ORDER BY song_id) - 1 AS number,
                       song_id, any_value(pk_song) AS key, any_value(title) AS title, any_value(artist) AS artist
                FROM read_parquet($files) AS delivered
                WHERE state_code = '{ALL_STATES}'
                  AND NOT EXISTS (FROM songs WHERE songs.song_id = delivered.song_id)
                GROUP BY song_id
                """,
                {"files": new},
            )
            searched = [
                f"{fold(title)}\n{fold(artist)}"
                for title, artist in zip(songs["title"].to_pylist(), songs["artist"].to_pylist(), strict=True)
            ]
            named = songs.append_column("searched", pa.array(searched, pa.string()))
            database.query("INSERT INTO songs FROM named", {}, named=named)
            database.query("INSERT INTO learnt SELECT unnest($files)", {"files": new})
