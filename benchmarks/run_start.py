"""From the launch of an hour's run to its success: forked from the code server's template, and started anew, in turns.

    python benchmarks/run_start.py [--users 150000] [--rounds 5]

One code server, one instance, one warehouse, one hour of a site. A run is started anew while a file that the template
has loaded is another: here its time of change is, for that moment. Prints the medians, in s from the launch on.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._grpc.client import DagsterGrpcClient

from streaming_assets import definitions
from streaming_assets.automation.jobs import HOURLY_JOB
from streaming_assets.dagster_runtime.instance import dagster_environment, prepare_dagster_home
from streaming_assets.dagster_runtime.runs import span_tags
from streaming_assets.lake.names import HOUR
from streaming_assets.settings import PROJECT_ROOT, Settings

PORT = 4266
MEASURED = datetime(2025, 6, 2, 16, tzinfo=UTC)
PARTS = ("first step", "success")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--users", type=int, default=150_000, help="of the site whose hour it is (default 150,000)"
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="rounds, in each of which both take a turn (default 5)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.model_validate({"home": folder})
        prepare_dagster_home(settings)
        _simulate(settings, options.users)
        environment = {**os.environ, **dagster_environment(settings)}
        command = (
            sys.executable,
            "-m",
            "dagster",
            "api",
            "grpc",
            "--port",
            str(PORT),
            "-m",
            definitions.__name__,
        )
        with (
            open(Path(folder) / "log", "w") as log,
            subprocess.Popen(command, env=environment, cwd=PROJECT_ROOT, stdout=log, stderr=log) as server,
            dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance,
        ):
            try:
                _measure(instance, options.rounds)
            finally:
                server.terminate()


def _measure(instance: dg.DagsterInstance, rounds: int) -> None:
    client = DagsterGrpcClient(port=PORT)
    while not _answers(client):
        time.sleep(0.1)
    file = Path(definitions.__file__)
    changed = file.stat().st_mtime_ns
    _run(instance, client)  # makes the tables
    spent: dict[str, list[tuple[float, ...]]] = {"forked": [], "anew": []}
    for _ in range(rounds):
        for kind, found in spent.items():
            os.utime(file, ns=(changed, changed - (kind == "anew")))
            try:
                found.append(_run(instance, client))
            finally:
                os.utime(file, ns=(changed, changed))
    for part, *seconds in zip(PARTS, *(zip(*found, strict=True) for found in spent.values()), strict=True):
        forked, anew = map(statistics.median, seconds)
        print(
            f"{part:12} forked {forked:6.2f}   anew {anew:6.2f}   difference {anew - forked:5.2f}", flush=True
        )


def _answers(client: DagsterGrpcClient) -> bool:
    with suppress(DagsterUserCodeUnreachableError):
        return bool(client.ping("anyone"))
    return False


def _run(instance: dg.DagsterInstance, client: DagsterGrpcClient) -> tuple[float, ...]:
    """Launch a run over the hour; s until its first step and its success."""
    location = GrpcServerCodeLocationOrigin("localhost", port=PORT, location_name="streaming_assets")
    run = instance.create_run_for_job(
        definitions.defs().resolve_job_def(HOURLY_JOB),
        tags=span_tags((MEASURED, MEASURED + HOUR)),
        remote_job_origin=RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), HOURLY_JOB),
    )
    begun = time.time()
    dg.DefaultRunLauncher.launch_run_from_grpc_client(instance, run, client)
    while not (record := instance.get_run_record_by_id(run.run_id)) or not record.end_time:
        time.sleep(0.02)
    assert record.dagster_run.is_success
    first, *_ = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START)
    return first.timestamp - begun, record.end_time - begun


def _simulate(settings: Settings, users: int) -> None:
    site = ("--users", str(users), "--growth-rate", "0", "--seed", "42")
    hours = (MEASURED - timedelta(hours=3), MEASURED, MEASURED + HOUR)
    times = (f"{moment:%Y-%m-%dT%H:%M}" for moment in hours)
    told = (part for pair in zip(("--start", "--resume-from", "--end"), times, strict=True) for part in pair)
    command = ("streaming_assets.cli", "simulate", "--to", "lake", "--output", str(settings.home / "lake"))
    subprocess.run([sys.executable, "-m", *command, *site, *told], check=True)


if __name__ == "__main__":
    main()
