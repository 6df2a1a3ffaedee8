"""How old an object is when its rows are in the facts, and when they are in the dashboards' snapshot: alone, and
while backfills run.

    python benchmarks/freshness.py [--seconds 120] [--backfills 2] [--users 5000] [--history-hours 504]

Runs the system of `make dev` with its defaults, in a folder that is removed at the end, for SECONDS of live traffic
alone, then until BACKFILLS backfills of all of the history have ended, launched as the job's page does. Nothing is
asked while it runs. Afterwards the lake tells when each object landed, and Dagster's event log which run had listed it
and when that run had its rows in the facts and in the snapshot. Prints JSON: seconds, and the machine's load.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from streaming_assets.assets.keys import SNAPSHOT, external_key
from streaming_assets.automation.jobs import HOURLY, HOURLY_JOB
from streaming_assets.events import BY_TOPIC
from streaming_assets.lake.folder import FolderLake
from streaming_assets.lake.inventory import list_topic
from streaming_assets.lake.names import floor_hour, hours_between
from streaming_assets.partitions import hour_of, key_of
from streaming_assets.settings import PROJECT_ROOT, Settings, env_name, start_of_history

TOPIC = "listen_events"
FACT = dg.AssetKey(["core", "fact_listen_events"])
TABLE = external_key(BY_TOPIC[TOPIC].external_table or "")
PATIENCE = 900  # s
REPOSITORY = {"repositoryName": "__repository__", "repositoryLocationName": "streaming_assets"}
ASSETS = "{ assetNodes { assetKey { path } jobNames } }"
BACKFILL = """mutation ($asked: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $asked) { ... on LaunchBackfillSuccess { backfillId } }
}"""
STATES = "{ partitionBackfillsOrError { ... on PartitionBackfills { results { status } } } }"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=120, help="of live traffic alone (default 120)")
    parser.add_argument("--backfills", type=int, default=2, help="of all of the history, then (default 2)")
    parser.add_argument("--users", type=int, default=5000, help="of the site (default 5000, as make dev)")
    parser.add_argument("--history-hours", type=int, default=504, help="(default 504, as make dev)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ports = _free_ports(2)
        chosen = {
            "home": folder,
            "dagster_port": ports[0],
            "dashboards_port": ports[1],
            "simulator_users": options.users,
            "simulator_history_hours": options.history_hours,
        }
        print(json.dumps(measure(chosen, options.seconds, options.backfills), indent=1))


def measure(chosen: dict[str, Any], seconds: float, backfills: int) -> dict[str, Any]:
    """Freshness of the listens that landed alone and during backfills.

    Args:
        chosen: settings that are not the defaults, among them a home that has nothing in it.
        seconds: how long it runs alone.
        backfills: how many it then has.
    """
    settings = Settings.model_validate(chosen)
    with _system(chosen, settings):
        time.sleep(30)  # until what came while it started is done
        begun = time.time()
        time.sleep(seconds)
        launched = time.time()
        for _ in range(backfills):
            _backfill(settings)
        loads = [os.getloadavg()[0]]
        while backfills and not _are_over(settings):
            time.sleep(1)
        loads.append(os.getloadavg()[0])
        ended = time.time()
        time.sleep(30)  # so that what landed last is in the snapshot
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        ages = [*_ages(instance, settings)]
        at_work = _at_work(instance, launched)
    alone = [age for landed, *age in ages if begun <= landed < launched]
    beside = [age for landed, *age in ages if any(start <= landed < end for start, end in at_work)]
    found = {"alone": _described(alone), "beside backfills": _described(beside)}
    return {
        **found,
        "ages in the facts, s": {
            name: sorted(round(age[0], 1) for age in of)
            for name, of in (("alone", alone), ("beside backfills", beside))
        },
        "backfills": {"runs": len(at_work), "s": round(ended - launched, 1)},
        "load": {"alone": round(loads[0], 1), "beside backfills": round(loads[-1], 1)},
    }


def _described(ages: list[list[float]]) -> dict[str, Any]:
    """Median, 95th percentile and maximum, s, of the ages at which rows were in the facts and in the snapshot."""
    told: dict[str, Any] = {"objects": len(ages)}
    for name, values in zip(("fact", "snapshot"), zip(*ages, strict=True), strict=False):
        p95 = statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else max(values)
        told[name] = {
            "p50": round(statistics.median(values), 1),
            "p95": round(p95, 1),
            "max": round(max(values), 1),
        }
    return told


def _ages(instance: dg.DagsterInstance, settings: Settings) -> Iterator[tuple[float, float, float]]:
    """(landed, age in the facts, age in the snapshot) of each object; seconds.

    A run has listed the first n objects of an hour that landed, n being what it said of its external table.
    """
    runs = [
        record.dagster_run.run_id
        for record in instance.get_run_records(
            dg.RunsFilter(tags=HOURLY, statuses=[dg.DagsterRunStatus.SUCCESS])
        )
    ]
    listed: dict[datetime, list[tuple[int, float, float]]] = defaultdict(list)
    for run_id in runs:
        listings: dict[datetime, int] = {}
        done: dict[dg.AssetKey, float] = {}
        for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
            event = entry.dagster_event
            if event is None or event.asset_key is None:
                continue
            done[event.asset_key] = entry.timestamp
            objects = event.step_materialization_data.materialization.metadata.get("objects")
            if event.asset_key == TABLE and event.partition and objects:
                listings[hour_of(event.partition)] = int(objects.value)  # pyright: ignore[reportArgumentType]
        if FACT in done and SNAPSHOT in done:
            for hour, count in listings.items():
                listed[hour].append((count, done[FACT], done[SNAPSHOT]))
    lake = FolderLake(settings.home / "lake")
    landed: dict[datetime, list[float]] = defaultdict(list)
    for row in list_topic(lake, TOPIC).objects:
        landed[row.name.hour].append(row.generation / 1e9)
    for hour, times in landed.items():
        for number, moment in enumerate(sorted(times), 1):
            holding = [found for found in listed[hour] if found[0] >= number and found[1] > moment]
            if holding:
                yield moment, min(f for _, f, _ in holding) - moment, min(s for *_, s in holding) - moment


def _at_work(instance: dg.DagsterInstance, since: float) -> list[tuple[float, float]]:
    """When the runs of backfills launched since then ran."""
    records = instance.get_run_records(dg.RunsFilter(tags=HOURLY))
    return [
        (record.start_time, record.end_time)
        for record in records
        if record.start_time and record.end_time and record.start_time > since
        if "dagster/backfill" in record.dagster_run.tags
    ]


@contextmanager
def _system(chosen: dict[str, Any], settings: Settings) -> Iterator[None]:
    """`streaming-assets dev` that is ready; it ends with the block."""
    environment = {**os.environ, **{env_name(name): str(value) for name, value in chosen.items()}}
    command = (str(Path(sys.executable).with_name("streaming-assets")), "dev")
    log = settings.home / "dev.log"
    with open(log, "w") as output:
        process = subprocess.Popen(command, env=environment, cwd=PROJECT_ROOT, stdout=output, stderr=output)
    try:
        begun = time.monotonic()
        while "Ready." not in log.read_text():
            if process.poll() is not None or time.monotonic() - begun > PATIENCE:
                raise SystemExit(f"the system did not start:\n{log.read_text()}")
            time.sleep(0.5)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _ask(settings: Settings, query: str, **variables: Any) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://{settings.web.bind_host}:{settings.dagster.port}/graphql",
        json.dumps({"query": query, "variables": variables}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)["data"]


def _backfill(settings: Settings) -> None:
    """What the page of the job sends for all hours that have passed."""
    nodes = _ask(settings, ASSETS)["assetNodes"]
    first = start_of_history(settings.dev_state_file)
    assert first  # it is ready
    asked = {
        "assetSelection": [node["assetKey"] for node in nodes if HOURLY_JOB in node["jobNames"]],
        "partitionNames": [key_of(hour) for hour in hours_between(first, floor_hour(datetime.now(UTC)))],
        "selector": {"partitionSetName": f"{HOURLY_JOB}_partition_set", "repositorySelector": REPOSITORY},
        "fromFailure": False,
    }
    _ask(settings, BACKFILL, asked=asked)


def _are_over(settings: Settings) -> bool:
    found = _ask(settings, STATES)["partitionBackfillsOrError"]["results"]
    return all(backfill["status"] not in ("REQUESTED", "CANCELING", "FAILING") for backfill in found)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


if __name__ == "__main__":
    main()
