"""dbt's own unit tests of the models, run on an empty warehouse."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from streaming_assets.lake.names import HOUR
from streaming_assets.settings import PROJECT_ROOT
from streaming_assets.warehouses.duckdb_warehouse import DuckDbWarehouse
from streaming_assets_tests.properties.site import HOURS
from streaming_assets_tests.properties.world import World, take_stock

NO_HOURS = ("--vars", "{window_start: 1970-01-01 00:00:00, window_end: 1970-01-01 00:00:00}")


@pytest.mark.integration
def test_models_pass_their_unit_tests(tmp_path: Path) -> None:
    warehouse = DuckDbWarehouse(tmp_path / "warehouse.duckdb", 10)
    take_stock(World(tmp_path / "lake"), warehouse, (HOURS[0], HOURS[0] + HOUR))
    _dbt(tmp_path, "run", *NO_HOURS)  # unit tests take the types of their inputs from the tables

    said = _dbt(tmp_path, "test", "--select", "test_type:unit", *NO_HOURS)

    assert "PASS=" in said
    assert "PASS=0 " not in said


def _dbt(home: Path, *arguments: str) -> str:
    environment = {
        **os.environ,
        "STREAMING_ASSETS_WAREHOUSE_PATH": str(home / "warehouse.duckdb"),
        "DBT_TARGET_PATH": str(home / "target"),
        "DBT_LOG_PATH": str(home / "logs"),
    }
    folder = str(PROJECT_ROOT / "dbt_project")
    done = subprocess.run(
        [sys.executable, "-m", "dbt.cli.main", *arguments, "--project-dir", folder, "--profiles-dir", folder],
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
