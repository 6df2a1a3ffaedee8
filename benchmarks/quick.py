"""Ratios that one short run tells on any machine, however busy: what a thing costs to what must be done at least.

    python benchmarks/quick.py [--write]

Each is of CPU seconds, both sides in this run. One that is half as much again as in quick.json, a loss of a third, is
measured once more, and fails if it still is. --write takes this run's into quick.json. Prints the ratios as JSON.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import event_log
from isal import igzip

from streaming_assets.automation.backfill import backfill
from streaming_assets.definitions import build_defs
from streaming_assets.events import LAKE_TOPICS, WAREHOUSE_TYPES
from streaming_assets.lake.folder import FolderLake
from streaming_assets.lake.inventory import list_topics, read_rows
from streaming_assets.lake.names import HOUR, ObjectName, topic_prefix
from streaming_assets.settings import Settings
from streaming_assets.warehouses.tables import glob_literal, view_columns

COMMITTED = Path(__file__).with_name("quick.json")
LOSS = 1.5  # times the committed cost: two thirds of the rate
START = datetime(2025, 6, 2, tzinfo=UTC)
HOURS, USERS = 72, 20_000
SMALL_OBJECTS = 3_000
ROUNDS = 5


def backfill_to_scan(folder: Path) -> float:
    """Three days of a site, from the objects to the dashboards' snapshot, to one scan of the same objects' fields."""
    settings = Settings.model_validate({"home": folder})
    end = START + HOURS * HOUR
    site = ("--users", str(USERS), "--growth-rate", "0", "--seed", "42")
    span = ("--start", START.isoformat(), "--end", end.isoformat())
    command = ("-m", "streaming_assets.cli", "simulate", "--to", "lake", "--output", str(folder / "lake"))
    subprocess.run([sys.executable, *command, *site, *span], check=True)
    os.environ["STREAMING_ASSETS_FIRST_HOUR"] = START.isoformat()
    assert not backfill(
        START, START + HOUR, settings, build_defs
    )  # parses dbt's project and makes the tables
    cost = _cpu(lambda: backfill(START + HOUR, end, settings, build_defs))
    with duckdb.connect() as connection:
        return cost / min(_cpu(lambda: scan(connection, settings.home / "lake")) for _ in range(ROUNDS))


def scan(connection: duckdb.DuckDBPyConnection, lake: Path) -> None:
    """Look once at all fields of all events' objects, by their types' columns: the least that a backfill must do."""
    for kind in WAREHOUSE_TYPES:
        objects = lake / topic_prefix(kind.topic)
        if kind.staging and objects.exists():
            columns, _ = view_columns(kind)
            connection.execute(
                f"select bit_xor(hash(lines.value)) from read_json({glob_literal(str(objects), '/*/*.gz')},"
                f" format = 'newline_delimited', compression = 'gzip', columns = {{{columns}}}) as lines"
            ).fetchall()


def small_objects_to_files(folder: Path) -> float:
    """An hour of small objects listed and looked through, to the same files listed, read and decompressed."""
    lake = FolderLake(folder)
    line = b'{"value":{"ts":1748822400000,"userId":7,"page":"Home"},"offset":0,"timestamp":"2025-06-02T00:00:00Z"}\n'
    for number in range(SMALL_OBJECTS):
        file = folder / str(ObjectName("page_view_events", START, 0, number))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(line * 5, 1))

    def look_through() -> None:
        listed = list_topics(lake, LAKE_TOPICS, START, START + HOUR).objects
        rows = sum(row.rows or 0 for row in read_rows(lake, listed, {}, None))
        assert rows == 5 * SMALL_OBJECTS

    def read() -> None:
        for place, _, files in os.walk(folder):
            for name in sorted(files):
                path = os.path.join(place, name)
                os.stat(path)
                with open(path, "rb") as file:
                    igzip.decompress(file.read())

    ours = min(_cpu(look_through) for _ in range(ROUNDS))
    return ours / min(_cpu(read) for _ in range(ROUNDS))


def event_log_to_stock(folder: Path) -> float:
    """A run over 24 hours of four assets in Dagster's event log, to the same in Dagster's own storage."""
    cost: dict[str, float] = {}
    for storage in event_log.STORAGES:
        home = folder / storage
        home.mkdir()
        cost[storage] = event_log.measure(storage, home, hours=24, assets=4)["ranged run, CPU"]
    return cost["batched"] / cost["stock"]


RATIOS: Mapping[str, Callable[[Path], float]] = {
    "backfill of three days / scan of its objects": backfill_to_scan,
    "small objects looked through / their files read": small_objects_to_files,
    "event log of a ranged run / Dagster's own": event_log_to_stock,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="take the ratios into quick.json")
    options = parser.parse_args()
    committed = {} if options.write else json.loads(COMMITTED.read_text())
    found: dict[str, Any] = {}
    lost: list[str] = []
    for name, measure in RATIOS.items():
        limit = LOSS * committed[name] if committed else float("inf")
        found[name] = _ratio(measure)
        if found[name] > limit:
            found[name] = min(found[name], _ratio(measure))
        if found[name] > limit:
            lost.append(
                f"{name}: {found[name]:g}, more than {LOSS:g} times the {committed[name]:g} of quick.json"
            )
    print(json.dumps(found, indent=1))
    if options.write:
        COMMITTED.write_text(json.dumps(found, indent=1) + "\n")
    if lost:
        raise SystemExit("\n".join(lost))


def _ratio(measure: Callable[[Path], float]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return float(f"{measure(Path(folder)):.3g}")


def _cpu(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


if __name__ == "__main__":
    main()
