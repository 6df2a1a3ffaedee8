"""The snapshot held to the marts of a DuckDB file: what is published, what a bad day or table stops."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from streaming_assets.assets.column_lineage import personal_columns, read_lineage
from streaming_assets.published.manifest import MANIFEST, Manifest
from streaming_assets.published.tables import TableError, masked, published_tables
from streaming_assets.testing.publishing import tables
from streaming_assets_tests.published.marts import (
    AS_OF,
    FIRST,
    GENRES,
    REVENUE,
    SECOND,
    STREAMS,
    THIRD,
    Marts,
)


@pytest.fixture
def marts(tmp_path: Path) -> Marts:
    return Marts(tmp_path)


def test_the_first_publication_holds_all_days_of_all_marts(marts: Marts) -> None:
    published = marts.publish()
    assert (published.refused, published.findings, published.as_of) == ([], [], AS_OF)
    for name, table in tables().items():
        expected = [date(2025, 2, 24)] if name == "mart_weekly_users" else [FIRST, SECOND]
        assert marts.days(name) == (expected if table.day_column else []), name
        assert bool(Manifest.read(marts.folder).tables[name].whole) == (not table.day_column)


def test_a_snapshot_tells_the_hours_of_the_last_week_that_it_lacks(marts: Marts) -> None:
    marts.run("""
        insert into lake_objects values
            ('2025-03-02 20:00', true, null), ('2025-03-02 21:00', false, null), ('2025-03-02 22:00', true, null),
            ('2025-03-02 22:00', true, 'no gzip'), ('2025-02-20 00:00', false, null)
    """)
    marts.publish()
    hours = Manifest.read(marts.folder).hours
    at = datetime(2025, 3, 2, 20, tzinfo=UTC)
    assert hours is not None
    assert hours.first == at
    assert hours.unfinished == (at + timedelta(hours=1), at + timedelta(hours=2))
    assert hours.absent == tuple(at + timedelta(hours=n) for n in range(3, 27))
    marts.run("delete from lake_objects")
    marts.publish()
    assert Manifest.read(marts.folder).hours is None


def test_what_waits_to_be_published_is_told_without_publishing(marts: Marts) -> None:
    assert "nothing has been published" in marts.unpublished()[0]
    marts.publish()
    assert marts.unpublished() == []
    marts.queue(REVENUE, SECOND)
    marts.run(f"insert into {REVENUE} values ('{THIRD}', 3, 0.3); delete from mart_daily_active_users"
              f" where event_date = '{FIRST}'; drop view {GENRES}")  # fmt: skip
    file = next(marts.folder.glob(f"mart_daily_state_streams/{FIRST}-*.parquet"))
    file.unlink()
    assert sorted(marts.unpublished()) == sorted(
        [
            f"{REVENUE} of {SECOND} waits to be published",
            f"{REVENUE} of {THIRD} is not published",
            f"fact_churn_events of {THIRD} is not published",
            f"fact_session_events of {THIRD} is not published",
            f"mart_daily_active_users of {FIRST} is published, and no longer in its mart",
            f"{GENRES} is not in the warehouse yet",
            f"{file} is gone or damaged",
        ]
    )


def test_the_marts_of_another_warehouse_are_published_anew(
    marts: Marts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file was removed, Dagster's home and the snapshot were kept: one hour's day must not join the old ones."""
    marts.publish()
    monkeypatch.setattr(marts.warehouse, "generation", lambda: "another")
    marts.run(f"update {REVENUE} set ads_served = 50 where event_date = '{FIRST}'")  # and nothing queued
    assert "another warehouse" in marts.unpublished()[0]
    assert "another warehouse" in marts.publish().findings[0]
    assert marts.ads() == {FIRST: 50, SECOND: 2}


def test_a_publication_reads_the_days_that_are_queued_and_no_other(marts: Marts) -> None:
    marts.publish()
    marts.run("update mart_daily_ad_revenue set ads_served = ads_served + 10")
    marts.queue(REVENUE, SECOND)
    assert marts.publish().days == 1
    assert marts.ads() == {FIRST: 1, SECOND: 12}
    assert marts.warehouse.queued_days() == {}
    marts.queue(STREAMS, FIRST)
    before = Manifest.read(marts.folder).files()
    published = marts.publish()
    assert (published.days, published.rows) == (1, 7), "of the four views on the mart"
    assert Manifest.read(marts.folder).files() == before


def test_days_that_the_marts_no_longer_have_leave_without_being_queued(marts: Marts) -> None:
    """As after a rebuild from a lake of which objects were removed."""
    marts.publish()
    marts.run(f"delete from {STREAMS} where event_date = '{FIRST}'; delete from {REVENUE}")
    marts.publish()
    assert marts.days(REVENUE) == []
    for name in ("song", "artist", "genre", "state"):
        assert marts.days(f"mart_daily_{name}_streams") == [SECOND]
    assert marts.days("mart_daily_active_users") == [FIRST, SECOND]


def test_days_that_the_snapshot_lacks_are_published_without_being_queued(marts: Marts) -> None:
    marts.publish()
    marts.run(f"insert into {REVENUE} values ('{THIRD}', 3, 0.3)")
    marts.publish()
    assert marts.ads() == {FIRST: 1, SECOND: 2, THIRD: 3}


DAMAGES: dict[str, Callable[[Path, Path], Any]] = {
    "manifest cut short": lambda manifest, _: manifest.write_text(manifest.read_text()[:200]),
    "manifest gone": lambda manifest, _: manifest.unlink(),
    "manifest of wrong types": lambda manifest, _: manifest.write_text(
        json.dumps(json.loads(manifest.read_text()) | {"tables": {"x": 1}})
    ),
    "manifest of another version": lambda manifest, _: manifest.write_text('{"format": 1, "tables": {}}'),
    "file gone": lambda _, file: file.unlink(),
    "file cut short": lambda _, file: file.write_bytes(file.read_bytes()[:-1]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_mended_by_the_next_publication(marts: Marts, damage: str) -> None:
    marts.publish()
    file = next(marts.folder.glob(f"{REVENUE}/{FIRST}-*.parquet"))
    DAMAGES[damage](marts.folder / MANIFEST, file)
    published = marts.publish()
    assert published.refused == []
    assert bool(published.findings) == (damage != "manifest gone")
    assert marts.ads() == {FIRST: 1, SECOND: 2}
    assert marts.days(GENRES) == [FIRST, SECOND]


def test_a_bad_day_stops_itself_alone_until_it_is_mended(marts: Marts) -> None:
    marts.publish()
    marts.run(f"insert into {REVENUE} values ('{FIRST}', 99, 9.9), ('{THIRD}', 3, 0.3)")
    marts.queue(REVENUE, FIRST, THIRD)
    marts.run(f"update {STREAMS} set streams = 7 where event_date = '{SECOND}'")
    marts.queue(STREAMS, SECOND)
    for _ in range(2):  # each later run says it again, and goes on with what is sound
        published = marts.publish()
        assert published.refused == [f"{REVENUE} of {FIRST}: 2 rows, but 1 of event_date"]
        assert marts.ads() == {FIRST: 1, SECOND: 2, THIRD: 3}, "the bad day keeps its former rows"
        assert marts.warehouse.queued_days() == {REVENUE: [FIRST]}
    marts.run(f"delete from {REVENUE} where ads_served = 1")
    assert marts.publish().refused == []
    assert marts.ads() == {FIRST: 99, SECOND: 2, THIRD: 3}
    assert marts.warehouse.queued_days() == {}


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        ("select event_date, state_code, streams from mart_daily_streams", "lacks genre"),
        ("select event_date, state_code, null::varchar as genre, streams from mart_daily_streams", "have no"),
        (
            "select event_date, state_code, pk_song::integer::varchar as genre, streams from mart_daily_streams",
            "Could not convert",
        ),
    ],
)
def test_a_bad_table_stops_itself_alone(marts: Marts, view: str, reason: str) -> None:
    marts.run(f"create or replace view {GENRES} as {view}")
    published = marts.publish()
    assert all(GENRES in text and reason in text for text in published.refused)
    assert published.refused
    assert marts.days(GENRES) == []
    assert marts.days("mart_daily_song_streams") == [FIRST, SECOND]


def test_a_mart_that_is_not_built_yet_keeps_what_is_published_of_it(marts: Marts) -> None:
    marts.publish()
    marts.run(f"drop table {REVENUE}")
    assert marts.publish().refused == [
        f"fact_churn_events waits for {REVENUE}, which has its days and is not in the warehouse yet",
        f"fact_session_events waits for {REVENUE}, which has its days and is not in the warehouse yet",
        f"{REVENUE} is not in the warehouse yet",
    ]
    assert marts.ads() == {FIRST: 1, SECOND: 2}


def test_a_day_of_the_mart_without_rows_in_a_view_is_asked_for_once(marts: Marts) -> None:
    marts.run(f"create or replace view {GENRES} as select event_date, state_code, 'Rock' as genre, streams"
              f" from mart_daily_streams where event_date > '{FIRST}'")  # fmt: skip
    marts.publish()
    assert marts.days(GENRES) == [SECOND]
    assert marts.publish().days == 0


def test_a_fact_is_published_by_the_days_that_are_queued_under_its_name(marts: Marts) -> None:
    marts.publish()
    marts.run("update fact_listen_events set pk_user = 'v'")
    marts.queue("fact_listen_events", SECOND)
    before = Manifest.read(marts.folder)
    published = marts.publish()
    assert (published.days, published.rows, published.refused) == (1, 1, [])
    after = Manifest.read(marts.folder)
    files = {name: (before.tables[name].days, table.days) for name, table in after.tables.items()}
    changed = [(name, day) for name, (was, now) in files.items() for day in now if now[day] != was[day]]
    assert changed == [("fact_listen_events", SECOND)]
    assert marts.warehouse.queued_days() == {}


def test_a_table_without_days_is_written_when_it_changed(marts: Marts) -> None:
    marts.publish()
    first = Manifest.read(marts.folder).tables["dim_users"]
    assert marts.publish().rows == 0
    marts.run("update dim_users set level = 'paid'")
    assert marts.unpublished() == ["dim_users has changed since it was published"]
    assert marts.publish().rows == 1
    second = Manifest.read(marts.folder).tables["dim_users"]
    assert second.whole != first.whole
    marts.run("insert into dim_users select * from dim_users")
    published = marts.publish()
    assert published.refused == ["dim_users: 2 rows, but 1 of pk_user"]
    assert Manifest.read(marts.folder).tables["dim_users"] == second, "its former rows stay"
    assert marts.unpublished() == ["dim_users has changed since it was published"], "until they are mended"
    marts.run("delete from dim_users")
    assert marts.publish().refused == []
    assert Manifest.read(marts.folder).tables["dim_users"].whole is None
    assert marts.unpublished() == []


def test_what_a_fact_may_lack_is_null_and_what_names_its_row_is_there(marts: Marts) -> None:
    marts.run("update fact_session_events set pk_user = null where total_ad_revenue is null")
    assert marts.publish().refused == [f"fact_session_events of {FIRST}: 1 rows have no pk_user"]
    assert marts.days("fact_session_events") == [SECOND]


PERSONAL = {
    "dim_users": ["first_name", "last_name", "gender"],
    "dim_locations": ["standardised_postal_code", "raw_postal_code"],
}


def test_what_contracts_mark_personal_is_known_of_each_published_table() -> None:
    known = personal_columns(read_lineage())
    assert {name: known[name] for name in tables() if known[name]} == PERSONAL


def test_personal_columns_are_masked_for_readers_and_shown_again(marts: Marts) -> None:
    def seen() -> tuple[tuple, tuple, list[tuple]]:
        with duckdb.connect(marts.folder / "analytics.duckdb", read_only=True) as reader:
            (user,) = reader.execute("select pk_user, user_id, gender, level from dim_users").fetchall()
            (place,) = reader.execute(
                "select pk_location, city, standardised_postal_code, raw_postal_code from dim_locations"
            ).fetchall()
            told = reader.execute(
                "select column_name from duckdb_columns() where comment like '%personal, so null for readers'"
            ).fetchall()
        return user, place, told

    marts.publish()
    shown = seen()
    assert shown == (("u", 1, "F", "free"), ("l", "Salem", "02801", "2801"), [])
    days = marts.days("fact_listen_events")
    without = masked(tables().values(), personal_columns(read_lineage()))
    said = "is published with other columns, another grain, or others masked"
    assert marts.unpublished(without) == [f"dim_locations {said}", f"dim_users {said}"]
    assert marts.publish(without).rows == 2, "nothing else is written anew"
    user, place, told = seen()
    assert (user, place) == (("u", 1, None, "free"), ("l", "Salem", None, None))
    assert {name for (name,) in told} == {name for names in PERSONAL.values() for name in names}
    assert (marts.unpublished(without), marts.days("fact_listen_events")) == ([], days)
    marts.publish()
    assert seen() == shown


@pytest.mark.parametrize(
    ("personal", "message"),
    [
        ({}, "is not known"),
        ({"dim_users": ["pk_user"]}, "dim_users: pk_user: personal, and each row must have it"),
    ],
    ids=["a table without lineage", "what names its rows"],
)
def test_what_can_not_be_masked_is_told(personal: dict[str, list[str]], message: str) -> None:
    with pytest.raises(TableError, match=message):
        masked([tables()["dim_users"]], personal)


NODE: dict[str, Any] = {
    "unique_id": "model.p.m",
    "resource_type": "model",
    "name": "m",
    "fqn": ["p", "marts", "m"],
    "description": "",
    "patch_path": "p://models/m.yml",
    "original_file_path": "models/m.sql",
    "columns": {
        "day": {"name": "day", "data_type": "date", "description": ""},
        "n": {"name": "n", "data_type": "bigint", "description": ""},
        "k": {"name": "k", "data_type": "string", "description": ""},
    },
    "depends_on": {"nodes": []},
}


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"publish": {"grain": []}, "days": "x"}, "meta.day must name the column"),
        ({"publish": {"grain": []}, "day": "when", "days": "x"}, "no column is called when"),
        ({"publish": {"grain": ["who"]}, "day": "day", "days": "x"}, "no column is called who"),
        ({"publish": {"grian": []}, "day": "day", "days": "x"}, "not grian"),
        ({"publish": {"grain": []}, "day": "n", "days": "x"}, "must be a date"),
        ({"publish": {"grain": []}, "day": "day"}, "meta.days"),
        ({"publish": {"days_of": "q"}, "day": "day", "days": "x"}, "days_of, q, is no model with meta.day"),
        ({"publish": {"numbered": {"key": "k"}}, "day": "day", "days": "x"}, "numbered needs"),
        (
            {
                "publish": {"numbered": {"key": "q", "number": "i", "names": [], "rollup": {"k": "ALL"}}},
                "day": "day",
                "days": "x",
            },
            "no column is called q",
        ),
    ],
)
def test_what_a_mart_says_amiss_is_named_with_its_file(meta: dict[str, Any], message: str) -> None:
    node = NODE | {"config": {"meta": meta}}
    with pytest.raises(TableError, match=f"models/m.yml: m.*{message}"):
        published_tables({"nodes": {"model.p.m": node}})


def test_a_column_of_a_type_that_no_file_has_is_named() -> None:
    columns = NODE["columns"] | {"g": {"name": "g", "data_type": "geography", "description": ""}}
    node = NODE | {"columns": columns, "config": {"meta": {"publish": None, "day": "day", "days": "x"}}}
    with pytest.raises(TableError, match="column g has type geography"):
        published_tables({"nodes": {"model.p.m": node}})


def test_each_published_mart_has_an_exposure() -> None:
    """People who change a mart see in dbt what shows it."""
    from streaming_assets.dagster_runtime.dbt import DbtRunner
    from streaming_assets.settings import Settings
    from streaming_assets.testing import CACHE

    manifest = DbtRunner(Settings(home=CACHE)).manifest
    shown = {node for exposure in manifest["exposures"].values() for node in exposure["depends_on"]["nodes"]}
    published = {f"model.streaming_assets.{name}": table.is_mart for name, table in tables().items()}
    assert {mart for mart, is_mart in published.items() if is_mart} <= shown <= published.keys()
