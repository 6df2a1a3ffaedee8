"""What a backfill of a site's history costs, by part and by model, and what one scan of the same objects does.

    python benchmarks/backfill.py FOLDER [--users 100000] [--days 7]

FOLDER keeps the lake, made by the simulator the first time; all else there is made anew. Peer: one typed scan of DuckDB
over all fields of the objects, in the same process with as many threads, the best of 3. The backfill is that of
`streaming-assets backfill`, with timers around its parts. Prints JSON: s and CPU s of each part, s of the models that
take longest, and rates.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

END = datetime(2026, 1, 1, tzinfo=UTC)
MIB = 1024 * 1024
SCANS = 3
SHOWN = 12  # models


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where lake and state are; the lake is kept")
    parser.add_argument("--users", type=int, default=100_000, help="of the site (default 100000)")
    parser.add_argument("--days", type=int, default=7, help="of its history, the last of 2025 (default 7)")
    options = parser.parse_args()
    print(json.dumps(measure(options.folder.absolute(), options.users, options.days), indent=1))


def measure(folder: Path, users: int, days: int) -> dict[str, Any]:
    """Figures of the backfill of a site of `users` over the last `days` of 2025."""
    home, lake, start = folder / "home", folder / "lake", END - timedelta(days=days)
    shutil.rmtree(home, ignore_errors=True)
    os.environ["STREAMING_ASSETS_HOME"] = str(home)
    os.environ["STREAMING_ASSETS_LAKE_URL"] = str(lake)
    os.environ["STREAMING_ASSETS_FIRST_HOUR"] = start.isoformat()
    if not lake.exists():
        _simulate(users, start)
    from streaming_assets.assets import external_tables
    from streaming_assets.automation.backfill import backfill
    from streaming_assets.dagster_runtime.dbt import DbtRunner
    from streaming_assets.dagster_runtime.event_log import BatchedSqliteEventLogStorage
    from streaming_assets.definitions import build_defs
    from streaming_assets.settings import load_settings

    spent, busy, models = Counter[str](), Counter[str](), Counter[str]()
    for owner, name, part in (
        (DbtRunner, "run", "dbt, models"),
        (DbtRunner, "test", "dbt, tests"),
        (external_tables, "_take_stock", "listing and reading the objects"),
        (BatchedSqliteEventLogStorage, "store_event_batch", "writing Dagster's event log"),
    ):
        setattr(owner, name, _timed(getattr(owner, name), part, spent, busy))
    DbtRunner.run = _by_model(DbtRunner.run, models)
    begun, cpu = time.monotonic(), time.process_time()
    failed = backfill(start, END, load_settings(), build_defs)
    wall, cpu = time.monotonic() - begun, time.process_time() - cpu
    if failed:
        raise SystemExit("\n".join(failed))
    rest = "the rest of Dagster, publishing, checks, imports"
    spent[rest], busy[rest] = wall - spent.total(), cpu - busy.total()  # pyright: ignore[reportArgumentType]
    sizes = _sizes(home)
    scan, scan_cpu = _scan(lake)
    return {
        "events": sizes["events"],
        "objects": sizes["objects"],
        "backfill": {"s": round(wall, 1), "CPU s": round(cpu, 1), "events/s": round(sizes["events"] / wall)},
        "scan": {"s": round(scan, 2), "CPU s": round(scan_cpu, 2)},
        "backfill / scan": {"s": round(wall / scan, 1), "CPU": round(cpu / scan_cpu, 1)},
        "s": {part: round(seconds, 1) for part, seconds in spent.most_common()},
        "CPU s": {part: round(seconds, 1) for part, seconds in busy.most_common()},
        "s of the model": {name: round(seconds, 1) for name, seconds in models.most_common(SHOWN)},
        "warehouse, bytes an event": round(sizes["warehouse"] / sizes["events"]),
        "MiB": {
            "warehouse": round(sizes["warehouse"] / MIB),
            "Dagster's home": round(sizes["dagster"] / MIB),
            "peak memory": round(sizes["memory"] / MIB),
        },
    }


def _simulate(users: int, start: datetime) -> None:
    # Into the lake of the settings, as if each event had been ingested at its own time.
    command = (sys.executable, "-m", "streaming_assets.cli", "simulate", "--to", "lake", "--seed", "42")
    people = ("--users", str(users), "--growth-rate", "0")
    span = ("--start", start.isoformat(), "--end", END.isoformat())
    subprocess.run([*command, *people, *span], check=True, stdout=sys.stderr)


def _scan(lake: Path) -> tuple[float, float]:
    """s and CPU s of one look at all fields of all objects."""
    import duckdb
    import quick

    best = (float("inf"), float("inf"))
    with duckdb.connect() as connection:
        for _ in range(SCANS):
            begun, cpu = time.monotonic(), time.process_time()
            quick.scan(connection, lake)
            best = min(best, (time.monotonic() - begun, time.process_time() - cpu))
    return best


def _timed(
    call: Callable[..., Any], part: str, spent: Counter[str], busy: Counter[str]
) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Any:
        begun, cpu = time.monotonic(), time.process_time()
        try:
            return call(*args, **kwargs)
        finally:
            spent[part] += time.monotonic() - begun  # pyright: ignore[reportArgumentType]
            busy[part] += time.process_time() - cpu  # pyright: ignore[reportArgumentType]

    return timed


def _by_model(run: Callable[..., Any], models: Counter[str]) -> Callable[..., Any]:
    def told(*args: Any, **kwargs: Any) -> Any:
        events = run(*args, **kwargs)
        for event in events:
            models[event["data"]["node_info"]["node_name"]] += event["data"]["execution_time"]
        return events

    return told


def _sizes(home: Path) -> dict[str, int]:
    """Rows and objects that the warehouse knows, and bytes."""
    import duckdb

    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as warehouse:
        found = warehouse.execute("select sum(row_count), count(*) from lake_objects").fetchone()
    assert found
    dagster = [file for file in (home / "dagster_home").rglob("*") if file.is_file()]
    return {
        "events": int(found[0]),
        "objects": int(found[1]),
        "warehouse": (home / "warehouse.duckdb").stat().st_size,
        "dagster": sum(file.stat().st_size for file in dagster),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


if __name__ == "__main__":
    main()
