"""What does a run of one hour cost behind a day and behind a year of history? Verdicts and event log included.

    python benchmarks/hour_run.py FOLDER [--rounds 9]

FOLDER is that of `backfill.py --users 60 --days 365`, whose warehouse and event log are the year's. Beside them a home
with the last day alone is made. The newest hour is run again in each, in turns, by two processes that have everything
imported. Prints, as JSON, the medians of the runs' time from start to success and of the process's CPU time, s, of each
step, and the ratios of the year to the day.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

END = datetime(2026, 1, 1, tzinfo=UTC)  # of the year's history
HOUR = timedelta(hours=1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="of backfill.py, which was run before")
    parser.add_argument("--rounds", type=int, default=9, help="rounds, in each of which both run (default 9)")
    options = parser.parse_args()
    folder = options.folder.absolute()
    if not (folder / "home" / "warehouse.duckdb").exists():
        raise SystemExit(f"{folder} has no year: benchmarks/backfill.py {folder} --users 60 --days 365")
    shutil.rmtree(folder / "day", ignore_errors=True)
    workers = {"day": _worker(folder, "day"), "year": _worker(folder, "home")}
    _asked(workers["day"], 24)
    for worker in workers.values():
        _asked(worker, 1)  # the first run imports and parses
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in workers}
    for number in range(options.rounds):
        for name in list(workers)[:: -1 if number % 2 else 1]:
            measured[name].append(_asked(workers[name], 1))
    for worker in workers.values():
        worker.send(None)
    medians = {
        name: {part: round(statistics.median(row[part] for row in rows), 3) for part in rows[0]}
        for name, rows in measured.items()
    }
    ratios = {part: round(medians["year"][part] / value, 2) for part, value in medians["day"].items()}
    print(json.dumps({**medians, "year / day": ratios}))


def _worker(folder: Path, home: str) -> Connection:
    context = get_context("spawn")
    here, there = context.Pipe()
    context.Process(target=_serve, args=(folder, home, there), daemon=True).start()
    return here


def _asked(worker: Connection, hours: int) -> dict[str, float]:
    worker.send(hours)
    return worker.recv()


def _serve(folder: Path, home: str, asked: Connection) -> None:
    os.environ["STREAMING_ASSETS_HOME"] = str(folder / home)
    os.environ["STREAMING_ASSETS_LAKE_URL"] = str(folder / "lake")
    from streaming_assets.automation.backfill import backfill
    from streaming_assets.definitions import build_defs
    from streaming_assets.settings import load_settings

    settings = load_settings()
    with redirect_stdout(sys.stderr):
        while (hours := asked.recv()) is not None:
            asked.send(_measured(settings, lambda: backfill(END - hours * HOUR, END, settings, build_defs)))


def _measured(settings: Any, run: Callable[[], list[str]]) -> dict[str, float]:
    import dagster as dg

    from streaming_assets.dagster_runtime.instance import dagster_environment

    cpu = time.process_time()
    if failed := run():
        raise SystemExit("\n".join(failed))
    cpu = time.process_time() - cpu
    home = dagster_environment(settings)["DAGSTER_HOME"]
    with dg.DagsterInstance.from_config(home) as instance:
        (record,) = instance.get_run_records(limit=1)
        steps = instance.get_run_step_stats(record.dagster_run.run_id)
        spent = {step.step_key: (step.end_time or 0) - (step.start_time or 0) for step in steps}
        return {
            "run": (record.end_time or 0) - (record.start_time or 0),
            "CPU of the process": cpu,
            **spent,
        }


if __name__ == "__main__":
    main()
