"""What a year in one request costs: 8,760 hours of small traffic, materialised by one run.

    python benchmarks/year_backfill.py FOLDER [HOURS]

FOLDER keeps the lake, made by the simulator the first time (some minutes); all else there is made anew. HOURS are
the last of the year, 8,760 unless given. The run is that of `streaming-assets backfill`, in this process, with timers
around its parts. Prints the table of benchmarks/README.md.
"""

import os
import resource
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

USERS = 60
END = datetime(2026, 1, 1, tzinfo=UTC)
YEAR = 8760  # hours
MIB = 1024 * 1024


def main(folder: Path, hours: int) -> None:
    home = folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    os.environ["STREAMING_ASSETS_HOME"] = str(home)
    os.environ["STREAMING_ASSETS_LAKE_URL"] = str(folder / "lake")
    from streaming_assets.lake.names import HOUR

    start = END - YEAR * HOUR
    if not (folder / "lake").exists():
        _simulate(start)
    from streaming_assets.assets import external_tables
    from streaming_assets.automation.backfill import backfill
    from streaming_assets.dagster_runtime.dbt import DbtRunner
    from streaming_assets.dagster_runtime.event_log import BatchedSqliteEventLogStorage
    from streaming_assets.definitions import build_defs
    from streaming_assets.settings import load_settings

    spent, busy = Counter[str](), Counter[str]()
    for owner, name, part in (
        (DbtRunner, "run", "dbt, models"),
        (DbtRunner, "test", "dbt, tests"),
        (external_tables, "_take_stock", "listing and reading the objects"),
        (BatchedSqliteEventLogStorage, "store_event_batch", "writing Dagster's event log"),
    ):
        setattr(owner, name, _timed(getattr(owner, name), part, spent, busy))
    begun, cpu = time.monotonic(), time.process_time()
    failed = backfill(END - hours * HOUR, END, load_settings(), build_defs)
    wall, cpu = time.monotonic() - begun, time.process_time() - cpu
    if failed:
        raise SystemExit("\n".join(failed))
    print(f"| {hours:,} hours in one run | s | CPU s |\n|---|---|---|")
    for part, seconds in spent.items():
        print(f"| {part} | {seconds:,.1f} | {busy[part]:,.1f} |")
    rest = wall - spent.total(), cpu - busy.total()
    print(f"| the rest of Dagster, publishing, checks, imports | {rest[0]:,.1f} | {rest[1]:,.1f} |")
    print(f"| together | {wall:,.1f} | {cpu:,.1f} |\n")
    _print_sizes(folder, home)


def _simulate(start: datetime) -> None:
    # Into the lake of the settings, as if each event had been ingested at its own time.
    command = (sys.executable, "-m", "streaming_assets.cli", "simulate", "--to", "lake", "--seed", "42")
    people = ("--users", str(USERS), "--growth-rate", "0")
    subprocess.run([*command, *people, "--start", start.isoformat(), "--end", END.isoformat()], check=True)


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


def _print_sizes(folder: Path, home: Path) -> None:
    import duckdb

    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as warehouse:
        for table in ("lake_objects", "fact_listen_events", "fact_session_events"):
            found = warehouse.execute(f"select count(*) from {table}").fetchone()
            print(f"{table}: {found[0]:,} rows" if found else table)
    for name, path in (("warehouse", home / "warehouse.duckdb"), ("event log", home / "dagster_home")):
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        print(f"{name}: {sum(file.stat().st_size for file in files) / MIB:,.0f} MiB")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), int(sys.argv[2]) if len(sys.argv) > 2 else YEAR)
