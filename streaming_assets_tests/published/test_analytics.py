"""The database of the snapshot: what whoever opens it sees, and that it stops nobody."""

import json
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from streaming_assets.published.analytics import DATABASE
from streaming_assets.published.manifest import MANIFEST, Manifest, SnapshotError
from streaming_assets.testing.publishing import tables
from streaming_assets_tests.published.marts import FIRST, REVENUE, SECOND, STREAMS, Marts

# Each open sees one snapshot: its number, and two tables that the writer changes together.
READER = f"""
import json, sys, time, duckdb
seen = []
while not seen or seen[-1][0] < int(sys.argv[2]):
    with duckdb.connect(sys.argv[1], read_only=True) as connection:
        seen.append(connection.execute('''
            select (select snapshot from snapshot), (select sum(ads_served) from {REVENUE}),
                   (select sum(streams) from mart_daily_song_streams where state_code = 'ALL')
        ''').fetchone())
    if len(seen) == 1:
        print("reads", flush=True)
    time.sleep(0.02)
print(json.dumps([list(map(int, row)) for row in seen]))
"""


@pytest.fixture
def marts(tmp_path: Path) -> Marts:
    return Marts(tmp_path / "it's [a] *")  # no sign of the folder's name means anything


def ask(marts: Marts, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(marts.folder / DATABASE, read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_each_table_has_the_rows_and_columns_of_its_mart(marts: Marts) -> None:
    marts.publish()
    for name, table in tables().items():
        columns = ", ".join(table.schema.names)
        query = f"select {columns} from {name} order by all"
        held = [
            # Amounts are exact in the warehouse and doubles in the files.
            tuple(pytest.approx(float(value)) if isinstance(value, Decimal) else value for value in row)
            for row in marts.warehouse.rows(query)
        ]
        assert held
        assert ask(marts, query) == held, name
        assert ask(marts, f"select * from {name} limit 0") == []


def test_tables_and_columns_are_described(marts: Marts) -> None:
    marts.publish()
    said = dict(ask(marts, "select view_name, comment from duckdb_views() where not internal"))
    assert said.keys() == {*tables(), "snapshot"}
    assert all(said.values())
    assert said[REVENUE] == tables()[REVENUE].description
    undescribed = ask(
        marts, "select table_name, column_name from duckdb_columns() where not internal and comment is null"
    )
    assert undescribed == []


def test_a_table_without_rows_has_its_columns(marts: Marts) -> None:
    marts.run(f"delete from {REVENUE}; delete from {STREAMS}")
    marts.publish()
    assert ask(marts, f"select * from {REVENUE}") == ask(marts, "from mart_daily_song_streams") == []
    described = [row[:2] for row in ask(marts, f"describe {REVENUE}")]
    assert described == [("event_date", "DATE"), ("ads_served", "BIGINT"), ("ad_revenue", "DOUBLE")]


def test_it_tells_its_moment(marts: Marts) -> None:
    marts.publish()
    manifest = Manifest.read(marts.folder)
    ((snapshot, as_of, published_at),) = ask(marts, "from snapshot")
    assert snapshot == manifest.snapshot == 1
    assert as_of == manifest.as_of.replace(tzinfo=None)
    assert published_at == manifest.published_at.replace(tzinfo=None)


def test_what_a_killed_publication_left_goes_and_what_a_reader_has_open_stays(marts: Marts) -> None:
    marts.publish()
    left = marts.folder / f"{DATABASE}.123.incoming"
    left.write_bytes(b"half a database")
    spilt = marts.folder / f"{DATABASE}.tmp"  # where DuckDB puts what a reader's query has no memory for
    spilt.mkdir()
    marts.publish()
    assert {path.name for path in marts.folder.glob(f"{DATABASE}*")} == {DATABASE, spilt.name}


def test_where_it_cannot_be_placed_the_former_snapshot_stays_and_the_days_wait(marts: Marts) -> None:
    marts.publish()
    former = Manifest.read(marts.folder)
    (marts.folder / DATABASE).unlink()
    (marts.folder / DATABASE).mkdir()
    marts.queue(REVENUE, FIRST)
    with pytest.raises(SnapshotError, match=f"can't publish to {re.escape(str(marts.folder))}: .*directory"):
        marts.publish()
    assert Manifest.read(marts.folder) == former
    assert marts.warehouse.queued_days() == {REVENUE: [FIRST]}


@pytest.mark.parametrize("lost", ["manifest", "warehouse", "crash"])
def test_an_open_connection_keeps_its_files_whatever_is_published_next(
    marts: Marts, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    marts.publish()
    former = (marts.folder / MANIFEST).read_bytes()
    marts.run(f"update {REVENUE} set ads_served = 9")
    marts.queue(REVENUE, FIRST, SECOND)
    marts.publish()
    with duckdb.connect(marts.folder / DATABASE, read_only=True) as connection:
        if lost == "manifest":
            (marts.folder / MANIFEST).write_text("{")
        elif lost == "warehouse":
            monkeypatch.setattr(marts.warehouse, "generation", lambda: "another")
        else:  # between the database and the manifest
            (marts.folder / MANIFEST).write_bytes(former)
        marts.run(f"update {REVENUE} set ads_served = 7")
        marts.queue(REVENUE, FIRST, SECOND)
        marts.publish()
        assert connection.execute(f"select sum(ads_served) from {REVENUE}").fetchall() == [(18,)]
    assert ask(marts, f"select sum(ads_served) from {REVENUE}") == [(14,)]


def test_a_folder_that_was_moved_is_read_from_the_next_publication_on(marts: Marts) -> None:
    marts.publish()
    marts.folder = marts.folder.rename(marts.folder.with_name("elsewhere"))
    with pytest.raises(duckdb.IOException):
        ask(marts, f"from {REVENUE}")
    marts.publish()
    assert len(ask(marts, f"from {REVENUE}")) == 2


@pytest.mark.integration
def test_readers_in_a_loop_see_whole_snapshots_and_stop_nobody(marts: Marts) -> None:
    """In processes of their own, while one publication follows the other."""
    publications = 8
    marts.publish()
    known = {1: (3, 7)}  # of each snapshot: advertisements, streams
    command = [sys.executable, "-W", "ignore", "-c", READER, str(marts.folder / DATABASE), str(publications)]
    readers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    try:
        for reader in readers:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "reads\n"
        for number in range(2, publications + 1):
            marts.run(
                f"update {REVENUE} set ads_served = {number} where event_date = '{FIRST}';"
                f"update {STREAMS} set streams = {number} where event_date = '{SECOND}'"
            )
            marts.queue(REVENUE, FIRST)
            marts.queue(STREAMS, SECOND)
            known[number] = (number + 2, number + 5)
            assert marts.publish().refused == []
        for reader in readers:
            told, errors = reader.communicate(timeout=30)
            assert (reader.returncode, errors) == (0, "")
            seen = {snapshot: (ads, streams) for snapshot, ads, streams in json.loads(told)}
            assert len(seen) > 3
            assert seen == {snapshot: known[snapshot] for snapshot in seen}
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()
