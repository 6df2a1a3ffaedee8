"""What the charts over facts cost at a process's first look, and with each snapshot after it.

    python benchmarks/habits.py

Four weeks are drawn: 9,000 sessions and some 190,000 listens a day, of 100,000 users and 2,000 songs, published in a
temporary folder. Each chart's count is asked of the snapshot without its newest day and then of the whole one, by one
process; then pages are drawn anew as clicks on marks, days and states at random have it. Prints CPU ms.
"""

import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from streaming_assets.dashboards import activity, board, habits, marks, song_ranking
from streaming_assets.dashboards.marks import MARKS, Mark
from streaming_assets.dashboards.pages import BY_NAME
from streaming_assets.dashboards.views import View
from streaming_assets.published.manifest import File
from streaming_assets.published.snapshot import Snapshot
from streaming_assets.testing.publishing import publish

FIRST, LAST = date(2025, 1, 6), date(2025, 2, 2)
AS_OF = datetime(2025, 2, 3, tzinfo=UTC)
SESSIONS = """
create table sessions as
select session_id, user_id, state, level, seconds, day + to_seconds(cast(random() * 86000 as int)) as start
from (
    select range as session_id, cast(random() * 100000 as bigint) as user_id, range % 51 as state,
           case when random() < 0.2 then 'paid' else 'free' end as level,
           cast(random() * random() * 14400 as bigint) as seconds,
           cast($first as timestamp) + to_days(cast(range // 9000 as int)) as day
    from range(9000 * 28)
)
"""
TABLES = {
    "fact_session_events": """
        select user_id, session_id, start as session_start_datetime, seconds as session_seconds, level,
               start + to_seconds(seconds) as session_end_datetime, md5(state::varchar) as pk_location, 'u' as pk_user,
               'p' as pk_entry_page, 1::bigint as num_pages_visited, 0::bigint as num_ads_served,
               0.0::double as total_ad_revenue, date_trunc('hour', start) as last_ingestion_datetime
        from sessions order by start
    """,
    "fact_listen_events": """
        select user_id, session_id, start + to_seconds(cast(seconds * place / 41 as int)) as event_datetime,
               md5((session_id * 100 + place)::varchar) as event_id, 'u' as pk_user, level,
               md5(cast(random() * random() * 2000 as int)::varchar) as pk_song, md5(state::varchar) as pk_location,
               date_trunc('hour', start) as bucket_ingestion_datetime
        from sessions, (select range as place from range(41)) where place <= session_id % 41 order by event_datetime
    """,
    "dim_songs": """
        select md5(range::varchar) as pk_song, 'Song ' || range as title, 'Artist ' || range % 300 as artist,
               'Genre ' || range % 9 as genre,
               200.0::double as duration, false as is_inferred from range(2001)
    """,
    "dim_locations": """
        select md5(range::varchar) as pk_location, 'S' || range as state_code, 'State' as state, 'US' as country_code,
               null::varchar as standardised_postal_code, null::varchar as raw_postal_code, 'City' as city,
               false as is_inferred from range(51)
    """,
    "fact_churn_events": """
        select user_id, session_id, start as session_start_datetime, start as event_datetime,
               session_id::varchar as event_id,
               md5(state::varchar) as pk_location, level, 'cancelled' as departure,
               'Page ' || session_id % 7 as reason_page,
               date_trunc('hour', start) as bucket_ingestion_datetime
        from sessions where session_id % 100 = 0 order by start
    """,
    "dim_users": """
        select md5(range::varchar) as pk_user, range as user_id, null::varchar as first_name,
               null::varchar as last_name,
               'F' as gender, 'paid' as level, false as is_first_row, false as is_inferred,
               $first::timestamp as registration_datetime,
               $first::timestamp + to_hours(cast(range % 672 as int)) as row_effective_datetime,
               '2099-01-01'::timestamp as row_expiry_datetime, $first::timestamp as first_seen_datetime
        from range(100000)
    """,
    "counted": """
        select event_datetime::date as event_date, coalesce(state_code, 'ALL') as state_code, pk_song,
               count(*) as streams
        from fact_listen_events join dim_locations using (pk_location)
        group by grouping sets ((event_date, state_code, pk_song), (event_date, pk_song))
    """,
    "mart_daily_song_streams": "select counted.*, title, artist from counted join dim_songs using (pk_song)",
    "mart_daily_genre_streams": """
        select event_date, state_code, genre, sum(streams)::bigint as streams
        from counted join dim_songs using (pk_song) group by all
    """,
    "mart_daily_artist_streams": """
        select event_date, state_code, artist, sum(streams)::bigint as streams
        from counted join dim_songs using (pk_song) group by all
    """,
    "mart_daily_state_streams": """
        select event_date, state_code, state_code as state, sum(streams)::bigint as streams
        from counted where state_code <> 'ALL' group by all
    """,
}  # fmt: skip
DAY_OF = {
    "fact_session_events": "session_start_datetime",
    "fact_listen_events": "event_datetime",
    "fact_churn_events": "session_start_datetime",
} | dict.fromkeys((name for name in TABLES if name.startswith("mart_")), "event_date")  # fmt: skip
CLICKS = 60  # on each kind of mark


def drawn() -> dict[str, dict[date | None, pa.Table]]:
    """The tables, by day."""
    tables: dict[str, dict[date | None, pa.Table]] = {}
    with duckdb.connect() as connection:
        connection.execute("select setseed(0.5)")
        connection.execute(SESSIONS, {"first": FIRST})
        for name, sql in TABLES.items():
            connection.execute(f"create table {name} as {sql}", {"first": FIRST} if "$first" in sql else None)
            if name == "counted":
                continue
            of = DAY_OF.get(name)
            tables[name] = {
                day: connection.execute(
                    f"from {name}" + (f" where {of}::date = '{day}'" if of else "")
                ).to_arrow_table()
                for day in ((FIRST + timedelta(days=n) for n in range(28)) if of else (None,))
            }
    return tables


class WithoutNewestDay(Snapshot):
    """The snapshot before."""

    def _files(self, table: str) -> Mapping[date, File | None]:
        return {day: file for day, file in super()._files(table).items() if day != LAST}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        publish(Path(folder), drawn(), AS_OF)
        now = Snapshot.open(Path(folder))
        before = WithoutNewestDay(now.folder, now.manifest, now.database)
        song = song_ranking.songs(before, View(FIRST, LAST), 0, 1).songs[0].key
        asked: dict[str, Callable[[Snapshot], object]] = {
            "retention by weekly cohort": lambda of: activity.first_week(of),
            "from the first visit to paid": lambda of: activity.funnel(of, View(FIRST, LAST)),
        }
        for state, where in (("ALL", ""), ("S3", ", one state")):
            view = View(FIRST, LAST, state)
            asked |= {
                f"plays by hour{where}": lambda of, v=view: habits.plays_by_hour(of, v),
                f"songs a session{where}": lambda of, v=view: habits.sessions_by_songs(of, v),
                f"songs played most{where}": lambda of, v=view: song_ranking.songs(of, v, 0, 50),
                f"played next{where}": lambda of, v=view: habits.played_after(of, v, song),
            }
        print("| CPU ms | first look | the next snapshot |\n|---|---|---|")
        for name, ask in asked.items():
            print(f"| {name} | {_spent(ask, before):.0f} | {_spent(ask, now):.0f} |")
        print("| CPU ms of a redraw | first | median of those after | 95th percentile |\n|---|---|---|---|")
        for mark in MARKS.values():
            first, *others = (
                _spent(lambda of, view=view, page=mark.page: _redraw(of, view, page), now)
                for view in _clicks(now, mark)
            )
            print(
                f"| {mark.name} | {first:.0f} | {np.median(others):.0f} | {np.percentile(others, 95):.0f} |"
            )


def _clicks(snapshot: Snapshot, mark: Mark) -> Iterator[View]:
    """A value of the mark, then others, each with the other marks of the page or without."""
    rng = random.Random(1)
    others = [other for other in marks.of_page(mark.page) if other is not mark]
    for _ in range(CLICKS):
        chosen = [mark, *(other for other in others if rng.random() < 0.3)]
        values = {one.name: rng.choice(sorted(one.values(snapshot))) for one in chosen}
        yield View(FIRST, LAST, marks=tuple(sorted(values.items())))


def _redraw(snapshot: Snapshot, view: View, page: str) -> None:
    """What the server does when filters change, the first rows of the songs table with it."""
    BY_NAME[page].subtitle(snapshot, view)
    board.values(page, snapshot, view)
    if page == "music":
        song_ranking.songs(snapshot, view, 0, 12)


def _spent(ask: Callable[[Snapshot], object], snapshot: Snapshot) -> float:
    begun = time.process_time()
    ask(snapshot)
    return (time.process_time() - begun) * 1000


if __name__ == "__main__":
    main()
