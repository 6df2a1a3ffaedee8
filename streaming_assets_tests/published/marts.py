"""Marts in a DuckDB file, and the snapshot that is published of them."""

from collections.abc import Collection
from datetime import UTC, date, datetime
from pathlib import Path

from streaming_assets.assets.serving import Published, bring_up_to_date, unpublished
from streaming_assets.published.snapshot import Snapshot
from streaming_assets.published.tables import PublishedTable
from streaming_assets.testing.publishing import tables
from streaming_assets.warehouses.duckdb_warehouse import DuckDbWarehouse

REVENUE, STREAMS, GENRES = "mart_daily_ad_revenue", "mart_daily_streams", "mart_daily_genre_streams"
FIRST, SECOND, THIRD = date(2025, 3, 1), date(2025, 3, 2), date(2025, 3, 3)
AS_OF = datetime(2025, 3, 4, tzinfo=UTC)
MARTS = f"""
create table lake_objects (bucket_ingestion_datetime timestamp, is_processed boolean, error varchar);
insert into lake_objects values ('2025-03-03 23:00', true, null);
create table publish_queue (mart varchar, day date);
create table mart_daily_active_users as
    select * from (values (date '{FIRST}', 'all', 3), (date '{SECOND}', 'all', 4))
    as t (event_date, level, active_users);
create table mart_daily_ad_revenue as
    select * from (values (date '{FIRST}', 1, 0.1), (date '{SECOND}', 2, 0.2))
    as t (event_date, ads_served, ad_revenue);
create table mart_weekly_users as
    select date '2025-02-24' as week_start, 4 as users, 1 as paid_users, 3 as free_users,
    3 as ads_served, 0.3 as ad_revenue;
create table mart_daily_streams as
    select * from (values
        (date '{FIRST}', 'TX', 'a', 5), (date '{FIRST}', 'ALL', 'a', 5),
        (date '{SECOND}', 'CA', 'b', 2), (date '{SECOND}', 'ALL', 'b', 2)
    ) as t (event_date, state_code, pk_song, streams);
create table fact_listen_events as
    select event_date::timestamp + interval 13 hour as event_datetime, 'u' as pk_user, 'l' as pk_location, pk_song,
    pk_song || event_date as event_id, 1 as user_id, 2 as session_id, 'free' as level,
    timestamp '2025-03-03 23:00' as bucket_ingestion_datetime
    from mart_daily_streams where state_code = 'ALL';
create table fact_session_events as
    select event_date::timestamp + interval 7 hour as session_start_datetime, 2 as session_id, 'u' as pk_user,
    'l' as pk_location, 'p' as pk_entry_page, 60 as session_seconds, 4 as num_pages_visited,
    ads_served as num_ads_served, case when ads_served > 1 then ad_revenue end as total_ad_revenue,
    event_date::timestamp + interval 8 hour as session_end_datetime, 1 as user_id, 'free' as level,
    timestamp '2025-03-03 23:00' as last_ingestion_datetime
    from mart_daily_ad_revenue;
create table fact_churn_events as
    select session_start_datetime, session_end_datetime as event_datetime, 'e' as event_id, user_id, session_id,
    pk_location, level, 'cancelled' as departure, 'Home' as reason_page,
    last_ingestion_datetime as bucket_ingestion_datetime
    from fact_session_events;
create table dim_users as
    select 'u' as pk_user, 1 as user_id, null as first_name, null as last_name, 'F' as gender,
    null::timestamp as registration_datetime, 'free' as level, timestamp '1970-01-01' as row_effective_datetime,
    timestamp '9999-01-01' as row_expiry_datetime, true as is_first_row, true as is_current, true as is_inferred,
    timestamp '{FIRST}' as first_seen_datetime;
create table dim_songs as
    select pk_song, 'artist' as artist, 'title' as title, 200.5 as duration, 'Rock' as genre, false as is_inferred
    from (select distinct pk_song from mart_daily_streams);
create table dim_locations as
    select 'l' as pk_location, 'US' as country_code, '02801' as standardised_postal_code, '2801' as raw_postal_code,
    'Salem' as city, 'Rhode Island' as state, 'RI' as state_code, false as is_inferred;
create table dim_pages as
    select 'p' as pk_page, 'Home' as page_name, 'Landing' as page_category, false as is_inferred;
create view mart_daily_song_streams as
    select event_date, state_code, pk_song, 'title' as title, 'artist' as artist, streams from mart_daily_streams;
create view mart_daily_artist_streams as
    select event_date, state_code, 'artist' as artist, sum(streams)::bigint as streams
    from mart_daily_streams group by all;
create view mart_daily_genre_streams as
    select event_date, state_code, 'Rock' as genre, sum(streams)::bigint as streams
    from mart_daily_streams group by all;
create view mart_daily_state_streams as
    select event_date, state_code, state_code as state, sum(streams)::bigint as streams
    from mart_daily_streams where state_code <> 'ALL' group by all;
"""


class Marts:
    """Marts in a file, and the snapshot of them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder / "published"
        self.warehouse = DuckDbWarehouse(folder / "warehouse.duckdb", 5)
        self.run(MARTS)

    def run(self, statements: str) -> None:
        with self.warehouse.connect() as connection:
            connection.execute(statements)

    def queue(self, mart: str, *days: date) -> None:
        for day in days:
            self.run(f"insert into publish_queue values ('{mart}', '{day}')")

    def publish(self, published: Collection[PublishedTable] = ()) -> Published:
        with self.warehouse.exclusive():
            return bring_up_to_date(self.folder, published or tables().values(), self.warehouse)

    def unpublished(self, published: Collection[PublishedTable] = ()) -> list[str]:
        with self.warehouse.exclusive():
            return unpublished(self.folder, published or tables().values(), self.warehouse)

    def days(self, table: str) -> list[date]:
        return Snapshot.open(self.folder).days(table)

    def ads(self) -> dict[date, int]:
        snapshot = Snapshot.open(self.folder)
        rows = snapshot.query("select event_date, ads_served from {rows}", REVENUE, snapshot.days(REVENUE))
        return {row["event_date"]: row["ads_served"] for row in rows.to_pylist()}
