"""The DuckDB warehouse: one writer at a time, what it says of whoever holds it, and its inventory of objects."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Event, Thread, Timer

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from streaming_assets.events import BY_TOPIC, DEAD_LETTERS, EventField
from streaming_assets.lake.folder import FolderLake
from streaming_assets.lake.inventory import Found, InventoryRow
from streaming_assets.lake.names import SONGS, ObjectName
from streaming_assets.lake.sealing import commit, prepare
from streaming_assets.warehouses.duckdb_warehouse import DuckDbWarehouse
from streaming_assets.warehouses.holding import held_objects
from streaming_assets.warehouses.warehouse import WarehouseLocked, WarehouseOutdated
from streaming_assets_tests.graph import Place, hour, listen

EXCLUSIVE = """
import sys
from pathlib import Path
from streaming_assets.warehouses.duckdb_warehouse import DuckDbWarehouse
from streaming_assets.warehouses.holding import held_objects
with DuckDbWarehouse(Path(sys.argv[1]), 60).exclusive():
    print("held", flush=True)
    sys.stdin.read()
"""
SHELL = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.close()


@contextmanager
def held_by_another(path: Path, program: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process holds the file until its input ends."""
    command = [sys.executable, "-W", "ignore", "-c", program, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDbWarehouse:
    return DuckDbWarehouse(tmp_path / "new" / "warehouse.duckdb", 0.5)


@pytest.mark.integration
@pytest.mark.parametrize("program", [EXCLUSIVE, SHELL], ids=["a run", "a DuckDB shell"])
def test_a_warehouse_in_use_is_an_error_that_names_file_process_and_way_out(
    warehouse: DuckDbWarehouse, program: str
) -> None:
    warehouse.path.parent.mkdir()
    with held_by_another(warehouse.path, program) as other:
        begun = time.monotonic()
        with pytest.raises(WarehouseLocked) as caught, warehouse.exclusive():
            pass
        assert time.monotonic() - begun >= 0.5, "it waits as long as the setting says"
        message = str(caught.value)
        for part in (
            f"{warehouse.path} is in use",
            str(other.pid),
            "End what holds it",
            "STREAMING_ASSETS_WAREHOUSE_LOCK_TIMEOUT_SECONDS, now 0.5",
        ):
            assert part in message
    with warehouse.exclusive():
        assert warehouse.rows("select 1") == [(1,)]


@pytest.mark.integration
@pytest.mark.parametrize("program", [EXCLUSIVE, SHELL], ids=["a run", "a DuckDB shell"])
def test_who_waits_goes_on_when_the_warehouse_is_released(tmp_path: Path, program: str) -> None:
    patient = DuckDbWarehouse(tmp_path / "warehouse.duckdb", 60)
    with held_by_another(patient.path, program) as other:
        assert other.stdin is not None
        Timer(0.5, other.stdin.close).start()
        with patient.exclusive():
            assert other.wait(60) == 0
            assert patient.rows("select 1") == [(1,)]


@pytest.mark.integration
def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    warehouse = DuckDbWarehouse(tmp_path / "warehouse.duckdb", 30)
    with held_by_another(warehouse.path, EXCLUSIVE) as other:
        other.kill()
        with warehouse.exclusive():
            assert Path(f"{warehouse.path}.lock").read_text() == str(os.getpid())


def test_who_waits_comes_before_one_who_asks_again_at_once(tmp_path: Path) -> None:
    """A backfill's next step, however short the moment between two, takes no live hour's turn."""
    warehouses = [DuckDbWarehouse(tmp_path / "warehouse.duckdb", 60) for _ in range(2)]
    begun, steps = Event(), []

    def work_in_steps() -> None:
        for number in range(40):
            with warehouses[0].exclusive():
                begun.set()
                time.sleep(0.02)
                steps.append(number)

    backfill = Thread(target=work_in_steps)
    backfill.start()
    assert begun.wait(60)
    before = len(steps)
    with warehouses[1].exclusive():
        assert len(steps) <= before + 2
    backfill.join()
    assert len(steps) == 40, "and the other goes on"


def test_the_lock_is_released_when_the_work_fails(warehouse: DuckDbWarehouse) -> None:
    with pytest.raises(ZeroDivisionError), warehouse.exclusive():
        raise ZeroDivisionError
    with warehouse.exclusive():
        pass


def test_what_is_no_database_is_said_to_be_none(warehouse: DuckDbWarehouse) -> None:
    warehouse.path.parent.mkdir()
    warehouse.path.write_bytes(b"not a database" * 1000)
    with pytest.raises(Exception, match="not a valid DuckDB database file"), warehouse.exclusive():
        pass


def found(topic: str, number: int, offset: int, generation: int = 1, rows: int | None = 3) -> InventoryRow:
    name = ObjectName(topic, hour(number), 0, offset)
    error = None if rows is not None else "no gzip"
    return InventoryRow(name, f"/lake/{name}", 10, generation, rows, error, "blake2b:1")


SPAN = (hour(0), hour(3))


@pytest.fixture
def stocked(warehouse: DuckDbWarehouse) -> DuckDbWarehouse:
    warehouse.path.parent.mkdir()
    warehouse.prepare()
    assert warehouse.known_rows(SPAN) == {}
    warehouse.record_objects(SPAN, [found("listen_events", number, number) for number in range(3)])
    return warehouse


def test_lines_are_known_by_address_size_and_generation(stocked: DuckDbWarehouse) -> None:
    row = found("listen_events", 1, 1)
    assert stocked.known_rows((hour(1), hour(2))) == {(row.uri, 10, 1): Found(3, "blake2b:1")}


def test_an_unreadable_object_is_not_known(stocked: DuckDbWarehouse) -> None:
    stocked.record_objects((hour(1), hour(2)), [found("listen_events", 1, 1, rows=None)])
    assert len(stocked.known_rows(SPAN)) == 2


def test_hours_are_recorded_anew_and_others_stay(stocked: DuckDbWarehouse) -> None:
    stocked.record_objects((hour(1), hour(2)), [found("listen_events", 1, 7)])
    names = stocked.rows("select object_name from lake_objects order by all")
    assert [name.rpartition("/")[2] for (name,) in names] == [
        f"0000000000-{offset:020}.gz" for offset in (0, 7, 2)
    ]


def test_hours_are_processed_until_they_are_listed_anew(stocked: DuckDbWarehouse) -> None:
    def processed() -> list[datetime]:
        held = held_objects(stocked, SPAN)
        return [hour for (_, hour), found in held.items() if all(o.is_processed for o in found.values())]

    assert processed() == []
    assert stocked.newest_hour_end() == datetime.fromtimestamp(0, UTC)
    stocked.mark_processed((hour(0), hour(2)))
    assert processed() == [hour(0), hour(1)]
    assert stocked.newest_hour_end() == hour(2)
    again = [found("listen_events", 1, 1), found("listen_events", 1, 9, generation=5)]
    stocked.record_objects((hour(1), hour(2)), again)
    assert processed() == [hour(0)], "listed anew, not yet read"
    stocked.mark_processed((hour(1), hour(2)))
    assert processed() == [hour(0), hour(1)]


def test_a_warehouse_has_a_generation_of_its_own_from_its_making_on(
    warehouse: DuckDbWarehouse, tmp_path: Path
) -> None:
    assert warehouse.stamp() is None
    warehouse.path.parent.mkdir()
    assert warehouse.generation() is None
    warehouse.prepare()
    generation, stamp = warehouse.generation(), warehouse.stamp()
    assert generation is not None
    warehouse.prepare()
    assert (warehouse.generation(), warehouse.stamp()) == (generation, stamp), (
        "preparing again changes nothing"
    )
    warehouse.execute("create table t as select 1 as one")
    assert warehouse.stamp() != stamp
    warehouse.path.unlink()
    assert warehouse.stamp() is None
    warehouse.prepare()
    assert warehouse.generation() not in (None, generation)


@pytest.mark.parametrize("comment", ["null", "'0123456789abcdef'", "'1-0'"])
def test_tables_of_another_version_are_refused_with_the_way_out(
    stocked: DuckDbWarehouse, comment: str
) -> None:
    stocked.execute("create view v as select * from lake_objects")
    stocked.execute(f"comment on table lake_objects is {comment}")
    with pytest.raises(WarehouseOutdated, match="`streaming-assets rebuild` makes them anew from the lake"):
        stocked.prepare()
    stocked.reset()
    assert stocked.tables() == set()
    stocked.prepare()
    assert stocked.known_rows(SPAN) == {}


def test_an_inventory_of_an_earlier_version_gets_what_it_lacks(warehouse: DuckDbWarehouse) -> None:
    warehouse.path.parent.mkdir()
    warehouse.prepare()
    warehouse.record_objects(SPAN, [found("listen_events", 1, 1)])
    warehouse.execute("alter table lake_objects drop column content_hash")
    warehouse.prepare()
    assert warehouse.rows("select row_count, content_hash from lake_objects") == [(3, None)]
    assert warehouse.known_rows(SPAN) == {}, "its content is learnt when it is read next"


def test_a_new_generation_of_the_same_content_is_noted(stocked: DuckDbWarehouse) -> None:
    stocked.note_generations([found("listen_events", 1, 1, generation=7)])
    assert stocked.rows("select generation from lake_objects order by object_name") == [(1,), (7,), (1,)]


def test_days_wait_to_be_published_until_they_are_taken_off(stocked: DuckDbWarehouse) -> None:
    assert stocked.queued_days() == {}
    with stocked.connect() as connection:
        connection.execute("create table publish_queue (mart varchar, day date)")
        connection.execute(
            "insert into publish_queue values ('a', '2025-03-02'), ('a', '2025-03-01'), ('a', '2025-03-01'),"
            " ('b', '2025-03-01')"
        )
    queued = stocked.queued_days()
    assert queued == {"a": [date(2025, 3, 1), date(2025, 3, 2)], "b": [date(2025, 3, 1)]}
    with stocked.connect() as connection:
        connection.execute("insert into publish_queue values ('a', '2025-03-03')")  # by a run since
    stocked.forget_queued(queued)
    assert stocked.queued_days() == {"a": [date(2025, 3, 3)]}


def test_rows_of_an_hour_are_profiled(stocked: DuckDbWarehouse) -> None:
    with stocked.connect() as connection:
        connection.execute("create table t (bucket_ingestion_datetime timestamp, event_datetime timestamp)")
        connection.execute(
            "insert into t values ('2025-03-01 01:00', '2025-03-01 00:59'),"
            " ('2025-03-01 01:00', '2025-03-01 00:10'), ('2025-03-01 02:00', '2025-03-01 02:00')"
        )
    first, last = hour(0).replace(minute=10), hour(0).replace(minute=59)
    assert stocked.hourly_profile("t", (hour(0), hour(2))) == [(hour(1), 2, first, last)]


def test_an_external_table_reads_every_field_as_text(place: Place) -> None:
    event_type = BY_TOPIC["listen_events"]
    place.warehouse.prepare()
    told: list[str] = []
    place.warehouse.create_event_table(event_type, place.lake, told.append)
    assert place.warehouse.rows("select view_name from duckdb_views() where not internal") == [], (
        "no object yet"
    )
    event = listen(hour(1), duration={"odd": 1}, userId="Ann", unknown=5)
    name = place.put("listen_events", hour(1), [event, "no JSON"])
    row = InventoryRow(name, place.lake.uri(str(name)), 10, 1, 2)
    place.warehouse.record_objects(SPAN, [row])
    for _ in range(2):
        place.warehouse.create_event_table(event_type, place.lake, told.append)
    assert told == [], "made once, then left alone"
    columns = place.warehouse.rows(
        "select column_name, data_type from information_schema.columns where table_name = 'listen_events_ext'"
    )
    assert {kind for name, kind in columns if name in {f.name for f in event_type.fields}} == {"VARCHAR"}
    assert dict(columns)["date"] == "TIMESTAMP"
    found = "select song, \"userId\", duration, date from listen_events_ext where date = '2025-03-01 01:00'"
    read = place.warehouse.rows(f'{found} and "offset" = 0')
    assert read == [("Hello", "Ann", '{"odd":1}', datetime(2025, 3, 1, 1))]


def test_an_external_table_reads_fields_of_nested_objects(place: Place) -> None:
    topic = BY_TOPIC["listen_events"]
    email, country = EventField("customer.email", "string"), EventField("customer.country", "string")
    place.warehouse.prepare()
    event = listen(hour(1), customer={"email": "ann@example.com", "country": {"code": "DE"}})
    name = place.put(topic.topic, hour(1), [event])
    place.warehouse.record_objects(SPAN, [InventoryRow(name, place.lake.uri(str(name)), 10, 1, 1)])
    event_type = replace(topic, fields=(topic.fields[1], email, country))
    place.warehouse.create_event_table(event_type, place.lake, print)
    found = place.warehouse.rows('select song, "customer.email", "customer.country" from listen_events_ext')
    assert found == [("Hello", "ann@example.com", '{"code":"DE"}')]


def test_a_view_of_another_version_is_made_anew_and_that_is_said(place: Place) -> None:
    event_type = BY_TOPIC["status_change_events"]
    place.warehouse.prepare()
    name = place.put(event_type.topic, hour(1), [listen(hour(1))])
    place.warehouse.record_objects(SPAN, [InventoryRow(name, place.lake.uri(str(name)), 10, 1, 1)])
    told: list[str] = []
    fewer = replace(event_type, fields=event_type.fields[:3])
    place.warehouse.create_event_table(fewer, place.lake, told.append)
    place.warehouse.create_event_table(event_type, place.lake, told.append)
    assert told == ["status_change_events_ext: the view is of another version or folder, and is made anew"]
    assert place.warehouse.rows('select "userId" from status_change_events_ext') == [("1",)]


def test_an_external_table_shows_sealed_hours_and_late_objects(place: Place) -> None:
    kind = BY_TOPIC["listen_events"]
    for number in range(3):
        place.put(kind.topic, hour(1), [listen(hour(1), item=number)], offset=number)
    place.take_in(SPAN)

    def rows() -> list[tuple]:
        place.warehouse.create_event_table(kind, place.lake, print)
        return sorted(place.warehouse.rows("select * from listen_events_ext where date = '2025-03-01 01:00'"))

    before = rows()
    prepared = prepare(place.lake, kind.topic, hour(1))
    assert prepared
    commit(place.lake, prepared, place.warehouse.note_sealed)
    assert rows() == before
    assert len(before) == 3
    place.put(kind.topic, hour(1), [listen(hour(1), item=9)], offset=9)
    assert len(rows()) == 4


def test_dead_letters_carry_their_fields_themselves(place: Place) -> None:
    place.warehouse.prepare()
    name = place.put(
        DEAD_LETTERS.topic, hour(1), ['{"value": "bG9zdA==", "headers": [{"key": "a"}], "offset": 7}']
    )
    row = InventoryRow(name, place.lake.uri(str(name)), 10, 1, 1)
    place.warehouse.record_objects(SPAN, [row])
    place.warehouse.create_event_table(DEAD_LETTERS, place.lake, print)
    assert place.warehouse.rows('select value, "offset" from dead_letters_ext') == [("bG9zdA==", 7)]


def test_a_reference_table_is_empty_until_its_file_is_there(tmp_path: Path) -> None:
    lake = FolderLake(tmp_path / "lake")
    warehouse = DuckDbWarehouse(tmp_path / "warehouse.duckdb", 1)
    assert warehouse.create_reference_table("songs_ext", lake, SONGS, print) is False
    assert warehouse.rows("select * from songs_ext") == []
    path = lake.root / SONGS
    path.parent.mkdir(parents=True)
    columns = ("track_id", "artist", "title", "duration", "genre")
    pq.write_table(pa.table({name: ["x"] for name in columns}), path)
    assert warehouse.create_reference_table("songs_ext", lake, SONGS, print) is True
    assert warehouse.rows("select artist from songs_ext") == [("x",)]
