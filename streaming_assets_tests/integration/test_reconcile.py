"""What the lake and the tables owe each other, on the whole graph: what was emptied is found and healed, what the lake
lost is named and left alone, and one bad hour does not keep its neighbours back."""

import gzip
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from streaming_assets.automation.arrivals import Cursor
from streaming_assets.automation.backfill import _Graph
from streaming_assets.automation.mending import look_at
from streaming_assets.checks.comparison import Comparison, compare
from streaming_assets.checks.lake import HELD, KEPT, STRAYS, USABLE, report
from streaming_assets.events import LAKE_TOPICS
from streaming_assets.lake.inventory import list_topics
from streaming_assets.lake.names import ObjectName
from streaming_assets.warehouses.warehouse import WarehouseOutdated
from streaming_assets_tests.graph import Graph, Kept, failures, hour, in_lake, info, listen, view

pytestmark = pytest.mark.integration

HOURS = 4


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, parsed_project: Path) -> Iterator[Kept]:
    """Four hours in the tables, with late, repeated and quarantined rows."""
    graph = Graph(tmp_path_factory.mktemp("reconcile") / "home", parsed_project)
    graph.put("user_info", hour(0), [info(hour(0))])
    for number in range(HOURS):
        graph.put(
            "listen_events", hour(number), [listen(hour(number), item=n) for n in range(3)], number * 10
        )
        graph.put(
            "page_view_events", hour(number), [view(hour(number), item=n) for n in range(3)], number * 10
        )
    repeated = [listen(hour(0), item=0), listen(hour(1), item=9), "no JSON"]
    graph.put("listen_events", hour(3), repeated, offset=90)
    result = graph.run(0, HOURS)
    assert result.success, failures(result)
    yield Kept(graph)
    graph.close()


@pytest.fixture
def graph(kept: Kept) -> Graph:
    return kept.put_back()


def compared(graph: Graph) -> Comparison:
    return compare(graph.lake, graph.warehouse, graph.settings, [])


def rebuilt(graph: Graph, found: Comparison) -> None:
    """Run what was found, hour by hour, and look again."""
    for at in found.to_run:
        number = int((at - hour(0)).total_seconds() // 3600)
        result = graph.run(number, number + 1)
        assert result.success, failures(result)
    assert compared(graph) == Comparison()


def test_what_was_just_run_is_held(graph: Graph) -> None:
    assert compared(graph) == Comparison()
    assert compared(graph).summary() == ["the tables hold what the lake holds"]

    graph.warehouse.execute("comment on table lake_objects is '1-0'")
    with pytest.raises(WarehouseOutdated, match="made by another version of this project"):
        compared(graph)


EMPTIED = {
    "fact_listen_events": (4, "3 listens are not in fact_listen_events"),
    "fact_session_events": (4, "3 page views are in no row of fact_session_events"),
    "stg_listen_events": (4, "3 rows of its objects in no table"),
    "stg_page_view_events": (4, "3 rows of its objects in no table"),
    "stg_users": (1, "1 row of its objects in no table"),
    "stg_quarantine": (1, "1 row of its objects in no table"),
    "dim_users": (4, "dim_users has no rows"),
    "dim_pages": (4, "dim_pages has no rows"),
    "mart_daily_streams": (4, "mart_daily_streams has no rows"),
    "mart_weekly_users": (4, "mart_weekly_users has no rows"),
}


def test_an_emptied_table_is_found_hour_by_hour(graph: Graph) -> None:
    whole = graph.warehouse.path.read_bytes()
    for emptied, (hours, why) in EMPTIED.items():
        graph.warehouse.execute(f"delete from {emptied}")
        found = compared(graph)
        assert len(found.to_run) == hours, emptied
        assert any(why in said for reasons in found.to_run.values() for said in reasons), found.to_run
        graph.warehouse.path.write_bytes(whole)
    assert compared(graph) == Comparison()


def test_tables_that_a_full_refresh_emptied_are_found_by_the_sensors_look_too_and_healed(
    graph: Graph,
) -> None:
    before = graph.tables()
    objects = list_topics(graph.lake, LAKE_TOPICS, hour(0), hour(HOURS)).objects
    looked = look_at(graph.warehouse, graph.lake, Cursor(), [(hour(0), hour(HOURS))], objects)
    assert looked is not None
    assert looked.not_held == {}
    cursor = Cursor(generation=looked.generation, stamp=looked.stamp)
    assert look_at(graph.warehouse, graph.lake, cursor, [(hour(0), hour(HOURS))], objects) is None, (
        "nothing changed"
    )
    with graph.warehouse.connect() as connection:
        views = {name for (name,) in connection.execute("select view_name from duckdb_views()").fetchall()}
        for table in before.keys() - views:
            connection.execute(f"delete from {table}")
    looked = look_at(graph.warehouse, graph.lake, cursor, [(hour(0), hour(HOURS))], objects)
    assert looked is not None
    assert sorted(looked.not_held) == [hour(number) for number in range(HOURS)]
    found = compared(graph)
    assert sorted(found.to_run) == [hour(number) for number in range(HOURS)]
    rebuilt(graph, found)
    after = graph.tables()
    ignored = (
        "dim_",
        "mart_",
        "fact_session",
    )  # first_seen_datetime and the order of arrivals are bookkeeping
    assert {name: len(rows) for name, rows in after.items()} == {
        name: len(rows) for name, rows in before.items()
    }
    assert {n: r for n, r in after.items() if not n.startswith(ignored)} == {
        n: r for n, r in before.items() if not n.startswith(ignored)
    }


def test_facts_that_a_stopped_run_left_out_are_found(graph: Graph) -> None:
    graph.warehouse.execute(
        "delete from fact_listen_events where event_id in (select event_id from fact_listen_events where"
        " bucket_ingestion_datetime = timestamp '2025-03-01 02:00:00' limit 2)"
    )
    found = compared(graph)
    assert found.to_run == {hour(2): ("listen_events: 2 listens are not in fact_listen_events",)}
    rebuilt(graph, found)


def test_a_lake_copied_without_its_files_times_is_held_and_read_once(graph: Graph) -> None:
    for path in (graph.lake.stored.root / "raw").rglob("*.gz"):
        os.utime(path, ns=(1, 10**18 + 7))
    assert compared(graph) == Comparison()
    path = graph.lake.stored.root / str(ObjectName("listen_events", hour(1), 0, 10))
    size = path.stat().st_size
    path.write_bytes(
        bytes(size)
    )  # other content, and the old times: nothing reads it again unless something tells
    os.utime(path, ns=(1, 10**18 + 7))
    assert compared(graph) == Comparison(), "the new times are noted, so nothing was read a second time"
    os.utime(path, ns=(1, 10**18 + 8))
    assert [*compared(graph).to_run] == [hour(1)]


def test_an_object_put_back_with_an_older_time_is_a_change(graph: Graph) -> None:
    path = graph.lake.stored.root / str(ObjectName("listen_events", hour(1), 0, 10))
    path.write_bytes(gzip.compress("\n".join(in_lake(listen(hour(1), item=n), n) for n in range(5)).encode()))
    os.utime(path, ns=(1, 10**18))
    found = compared(graph)
    assert found.to_run == {hour(1): ("listen_events: 1 object written anew",)}
    rebuilt(graph, found)


def test_what_the_lake_lost_is_named_and_never_run(graph: Graph) -> None:
    before = graph.tables()
    (graph.lake.stored.root / str(ObjectName("page_view_events", hour(1), 0, 10))).unlink()
    shutil.rmtree(graph.lake.stored.root / "raw/listen_events/date=2025-03-01 02:00:00+00")
    graph.put("listen_events", hour(1), [listen(hour(1), item=50)], offset=50)  # would be run, were none gone
    loop = graph.lake.stored.root / "raw/listen_events/date=2025-03-01 03:00:00+00"
    shutil.rmtree(loop)
    loop.symlink_to(loop.name)
    found = compared(graph)
    assert found.to_run == {}
    assert found.lost == {
        ("page_view_events", hour(1)): "1 object gone whose rows the tables hold",
        ("listen_events", hour(2)): "1 object gone whose rows the tables hold",
        ("listen_events", hour(3)): "2 objects gone whose rows the tables hold; "
        f"can't list {loop}: Too many levels of symbolic links",
    }
    assert found.summary() == ["3 hours of which the lake lost rows"]
    assert graph.tables() == before


def test_rows_that_left_an_object_are_named_once_it_was_read_again(graph: Graph) -> None:
    name = ObjectName("listen_events", hour(2), 0, 20)
    graph.put_bytes(name, gzip.compress(in_lake(listen(hour(2)), 20).encode()))
    found = compared(graph)
    assert [*found.to_run] == [hour(2)]
    assert graph.run(2, 3).success
    found = compared(graph)
    assert found.to_run == {}
    assert found.lost == {
        ("listen_events", hour(2)): "2 listens in the facts that the hour's objects hold no more"
    }


def test_hours_beyond_the_retention_are_left_alone(graph: Graph) -> None:
    shutil.rmtree(graph.lake.stored.root / "raw/listen_events/date=2025-03-01 02:00:00+00")
    graph.warehouse.execute("delete from fact_listen_events")
    found = compare(graph.lake, graph.warehouse, graph.settings.changed(lake_retention_days=30), [])
    assert (found.to_run, found.lost, found.expired) == ({}, {}, 4)


def test_hours_of_unfinished_runs_are_said_not_to_be_held(graph: Graph) -> None:
    graph.warehouse.execute("delete from fact_listen_events")
    found = compare(graph.lake, graph.warehouse, graph.settings, [(hour(1), hour(3))])
    assert [*found.to_run] == [hour(0), hour(3)]
    assert [*found.waiting] == [hour(1), hour(2)]
    assert found.summary() == [
        "2 hours not held: 2025-03-01T00:00Z, 2025-03-01T03:00Z",
        "2 hours not held yet: the runs over them have not ended",
    ]


def test_hours_wholly_in_quarantine_and_strays_are_shown_by_checks(graph: Graph) -> None:
    graph.put("status_change_events", hour(1), ["no JSON", "{}"])
    folder = "raw/listen_events/date=2025-03-01 01:00:00+00/"
    for name in (
        "0000000000-00000000000000000001.GZ",
        "events.json",
        "deeper/0000000000-00000000000000000001.gz",
    ):
        graph.put_bytes(folder + name, b"stray")
    graph.put_bytes(f"raw/listen_events/date=yesterday/0000000000-{0:020d}.gz", b"stray")
    result = graph.run(1, 2)
    assert result.success, failures(result)
    found = compared(graph)
    assert found.to_run == {}
    assert found.quarantined == {("status_change_events", hour(1)): 2}
    assert len(found.strays) == 4
    report(graph.instance, found)
    ours = [
        k for k in graph.defs.resolve_asset_graph().asset_check_keys if k.name in (HELD, KEPT, STRAYS, USABLE)
    ]
    records = {
        key.name: record
        for key, record in graph.instance.event_log_storage.get_asset_check_summary_records(ours).items()
    }
    passed = {
        name: record.last_check_execution_record.event.asset_check_evaluation.passed  # type: ignore[union-attr]
        for name, record in records.items()
    }
    assert passed == {HELD: True, KEPT: True, STRAYS: False, USABLE: False}
    job = graph.defs.resolve_implicit_global_asset_job_def().get_subset(
        asset_check_selection={key for key in ours if key.name in (HELD, USABLE)}
    )
    by_hand = job.execute_in_process(instance=graph.instance)
    told = {e.check_name: e.passed for e in by_hand.get_asset_check_evaluations()}
    assert told == {HELD: True, USABLE: False}, "those that were asked for, and no others"


def test_one_bad_hour_keeps_none_of_its_neighbours_back_whatever_is_bad_about_it(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model fails for one hour, and its failure names none."""
    from streaming_assets.dagster_runtime.dbt import DbtError, DbtRunner

    graph.warehouse.execute("delete from fact_listen_events")
    original = DbtRunner.run

    def run(self: DbtRunner, span: tuple[datetime, datetime]) -> list:
        if span[0] <= hour(2) < span[1]:
            raise DbtError("fact_listen_events: Conversion Error: something in there")
        return original(self, span)

    with monkeypatch.context() as patch:
        patch.setattr(DbtRunner, "run", run)
        failed = _Graph(graph.defs, graph.instance).materialise([(hour(0), hour(HOURS))])
    assert failed == [
        "2025-03-01T02:00Z: warehouse_models: fact_listen_events: Conversion Error: something in there"
    ]
    assert [*compared(graph).to_run] == [hour(2)]
    runs = graph.instance.get_runs()
    assert len(runs) == 6, "the fixture's, all, two halves, two hours"
