"""Does the cost of an hour depend on the length of history? The same hour behind a day, a month and a year of traffic.

    python benchmarks/flat_cost.py FOLDER

FOLDER keeps the lake (made by the simulator the first time, some minutes) and a warehouse for each history. Rounds
take the histories in turn: list and count the hour's objects, then run dbt over the hour as a Dagster run does. CPU
seconds, since the machine may be busy. Then the statements of the models run once more under DuckDB's profiler, which
tells the rows that each table's scans read. Prints the tables of benchmarks/README.md.
"""

import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
from dbt.adapters.duckdb.relation import DuckDBRelation

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from streaming_assets.dagster_runtime.dbt import DbtRunner
from streaming_assets.events import LAKE_TOPICS
from streaming_assets.lake.folder import FolderLake
from streaming_assets.lake.inventory import list_topics, read_rows
from streaming_assets.lake.names import HOUR, LOCATIONS, SONGS, parse_folder
from streaming_assets.partitions import Span, steps
from streaming_assets.settings import PROJECT_ROOT, Settings
from streaming_assets.testing.executor import Executor, MemoryWarehouse
from streaming_assets.warehouses.duckdb_functions import register
from streaming_assets.warehouses.duckdb_warehouse import DuckDbWarehouse

MEASURED = datetime(2025, 12, 31, 15, tzinfo=UTC)
HISTORIES = {"1 day": timedelta(days=1), "1 month": timedelta(days=30), "1 year": timedelta(days=365)}
USERS = 500
ROUNDS = 21
SPAN = (MEASURED, MEASURED + HOUR)


def main(folder: Path) -> None:
    everything = folder / "lake"
    if not everything.exists():
        _simulate(everything)
    places = {}
    for name, past in HISTORIES.items():
        home = folder / name.replace(" ", "_")
        lake = _lake_of(home / "lake", everything, past)
        places[name] = (*_built(home, lake, past), lake)
    costs: dict[str, list[dict[str, float]]] = {name: [] for name in places}
    for number in range(ROUNDS):
        turns = list(places)[:: -1 if number % 2 else 1]  # what comes first in a round may cost otherwise
        for name in turns:
            costs[name].append(_cost(*places[name]))
    parts = list(costs["1 day"][0])
    print(f"| CPU ms of an hour behind | {' | '.join(parts)} |")
    print("|---" * (len(parts) + 1) + "|")
    medians = {
        name: {part: statistics.median(row[part] for row in rows) for part in parts}
        for name, rows in costs.items()
    }
    for name, median in medians.items():
        print(f"| {name} | " + " | ".join(f"{1000 * median[part]:,.0f}" for part in parts) + " |")
    ratios = (f"{medians['1 year'][part] / medians['1 day'][part]:.2f}" for part in parts)
    print("| 1 year / 1 day | " + " | ".join(ratios) + " |\n")
    _print_rows_read(folder, places)


def _simulate(root: Path) -> None:
    start = MEASURED - max(HISTORIES.values())
    subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "streaming_assets.cli",
                "simulate",
                "--to",
                "lake",
                "--output",
                str(root),
            ),
            *("--users", str(USERS), "--growth-rate", "0", "--seed", "42"),
            *("--start", f"{start:%Y-%m-%dT%H:%M}", "--end", f"{SPAN[1]:%Y-%m-%dT%H:%M}"),
        ],
        check=True,
    )


def _lake_of(root: Path, everything: Path, past: timedelta) -> FolderLake:
    """The lake of the hours since then, by links to the folders of the whole one."""
    for topic in (everything / "raw").iterdir():
        (root / "raw" / topic.name).mkdir(parents=True, exist_ok=True)
        for hour in topic.iterdir():
            link = root / "raw" / topic.name / hour.name
            moment = parse_folder(hour.name)
            if moment is not None and moment >= MEASURED - past and not link.exists():
                link.symlink_to(hour.absolute(), target_is_directory=True)
    return FolderLake(root)


def _built(home: Path, lake: FolderLake, past: timedelta) -> tuple[DbtRunner, DuckDbWarehouse]:
    """A warehouse of the hours before the measured one, and dbt on it."""
    # The file's name is the catalogue's, which the executor's SQL has as well.
    settings = Settings(home=home, lake_url=str(lake.root), warehouse_path=home / "memory.duckdb")  # pyright: ignore[reportCallIssue]
    dbt, warehouse = DbtRunner(settings), DuckDbWarehouse(settings.warehouse.file, 10)
    if not settings.warehouse.file.exists():
        home.mkdir(parents=True, exist_ok=True)
        for step in steps([(MEASURED - past, SPAN[1])], 744):
            print(
                f"{home.name}: building {step[0]:%Y-%m-%d %H:%M} to {step[1]:%Y-%m-%d %H:%M}", file=sys.stderr
            )
            _take_stock(warehouse, lake, step)
            dbt.run(step)
    return dbt, warehouse


def _take_stock(warehouse: DuckDbWarehouse, lake: FolderLake, span: Span) -> dict[str, float]:
    for table, file in (("songs_ext", SONGS), ("locations_ext", LOCATIONS)):
        warehouse.create_reference_table(table, lake, file, print)
    warehouse.prepare()
    begun = time.process_time()
    listing = list_topics(lake, LAKE_TOPICS, *span)
    listed = time.process_time()
    known = warehouse.known_rows(span)
    warehouse.record_objects(span, read_rows(lake, listing.objects, known, warehouse.lines_folder))
    return {"list": listed - begun, "inventory": time.process_time() - listed}


def _cost(dbt: DbtRunner, warehouse: DuckDbWarehouse, lake: FolderLake) -> dict[str, float]:
    costs = _take_stock(warehouse, lake, SPAN)
    begun = time.process_time()
    dbt.run(SPAN)
    costs["dbt run"] = time.process_time() - begun
    return costs | {"together": sum(costs.values())}


class _Profiled(MemoryWarehouse):
    """A warehouse file whose statements are profiled: rows that the scans of each table read, and seconds."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = duckdb.connect(str(path))
        register(self._file)
        self._file.execute("pragma enable_profiling = 'no_output'")
        self.database: Any = self
        self.rows_read: Counter = Counter()
        self.seconds = 0.0
        for (name,) in self._file.execute("select table_name from duckdb_tables()").fetchall():
            self.relations.add(DuckDBRelation.create("memory", "main", name, type="table"))

    def execute(self, sql: str) -> Any:
        begun = time.process_time()
        result = self._file.execute(sql)
        rows, description = result.fetchall(), result.description
        self.seconds += time.process_time() - begun
        for operator in _operators(json.loads(self._file.get_profiling_information(format="json"))):
            table = operator.get("extra_info", {}).get("Table")
            if operator.get("operator_type") == "TABLE_SCAN" and table:
                self.rows_read[table.rpartition(".")[2]] += operator["operator_rows_scanned"]
        return SimpleNamespace(fetchall=lambda: rows, description=description)


def _operators(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("children", []):
        yield from _operators(child)


def _print_rows_read(folder: Path, places: dict[str, tuple[DbtRunner, DuckDbWarehouse, FolderLake]]) -> None:
    executor = Executor(PROJECT_ROOT / "dbt_project", folder / "target")
    profiles = {}
    for name, (_, warehouse, _) in places.items():
        profiles[name] = _Profiled(warehouse.path)
        executor.run(profiles[name], SPAN)
    print(f"| rows read of, behind | {' | '.join(places)} | rows at 1 year |")
    print("|---" * (len(places) + 2) + "|")
    year = places["1 year"][1]
    kept = {name for (name,) in year.rows("select table_name from duckdb_tables()")}  # no temporary ones
    for table in sorted(kept & set(profiles["1 year"].rows_read)):
        rows = " | ".join(f"{profile.rows_read[table]:,}" for profile in profiles.values())
        print(f"| {table} | {rows} | {year.rows(f'select count(*) from {table}')[0][0]:,} |")
    print(
        "| CPU ms of the statements | "
        + " | ".join(f"{1000 * p.seconds:,.0f}" for p in profiles.values())
        + " | |"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
