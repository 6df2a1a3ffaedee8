"""What the charts over facts cost at a process's first look, and with each snapshot after it.

    python benchmarks/habits.py

Four weeks are drawn: 9,000 sessions and some 190,000 listens a day, of 100,000 users and 2,000 songs, published in a
temporary folder. Each chart's count is asked of the snapshot without its newest day and then of the whole one, by one
process. Prints CPU ms.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from streaming_assets.dashboards import activity
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
        select user_id, session_id, start + to_seconds(cast(seconds * place / 21 as int)) as event_datetime,
               md5((session_id * 100 + place)::varchar) as event_id, 'u' as pk_user, level,
               md5(cast(random() * random() * 2000 as int)::varchar) as pk_song, md5(state::varchar) as pk_location,
               date_trunc('hour', start) as bucket_ingestion_datetime
        from sessions, (select range as place from range(21)) order by event_datetime
    """,
    "dim_songs": """
        select md5(range::varchar) as pk_song, 'Song ' || range as title, 'Artist' as artist, 'Pop' as genre,
               200.0::double as duration, false as is_inferred from range(2001)
    """,
    "dim_locations": """
        select md5(range::varchar) as pk_location, 'S' || range as state_code, 'State' as state, 'US' as country_code,
               null::varchar as standardised_postal_code, null::varchar as raw_postal_code, 'City' as city,
               false as is_inferred from range(51)
    """,
}  # fmt: skip
DAY_OF = {"fact_session_events": "session_start_datetime", "fact_listen_events": "event_datetime"}


def drawn() -> dict[str, dict[date | None, pa.Table]]:
    """The tables, by day."""
    tables: dict[str, dict[date | None, pa.Table]] = {}
    with duckdb.connect() as connection:
        connection.execute("select setseed(0.5)")
        connection.execute(SESSIONS, {"first": FIRST})
        for name, sql in TABLES.items():
            connection.execute(f"create table {name} as {sql}")
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
        song = activity.most_played(before, FIRST, LAST, "ALL", 1)[0].key
        asked: dict[str, Callable[[Snapshot], object]] = {
            "retention by weekly cohort": lambda of: activity.first_week(of),
            "from the first visit to paid": lambda of: activity.funnel(of, FIRST, LAST),
        }
        for state, where in (("ALL", ""), ("S3", ", one state")):
            asked |= {
                f"plays by hour{where}": lambda of, s=state: activity.plays_by_hour(of, FIRST, LAST, s),
                f"songs a session{where}": lambda of, s=state: activity.sessions_by_songs(of, FIRST, LAST, s),
                f"songs played most{where}": lambda of, s=state: activity.most_played(of, FIRST, LAST, s, 50),
                f"played next{where}": lambda of, s=state: activity.played_after(of, FIRST, LAST, s, song),
            }
        print("| CPU ms | first look | the next snapshot |\n|---|---|---|")
        for name, ask in asked.items():
            print(f"| {name} | {_spent(ask, before):.0f} | {_spent(ask, now):.0f} |")


def _spent(ask: Callable[[Snapshot], object], snapshot: Snapshot) -> float:
    begun = time.process_time()
    ask(snapshot)
    return (time.process_time() - begun) * 1000


if __name__ == "__main__":
    main()
