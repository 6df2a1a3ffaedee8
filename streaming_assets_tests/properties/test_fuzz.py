"""What nobody should write to the lake: both readers and the reference agree on every line, and no run fails."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random

import pytest

from streaming_assets.lake import inventory
from streaming_assets.lake.names import ObjectName
from streaming_assets.testing.executor import MemoryWarehouse
from streaming_assets_tests.properties.fuzz import expected_lines, objects
from streaming_assets_tests.properties.machine import assert_equal, project_executor, rows_of
from streaming_assets_tests.properties.reference import expected_tables
from streaming_assets_tests.properties.world import World, seal, take_stock, whole_span

OBJECTS = int(os.environ.get("FUZZ_OBJECTS", "2000"))  # some 5 lines each
SEED = int(os.environ.get("FUZZ_SEED", "1"))

pytestmark = pytest.mark.xdist_group("fuzz")  # what is drawn serves both tests


@pytest.fixture(scope="module")
def drawn() -> dict[ObjectName, bytes]:
    return objects(Random(SEED), OBJECTS)


@pytest.fixture(scope="module")
def materialise(
    drawn: dict[ObjectName, bytes], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., MemoryWarehouse]]:
    made = []

    def make(folder: str, sealed: bool = False) -> MemoryWarehouse:
        world = World(tmp_path_factory.mktemp(folder))
        for name, data in drawn.items():
            world.put_bytes(name, data)
        warehouse = MemoryWarehouse()
        made.append(warehouse)
        for hour in world.hours if sealed else []:
            seal(world, warehouse, hour)
        take_stock(world, warehouse, whole_span(world))
        project_executor().run(warehouse, whole_span(world))
        return warehouse

    yield make
    for warehouse in made:
        warehouse.database.close()


def test_every_line_is_where_the_reference_says(
    drawn: dict[ObjectName, bytes], materialise: Callable[..., MemoryWarehouse]
) -> None:
    read = {name: expected_lines(name, data) for name, data in drawn.items()}
    lines = [line for found in read.values() for line in found or []]
    warehouse = materialise("fuzz")
    expected = expected_tables(lines, [], [])
    assert_equal(rows_of(warehouse, expected), rows_of(None, expected), "plain Python")

    bad = {str(name) for name, found in read.items() if found is None}
    assert {
        name for (name,) in warehouse.rows("select object_name from lake_objects where error is not null")
    } == bad
    (counts,) = warehouse.rows(
        "select count(*) filter (where lines_uri is null and row_count > 0),"
        " count(*) filter (where lines_uri is not null) from lake_objects"
    )
    assert min(*counts, len(bad)) > OBJECTS / 100, "objects of all three kinds were drawn"
    reasons = Counter(reason.split()[0] for (reason,) in warehouse.rows("select reason from stg_quarantine"))
    assert {"malformed", "value", "missing", "mistyped", "impossible", "no", "ts"} <= set(reasons)
    assert len(lines) + len(drawn) >= OBJECTS * 5


def test_careful_reading_and_sealed_hours_give_what_the_fast_reader_gives(
    materialise: Callable[..., MemoryWarehouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = materialise("fast")
    with monkeypatch.context() as patch:
        patch.setattr(inventory, "count_plain_lines", lambda data, of_events=True: None if data else 0)
        careful = materialise("careful")
    sealed = materialise("sealed", sealed=True)
    ((from_files, others),) = sealed.rows(
        "select count(sealed_uri), count(*) filter (where sealed_uri is null) from lake_objects"
    )
    assert min(from_files, others) > OBJECTS / 10
    tables = {
        name: []
        for (name,) in fast.rows(
            "select table_name from information_schema.tables where table_name similar to '(stg|dim|fact)_.*'"
        )
    }
    assert_equal(rows_of(careful, tables), rows_of(fast, tables), "the fast reader's")
    assert_equal(rows_of(sealed, tables), rows_of(fast, tables), "the fast reader's")
    assert fast.rows("select count(*) > 0 from stg_listen_events") == [(True,)]
