"""docs/metrics.md: its SQL, run on the marts, against counts of the facts, and what it asks MetricFlow."""

import re
from collections.abc import Callable
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from streaming_assets.dashboards.kpi_tiles import TILES
from streaming_assets.settings import PROJECT_ROOT
from streaming_assets.testing.publishing import parsed_project
from streaming_assets_tests.dashboards import facts
from streaming_assets_tests.dashboards.world import Marts, World
from streaming_assets_tests.metricflow import MetricFlow, documented, plain

FIRST, LAST, WEEK = date(2025, 1, 13), date(2025, 2, 11), date(2025, 2, 3)
TEXT = (PROJECT_ROOT / "docs/metrics.md").read_text()
TILE_NAMES = [tile.name for tile in TILES]
QUERIES = dict(re.findall(r"```sql\n-- ([a-z-]+)\n(.*?)```", TEXT, re.S))


# The world's facts as the tables that metrics are made of.
FACTS = """
create table fact_session_events as
    select event_date + interval 9 hour as session_start_datetime, user_id, user_id as pk_user, 'TX' as pk_location,
    level, 60 as session_seconds, ad_revenue as total_ad_revenue from sessions;
create table fact_listen_events as
    select event_date + interval 9 hour as event_datetime, state_code as pk_location, pk_song, 'free' as level
    from listens;
create table dim_locations as
    select distinct state_code as pk_location, state_code, state_code as city from listens;
create table dim_songs as select distinct pk_song, title, artist, genre from listens;
"""


@pytest.fixture(scope="module")
def warehouse(world: World, marts: Marts) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for name, days in marts.items():
        connection.register(name, pa.concat_tables(days.values()))
    connection.execute("attach ':memory:' as warehouse; use warehouse")
    connection.register("sessions", world.sessions)
    connection.register("listens", world.listens)
    connection.execute(FACTS)
    return connection


@pytest.fixture(scope="module")
def metricflow() -> MetricFlow:
    return MetricFlow(parsed_project())


def one_of_each_day(world: World, of: Callable[[date], Any]) -> list[Any]:
    return [of(day) for day in sorted(set(facts.between(world.sessions, FIRST, LAST).event_date))]


@pytest.mark.parametrize("tile", TILE_NAMES)
def test_a_tile(warehouse: duckdb.DuckDBPyConnection, world: World, tile: str) -> None:
    (value,) = warehouse.execute(QUERIES[tile]).fetchone()
    assert float(value) == pytest.approx(facts.week(world, WEEK, 4.99)[tile])


def test_the_charts_of_the_days(warehouse: duckdb.DuckDBPyConnection, world: World) -> None:
    users = warehouse.execute(QUERIES["daily-active-users"]).fetchall()
    wanted = one_of_each_day(world, lambda day: facts.active_users(world, day))
    assert [count for _, _, count in users] == [
        count for free, paid, both in wanted for count in (both, free, paid)
    ]
    revenue = [amount for _, amount in warehouse.execute(QUERIES["daily-ad-revenue"]).fetchall()]
    assert revenue == pytest.approx(one_of_each_day(world, lambda day: facts.ad_revenue(world, day)))


def test_the_charts_of_streams(warehouse: duckdb.DuckDBPyConnection, world: World) -> None:
    rows = facts.listens(world, FIRST, LAST, "TX")
    assert warehouse.execute(QUERIES["genres"]).fetchall() == facts.ranked(rows.genre)
    assert warehouse.execute(QUERIES["artists"]).fetchall() == facts.ranked(rows.artist)[:10]
    songs = warehouse.execute(QUERIES["songs"]).fetchall()
    assert {song[1:3]: song[3] for song in songs} == facts.songs(world, FIRST, LAST, "TX")
    states = warehouse.execute(QUERIES["states"]).fetchall()
    assert states == facts.ranked(facts.listens(world, FIRST, LAST).state_code)


@pytest.mark.parametrize("name", QUERIES)
def test_metricflow_gives_the_number_of_the_mart(
    warehouse: duckdb.DuckDBPyConnection, metricflow: MetricFlow, name: str
) -> None:
    asked = [set(metricflow.rows(warehouse, command)) for command in documented()[name]]
    mart = plain(warehouse.execute(QUERIES[name]).fetchall())
    if name in TILE_NAMES:  # of each week
        assert [(value,) for week, value in asked[0] if week == WEEK] == mart
    elif name == "daily-active-users":  # of each level, and of all
        assert asked == [
            {row for row in mart if row[1] != "all"},
            {(day, users) for day, level, users in mart if level == "all"},
        ]
    else:
        assert asked == [set(mart)]


def test_every_number_of_the_pages_is_defined() -> None:
    assert set(QUERIES) == {tile.name for tile in TILES} | {
        "daily-active-users",
        "daily-ad-revenue",
        "states",
        "genres",
        "artists",
        "songs",
    }
