"""The SQL of docs/metrics.md, run on the marts, against counts of the facts."""

import re
from collections.abc import Callable
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from streaming_assets.dashboards.kpi_tiles import TILES
from streaming_assets.settings import PROJECT_ROOT
from streaming_assets_tests.dashboards import facts
from streaming_assets_tests.dashboards.world import Marts, World

FIRST, LAST, WEEK = date(2025, 1, 13), date(2025, 2, 11), date(2025, 2, 3)
TEXT = (PROJECT_ROOT / "docs/metrics.md").read_text()
QUERIES = dict(re.findall(r"```sql\n-- ([a-z-]+)\n(.*?)```", TEXT, re.S))


@pytest.fixture(scope="module")
def warehouse(marts: Marts) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for name, days in marts.items():
        connection.register(name, pa.concat_tables(days.values()))
    return connection


def one_of_each_day(world: World, of: Callable[[date], Any]) -> list[Any]:
    return [of(day) for day in sorted(set(facts.between(world.sessions, FIRST, LAST).event_date))]


@pytest.mark.parametrize("tile", [tile.name for tile in TILES])
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


def test_every_number_of_the_pages_is_defined() -> None:
    assert set(QUERIES) == {tile.name for tile in TILES} | {
        "daily-active-users",
        "daily-ad-revenue",
        "states",
        "genres",
        "artists",
        "songs",
    }
