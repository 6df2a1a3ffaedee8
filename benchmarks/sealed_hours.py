"""What sealing saves: the same day listed, read by dbt's base models and stored, before it and after.

    python benchmarks/sealed_hours.py FOLDER

A site of 20,000 users is simulated into FOLDER's lake, and each object divided as a sink does that writes
every 30 s. CPU seconds, since the machine may be busy. Prints a table as JSON.
"""

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from streaming_assets.automation.sealing import seal
from streaming_assets.events import LAKE_TOPICS
from streaming_assets.lake.factory import lake_of
from streaming_assets.lake.inventory import list_topics, read_rows
from streaming_assets.lake.names import HOUR
from streaming_assets.lake.store import Lake
from streaming_assets.settings import PROJECT_ROOT, Settings
from streaming_assets.testing.executor import Executor, MemoryWarehouse
from streaming_assets.warehouses.duckdb_warehouse import DuckDbWarehouse

START, HOURS, USERS = datetime(2025, 6, 2, tzinfo=UTC), 24, 20_000
END = START + HOURS * HOUR
PARTS = 120  # objects an hour, each 30 s of it
ROUNDS = 2
BASE = 5  # models that read objects


def main(folder: Path) -> None:
    settings = Settings.model_validate({"home": folder, "lake_url": str(folder / "lake")})
    _simulate(folder / "lake")
    lake = lake_of(settings)
    executor = Executor(PROJECT_ROOT / "dbt_project", folder / "target")
    table = {"before": _costs(folder, lake, executor)}
    _taken_in(settings, lake)
    table["sealing"] = {"CPU s": _cpu(lambda: seal(settings, 7, lambda line: print(line, file=sys.stderr)))}
    table["after"] = _costs(folder, lake, executor)
    print(json.dumps(table, indent=1))


def _simulate(root: Path) -> None:
    site = ("--users", str(USERS), "--growth-rate", "0", "--seed", "42")
    span = ("--start", START.isoformat(), "--end", END.isoformat())
    command = ("-m", "streaming_assets.cli", "simulate", "--to", "lake", "--output", str(root))
    subprocess.run([sys.executable, *command, *site, *span], check=True)
    for path in [*root.glob("raw/*_events/*/*.gz"), *root.glob("raw/user_info/*/*.gz")]:
        lines = gzip.decompress(path.read_bytes()).splitlines()
        path.unlink()
        size = -(-len(lines) // PARTS)
        head, _, tail = path.name.partition("-")
        for first in range(0, len(lines), size):
            name = f"{head}-{int(tail[:20]) + first:020d}{tail[20:]}"
            path.with_name(name).write_bytes(gzip.compress(b"\n".join(lines[first : first + size]), 1))


def _costs(folder: Path, lake: Lake, executor: Executor) -> dict[str, Any]:
    """The least of some rounds, each with a warehouse that knows nothing, as a rebuild's."""
    rounds = [_round(lake, executor) for _ in range(ROUNDS)]
    files = [path for part in ("raw", "sealed") for path in (folder / "lake" / part).rglob("date=*/*")]
    return {
        **{name: round(min(one[name] for one in rounds), 2) for name in rounds[0]},
        "files": len(files),
        "MB": round(sum(path.stat().st_size for path in files) / 1e6, 1),
        "MB on the disk": round(sum(path.stat().st_blocks for path in files) * 512 / 1e6, 1),
    }


def _round(lake: Lake, executor: Executor) -> dict[str, float]:
    warehouse = MemoryWarehouse()
    warehouse.prepare()
    objects = []
    costs = {"list, CPU s": _cpu(lambda: objects.extend(list_topics(lake, LAKE_TOPICS, START, END).objects))}
    read = read_rows(lake, objects, {}, warehouse.lines_folder)
    costs["look through, CPU s"] = _cpu(lambda: warehouse.record_objects((START, END), read))
    warehouse.create_reference_table("songs_ext", lake, "raw/flat_files/none", print)
    warehouse.create_reference_table("locations_ext", lake, "raw/flat_files/none", print)
    costs["base models, CPU s"] = _cpu(lambda: executor.run(warehouse, (START, END), BASE))
    costs["objects"] = len(objects)
    warehouse.database.close()
    return costs


def _taken_in(settings: Settings, lake: Lake) -> None:
    """The inventory as a run over all hours leaves it."""
    warehouse = DuckDbWarehouse(settings.warehouse.file, 10, settings.lake.url)
    warehouse.prepare()
    objects = list_topics(lake, LAKE_TOPICS, START, END).objects
    warehouse.record_objects((START, END), read_rows(lake, objects, {}, warehouse.lines_folder))
    warehouse.mark_processed((START, END))


def _cpu(work: Callable[[], Any]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


if __name__ == "__main__":
    begun = time.monotonic()
    main(Path(sys.argv[1]))
    print(f"{time.monotonic() - begun:.0f} s", file=sys.stderr)
