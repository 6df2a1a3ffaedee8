"""The published tables: their columns, their grain, and the layout of their files.

The contract between the marts, which deliver these columns, and the queries, which read the files.
"""

from dataclasses import dataclass, field
from datetime import date

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

ALL_STATES = "ALL"  # state_code of the rollup over all states
LEVELS = ("free", "paid", "all")


class TableError(ValueError):
    """A table does not keep its contract; the message names the table and what is wrong."""


@dataclass(frozen=True)
class PublishedTable:
    """One published table.

    Attributes:
        name: the mart's name, and the folder of its files.
        day_column: the column that holds the day of the file, the same in all of its rows.
        columns: name and type of each further column that the mart delivers.
        grain: the columns that, with the day, name a row; files are sorted by them.
    """

    name: str
    day_column: str
    columns: dict[str, pa.DataType] = field(hash=False)
    grain: tuple[str, ...]

    @property
    def schema(self) -> pa.Schema:
        """The columns that the mart delivers, all required."""
        return pa.schema(
            [pa.field(self.day_column, pa.date32(), nullable=False)]
            + [pa.field(name, kind, nullable=False) for name, kind in self.columns.items()]
        )


TEXT, COUNT, USD = pa.string(), pa.int64(), pa.float64()

DAILY_ACTIVE_USERS = PublishedTable(
    "mart_daily_active_users", "event_date", {"level": TEXT, "active_users": COUNT}, ("level",)
)
DAILY_AD_REVENUE = PublishedTable(
    "mart_daily_ad_revenue", "event_date", {"ads_served": COUNT, "ad_revenue": USD}, ()
)
WEEKLY_USERS = PublishedTable(
    "mart_weekly_users",
    "week_start",
    {"users": COUNT, "paid_users": COUNT, "free_users": COUNT, "ads_served": COUNT, "ad_revenue": USD},
    (),
)
DAILY_GENRE_STREAMS = PublishedTable(
    "mart_daily_genre_streams",
    "event_date",
    {"state_code": TEXT, "genre": TEXT, "streams": COUNT},
    ("state_code", "genre"),
)
DAILY_SONG_STREAMS = PublishedTable(
    "mart_daily_song_streams",
    "event_date",
    {"state_code": TEXT, "pk_song": TEXT, "title": TEXT, "artist": TEXT, "streams": COUNT},
    ("state_code", "pk_song"),
)
DAILY_ARTIST_STREAMS = PublishedTable(
    "mart_daily_artist_streams",
    "event_date",
    {"state_code": TEXT, "artist": TEXT, "streams": COUNT},
    ("state_code", "artist"),
)
DAILY_STATE_STREAMS = PublishedTable(
    "mart_daily_state_streams",
    "event_date",
    {"state_code": TEXT, "state": TEXT, "streams": COUNT},
    ("state_code",),
)

TABLES: dict[str, PublishedTable] = {
    table.name: table
    for table in (
        DAILY_ACTIVE_USERS,
        DAILY_AD_REVENUE,
        WEEKLY_USERS,
        DAILY_GENRE_STREAMS,
        DAILY_SONG_STREAMS,
        DAILY_ARTIST_STREAMS,
        DAILY_STATE_STREAMS,
    )
}

# A song's row in a file is a number and a count; its names stand once a day, on the row of the rollup.
_SONG_FILE = f"""
    SELECT event_date, state_code, md5_number_lower(pk_song) AS song_id, streams,
           CASE WHEN state_code = '{ALL_STATES}' THEN pk_song END AS pk_song,
           CASE WHEN state_code = '{ALL_STATES}' THEN title END AS title,
           CASE WHEN state_code = '{ALL_STATES}' THEN artist END AS artist
    FROM delivered
    ORDER BY state_code, song_id
"""


def for_file(table: PublishedTable, day: date, delivered: pa.Table) -> pa.Table:
    """The rows of one day as its file holds them: checked, cast, in the order of the grain.

    Args:
        table: which table.
        day: the day that all rows must have.
        delivered: at least the columns of `table.schema`; others are left out.

    Raises:
        TableError: a column is missing or has an impossible type or a null, a row has another day,
            two rows are one of the grain, or a song has no row in the rollup over all states.
    """
    rows = _conform(table, day, delivered)
    if table is DAILY_SONG_STREAMS:
        _require_rollup(table, day, rows)
        with duckdb.connect() as connection:
            connection.register("delivered", rows)
            return connection.execute(_SONG_FILE).to_arrow_table()
    return rows


def _conform(table: PublishedTable, day: date, delivered: pa.Table) -> pa.Table:
    where = f"{table.name} of {day}"
    missing = [name for name in table.schema.names if name not in delivered.column_names]
    if missing:
        raise TableError(f"{where} lacks {', '.join(missing)}; it has {', '.join(delivered.column_names)}")
    picked = delivered.select(table.schema.names)
    for name in picked.column_names:
        if picked[name].null_count:
            raise TableError(f"{where}: {picked[name].null_count} rows have no {name}")
    try:
        rows = picked.cast(table.schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise TableError(f"{where}: {error}") from error
    other = pc.sum(pc.not_equal(rows[table.day_column], pa.scalar(day))).as_py()  # pyright: ignore
    if other:
        raise TableError(f"{where}: {other} rows have another {table.day_column}")
    grain = list(table.grain)
    distinct = rows.group_by(grain).aggregate([]).num_rows if grain else min(rows.num_rows, 1)
    if distinct != rows.num_rows:
        raise TableError(
            f"{where}: {rows.num_rows} rows, but {distinct} of {', '.join([table.day_column, *grain])}"
        )
    return rows.sort_by([(name, "ascending") for name in grain]) if grain else rows


def _require_rollup(table: PublishedTable, day: date, rows: pa.Table) -> None:
    rollup = rows.filter(pc.equal(rows["state_code"], ALL_STATES))  # pyright: ignore
    without = pc.sum(pc.invert(pc.is_in(rows["pk_song"], rollup["pk_song"].combine_chunks()))).as_py()  # pyright: ignore
    if without:
        raise TableError(f"{table.name} of {day}: {without} rows have no row of their song in {ALL_STATES}")
