"""Objects that can't be read, and what stands around them: the good hours go on, the bad ones are named."""

import gzip
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import dagster as dg
import pytest

from streaming_assets.assets.keys import external_key
from streaming_assets.automation.failures import Cause, failure_of
from streaming_assets.events import LAKE_TYPES
from streaming_assets.lake.folder import FolderLake
from streaming_assets.lake.inventory import list_hours
from streaming_assets.lake.names import ObjectName, hour_prefix
from streaming_assets.partitions import key_of
from streaming_assets.warehouses.tables import naive
from streaming_assets_tests.graph import Graph, failures, hour, in_lake, listen

pytestmark = pytest.mark.integration

TABLES = [external_key(event_type.external_table or "") for event_type in LAKE_TYPES]
GOOD = gzip.compress("\n".join(in_lake(listen(hour(1), item=n), n) for n in range(200)).encode())


@pytest.fixture
def graph(make_graph: Callable[..., Graph]) -> Graph:
    graph = make_graph()
    for number in range(4):
        graph.put("listen_events", hour(number), [listen(hour(number))], offset=1000 + number)
    return graph


def external_tables(graph: Graph, first: int, end: int) -> dg.ExecuteInProcessResult:
    """The step that looks at the lake, without those behind it."""
    return graph.run(first, end, asset_selection=TABLES)


def name_of(number: int) -> ObjectName:
    return ObjectName("listen_events", hour(number), 0, 0)


# What can't be read, and a part of what is said of it.
UNREADABLE = {
    "half": (GOOD[: len(GOOD) // 2], "cut short"),
    "without its end": (GOOD[:-8], "cut short"),
    "header cut": (GOOD[:5], "cut short"),
    "short text": (b"{}\n", "no gzip"),
    "not gzip": (in_lake(listen(hour(1)), 0).encode(), "gzip"),
    "wrong sum": (GOOD[:-8] + bytes(8), "damaged"),
    "garbage behind": (GOOD + b"garbage" * 9, "gzip"),
}


def test_an_unreadable_object_is_bad_alone_and_named(graph: Graph, capfd: pytest.CaptureFixture[str]) -> None:
    """Its hour goes on without it, and a check of that hour says so."""
    hours = dict(zip(UNREADABLE, range(4, 4 + len(UNREADABLE)), strict=True))
    for kind, (data, _) in UNREADABLE.items():
        graph.put_bytes(name_of(hours[kind]), data)
        graph.put("listen_events", hour(hours[kind]), [listen(hour(hours[kind]))], offset=1000)
    folder = hour_prefix("page_view_events", hour(1))
    loop = graph.lake.stored.root / folder.rstrip("/")
    loop.parent.mkdir()
    loop.symlink_to(loop.name)
    result = graph.run(0, 4 + len(UNREADABLE))
    assert result.success, failures(result)
    staged = graph.rows(
        "select bucket_ingestion_datetime, count(*) from stg_listen_events group by 1 order by 1"
    )
    assert staged == [(naive(hour(number)), 1) for number in range(4 + len(UNREADABLE))]
    verdicts = {
        e.partition: e
        for e in result.get_asset_check_evaluations()
        if (e.check_name, e.asset_key) == ("objects_are_readable", external_key("listen_events_ext"))
    }
    assert {at for at, e in verdicts.items() if not e.passed} == {key_of(hour(n)) for n in hours.values()}
    (of_folder,) = [
        e
        for e in result.get_asset_check_evaluations()
        if (e.check_name, e.asset_key) == ("objects_are_readable", external_key("page_view_events_ext"))
        and not e.passed
    ]
    assert of_folder.partition == key_of(hour(1))
    assert f"can't list {loop}: Too many levels of symbolic links" in str(of_folder.metadata)
    said = capfd.readouterr().err
    for kind, (_, why) in UNREADABLE.items():
        table = verdicts[key_of(hour(hours[kind]))].metadata["first_findings"]
        assert isinstance(table, dg.TableMetadataValue)
        (found,) = [record.data for record in table.records]
        assert found["object"] == str(name_of(hours[kind]))
        assert why in str(found["why"])
        assert f"{graph.lake.uri(str(name_of(hours[kind])))} can't be read: " in said


def test_an_unreadable_object_follows_when_it_is_replaced(graph: Graph) -> None:
    graph.put_bytes(name_of(1), GOOD[:-8])
    assert graph.run(0, 4).success
    processed = "select is_processed from lake_objects where error is not null"
    assert graph.rows(processed) == [(True,)], "it is not asked for again as long as it stays as it is"
    graph.put_bytes(name_of(1), GOOD)
    assert graph.run(1, 2).success
    assert graph.rows("select count(*) from stg_listen_events") == [(203,)], "one of them is a copy"
    assert graph.rows(processed) == []


def test_an_object_that_goes_between_listing_and_reading_is_told_and_looked_at_again(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is taken for empty that was listed: the next look at the lake tells whether it is gone."""
    path = graph.lake.stored.root / str(ObjectName("listen_events", hour(1), 0, 1001))

    def read(
        self: FolderLake, name: str, original: Callable[[FolderLake, str], bytes] = FolderLake.read
    ) -> bytes:
        if name.endswith(path.name):
            with suppress(FileNotFoundError):
                path.unlink()
        return original(self, name)

    with monkeypatch.context() as patch:
        patch.setattr(FolderLake, "read", read)
        assert graph.run(0, 4).success
    ((error, processed),) = graph.rows("select error, is_processed from lake_objects where error is not null")
    assert error == f"can't read {path}: No such file or directory"
    assert not processed, "its hour is not held"
    assert external_tables(graph, 0, 4).success
    assert graph.rows("select count(*) from lake_objects where error is not null") == [(0,)]


def test_a_partition_out_of_range_is_refused(graph: Graph) -> None:
    job = graph.defs.resolve_job_def("hourly")
    for key in ("2024-12-31-23:00", "2999-01-01-00:00", "2025-03-01-00:30", "yesterday"):
        with pytest.raises(dg.DagsterError, match=key):
            job.execute_in_process(instance=graph.instance, partition_key=key, asset_selection=TABLES)
    assert not graph.warehouse.path.exists(), "refused before anything was done"


def test_a_range_out_of_range_fails_before_anything_is_read(graph: Graph) -> None:
    result = graph.run(-24 * 365, -24 * 365 + 2, asset_selection=TABLES)
    assert not result.success
    assert "2024-03-01-00:00" in failures(result)
    assert not graph.warehouse.path.exists() or not graph.rows("select 1 from lake_objects")


def test_a_missing_reference_file_is_told_and_stops_no_hour(
    graph: Graph, capfd: pytest.CaptureFixture[str]
) -> None:
    assert external_tables(graph, 0, 4).success
    said = capfd.readouterr().err
    for file in ("songs.parquet", "locations.parquet"):
        assert f"raw/flat_files/{file} is missing: all that events name becomes inferred members" in said
    assert graph.rows("select count(*) from songs_ext") == [(0,)]


def test_missing_reference_files_stop_their_tables_with_the_way_out(graph: Graph) -> None:
    tables = [external_key("songs_ext"), external_key("locations_ext")]
    job = graph.defs.resolve_job_def("reference")
    result = job.execute_in_process(instance=graph.instance, asset_selection=tables, raise_on_error=False)
    assert "songs.parquet is missing: materialise the reference assets first" in failures(result)


def test_a_bad_reference_source_fails_by_name_and_leaves_the_file(
    make_graph: Callable[..., Graph], graph: Graph
) -> None:
    job = graph.defs.resolve_job_def("reference")
    assert job.execute_in_process(instance=graph.instance).success
    songs = graph.lake.stored.root / "raw/flat_files/songs.parquet"
    before = songs.read_bytes()
    source = graph.settings.home / "songs.tsv"
    source.write_text("TR1\tAnn\tHello\tlong\n")
    broken = make_graph(songs_source=str(source))
    result = broken.defs.resolve_job_def("reference").execute_in_process(
        instance=broken.instance, raise_on_error=False
    )
    assert not result.success
    assert f"{source}" in failures(result)
    assert "line 1" in failures(result)
    assert songs.read_bytes() == before
    assert broken.rows("select count(*) > 0 from locations_ext") == [(True,)], "the other file's table stands"


def test_a_stray_is_told_by_its_place_and_left_alone(graph: Graph, capfd: pytest.CaptureFixture[str]) -> None:
    stray = "raw/listen_events/date=2025-03-01 01:00:00+00/notes.txt"
    graph.put_bytes(stray, b"mine")
    assert external_tables(graph, 0, 4).success
    assert f"No event objects, so left alone: {graph.lake.uri(stray)}" in capfd.readouterr().err
    assert graph.lake.read(stray) == b"mine"
    assert list_hours(graph.lake, "listen_events", hour(0), hour(4)).strays == [stray]


def test_a_warehouse_in_use_fails_the_run_with_whoever_holds_it(make_graph: Callable[..., Graph]) -> None:
    graph = make_graph(warehouse_lock_timeout_seconds=0)
    graph.put("listen_events", hour(0), [listen(hour(0))])
    with graph.warehouse.exclusive():
        result = external_tables(graph, 0, 1)
    message = failures(result)
    assert f"{graph.warehouse.path} is in use: process {os.getpid()} (" in message
    assert "). End what holds it" in message
    assert failure_of(result.all_events) is Cause.LOCKED, "so the sensor asks again"
    assert external_tables(graph, 0, 1).success


@pytest.mark.parametrize(
    ("home", "lake"),
    [("it's", ""), ("a[1]*{b}", ""), ("plain", "it's a [lake] #1? *.gz")],
    ids=["'", "[", "lake"],
)
def test_signs_in_paths_mean_nothing(
    make_graph: Callable[..., Graph], tmp_path: Path, home: str, lake: str
) -> None:
    """They are no end of a text, no wildcard and no part of an address."""
    graph = make_graph(home, **({"lake_url": str(tmp_path / lake)} if lake else {}))
    name = graph.put("listen_events", hour(0), [listen(hour(0)), "no JSON"])
    for stray in ("date=yesterday/" + str(name).rpartition("/")[2], "date=2025-03-01 00:00:00+00/a.gz"):
        graph.put_bytes(f"raw/listen_events/{stray}", b"stray")
    job = graph.defs.resolve_job_def("reference")
    assert job.execute_in_process(instance=graph.instance).success
    result = graph.run(0, 1)
    assert result.success, failures(result)
    assert graph.rows("select count(*) from fact_listen_events") == [(1,)]
    assert graph.rows("select count(*) from listen_events_ext") == [(2,)]
    assert graph.rows("select count(*) > 1000 from songs_ext") == [(True,)]
    assert graph.rows("select count(*) from stg_quarantine") == [(1,)]
