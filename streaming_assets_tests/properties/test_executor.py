"""The executor of the property tests does what dbt does."""

from pathlib import Path

import duckdb
import pytest

from streaming_assets.dagster_runtime.dbt import DbtRunner
from streaming_assets.lake.names import HOUR
from streaming_assets.settings import Settings
from streaming_assets.testing.executor import MemoryWarehouse
from streaming_assets.warehouses.duckdb_warehouse import DuckDbWarehouse
from streaming_assets_tests.properties.machine import project_executor
from streaming_assets_tests.properties.site import HALF_DAY, HOURS, REFERENCES, Change, Info, Listen, View
from streaming_assets_tests.properties.world import World, take_stock

SCHEDULE = [
    (0, Listen(1, 1, 0, 0, "free", 0, 0)),
    (0, View(1, 1, 0, 0, "free", "PlayAd", 2, True, 0.007)),
    (0, View(2, 1, 0, HALF_DAY, "paid", "Lab", 3, False, None)),
    (3, View(1, 1, 1, 3 * HALF_DAY, "free", "Home", 0, True, None)),
    (1, View(1, 1, 2, 2 * HALF_DAY - 1, "free", "Home", 0, True, None)),
    (1, Listen(1, 1, 1, 3 * HALF_DAY, "paid", 1, 1)),
    (2, Change(1, 1, 2, HALF_DAY, "free")),
    (3, Info(1, HALF_DAY, -HALF_DAY, "free", "Ada")),
]
RUNS = [(3, 3), (0, 0), (1, 2), (0, 0)]


@pytest.mark.integration
def test_sql_and_tables_are_those_of_dbt(tmp_path: Path) -> None:
    world = World(tmp_path / "lake")
    for hour, event in SCHEDULE:
        world.append(event.topic, HOURS[hour], [event.value], "a", 0, grow=True)
    world.append("page_view_events", HOURS[0], ["no event"], "a", 0, grow=True)
    settings = Settings(home=tmp_path, warehouse_path=tmp_path / "memory.duckdb")  # the catalogue's name
    on_disk, in_memory = DuckDbWarehouse(settings.warehouse.file, 10), MemoryWarehouse()
    dbt, executor = DbtRunner(settings), project_executor()

    for number, (first, last) in enumerate(RUNS):
        span = (HOURS[first], HOURS[last] + HOUR)
        world.write_reference(*REFERENCES[number])
        take_stock(world, on_disk, span)
        dbt.run(span)
        on_disk.mark_processed(span)
        take_stock(world, in_memory, span)
        sql = executor.run(in_memory, span)
        compiled = {path.stem: path.read_text() for path in (dbt.target_path / "compiled").rglob("*.sql")}
        assert {model: text.strip() for model, text in sql.items()} == {
            model: text.strip() for model, text in compiled.items() if model in sql
        }
        with on_disk.connect() as connection:
            for model in executor.models:
                found = _table(in_memory.database, model)
                assert found == _table(connection, model), model
    assert _table(in_memory.database, "fact_session_events")[1], "the schedule makes sessions"


def _table(connection: duckdb.DuckDBPyConnection, model: str) -> tuple[list, list]:
    """Columns with their types, and all rows in an order of their own."""
    columns = [row[:2] for row in connection.execute(f"describe {model}").fetchall()]
    return columns, sorted(connection.execute(f"select * from {model}").fetchall(), key=repr)
