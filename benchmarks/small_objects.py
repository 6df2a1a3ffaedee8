"""Many small objects: an hour of them in one backfill, and the object sensor's ticks over a look-back full of them.

    python benchmarks/small_objects.py FOLDER [--hour 100000] [--look-back 1000000]

An object holds three page views, no two of one listener's session. First `streaming-assets backfill` runs over an hour
of --hour objects in a new home. Then --look-back objects, hard links to one, fill the 48 hours until now, and the
sensor ticks over them in this process: it knows nothing, knows all, and finds one object more in the newest hour.
Prints JSON: s and CPU s, the longest tick of each kind.
"""

import argparse
import gzip
import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from streaming_assets.automation.sensors import build_object_sensor
from streaming_assets.lake.factory import lake_of
from streaming_assets.lake.names import HOUR, ObjectName, floor_hour
from streaming_assets.lake.notifications import NoNotifications
from streaming_assets.settings import Settings
from streaming_assets.warehouses.factory import warehouse_of

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
ROWS = 3
LOOK_BACK = 48  # hours, the default
SETTLED = 40  # ticks, in which the sensor has come by each hour of the look-back


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="for lakes and homes; emptied first")
    parser.add_argument("--hour", type=int, default=100_000, help="objects of the hour (default 100000)")
    parser.add_argument(
        "--look-back", type=int, default=1_000_000, help="objects of the look-back (default 1000000)"
    )
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    folder = options.folder.absolute()
    print(
        json.dumps(
            {
                f"an hour of {options.hour:,} objects": backfilled(folder / "hour", options.hour),
                f"a look-back of {options.look_back:,} objects": ticked(folder / "ticks", options.look_back),
            },
            indent=1,
        )
    )


def backfilled(home: Path, objects: int) -> dict[str, float]:
    """What the backfill of an hour of so many objects takes; their rows must be in the sessions' fact."""
    for number in range(objects):
        _place(home / "lake" / str(ObjectName("page_view_events", START, 0, number * ROWS)), number)
    names = {"STREAMING_ASSETS_HOME": str(home), "STREAMING_ASSETS_FIRST_HOUR": START.isoformat()}
    span = [f"{at:%Y-%m-%dT%H:%MZ}" for at in (START, START + HOUR)]
    begun, before = time.monotonic(), os.times()
    subprocess.run(
        [sys.executable, "-m", "streaming_assets", "backfill", *span],
        env=os.environ | names,
        check=True,
        stdout=sys.stderr,
    )
    took, after = time.monotonic() - begun, os.times()
    settings = Settings.model_validate({"home": home})
    ((sessions, views),) = warehouse_of(settings).rows(
        "select count(*), (select count(*) from stg_page_view_events) from fact_session_events"
    )
    if (sessions, views) != (objects, objects * ROWS):
        raise SystemExit(f"{objects:,} objects came to {views:,} page views and {sessions:,} sessions")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"s": round(took, 1), "CPU s": round(cpu, 1), "rows": views}


def ticked(home: Path, objects: int) -> dict[str, Any]:
    """The longest ticks over a look-back with so many objects."""
    now, first = floor_hour(datetime.now(UTC)), home / "one"
    _place(first, 0)
    for number in range(objects):
        at = now - (number % LOOK_BACK) * HOUR
        name = home / "lake" / str(ObjectName("page_view_events", at, 0, number * ROWS))
        try:
            os.link(first, name)
        except FileNotFoundError:
            name.parent.mkdir(parents=True, exist_ok=True)
            os.link(first, name)
        except OSError:  # a file has as many links as its file system lets it
            first = first.with_name(str(number))
            _place(first, 0)
            os.link(first, name)
    settings = Settings.model_validate({"home": home})
    sensor, cursor = build_object_sensor(settings), None
    resources = {
        "lake": lake_of(settings),
        "warehouse": warehouse_of(settings),
        "notifications": NoNotifications(),
    }

    def tick() -> tuple[float, dg.SensorResult]:
        nonlocal cursor
        with (
            dg.DagsterInstance.ephemeral() as instance,
            dg.build_sensor_context(instance, cursor=cursor, resources=resources) as context,
        ):
            begun = time.monotonic()
            result = sensor(context)
            took = time.monotonic() - begun
        assert isinstance(result, dg.SensorResult)
        cursor = result.cursor
        return round(took, 2), result

    unknown = tick()
    known = [tick()[0] for _ in range(SETTLED)]
    _place(home / "lake" / str(ObjectName("page_view_events", now, 0, objects * ROWS)), 1)
    found, result = tick()
    if not result.run_requests:
        raise SystemExit("the tick did not ask for the hour of the new object")
    return {
        "nothing known, s": unknown[0],
        "runs asked for": len(unknown[1].run_requests or ()),
        "all known, longest s": max(known),
        "one object more, s": found,
    }


def _place(path: Path, number: int) -> None:
    """Three page views of a session of its own."""
    lines = (
        {
            "value": {
                "ts": int(START.timestamp() * 1000) + item,
                "sessionId": number,
                "userId": number,
                "itemInSession": item,
                "page": "Home",
                "auth": "Logged In",
                "method": "GET",
                "status": 200,
                "level": "free",
            },
            "offset": number * ROWS + item,
            "timestamp": START.isoformat(),
        }
        for item in range(ROWS)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode(), 1))


if __name__ == "__main__":
    main()
