"""What Dagster's event log costs: its own SQLite storage against the batched one, in turns.

    python benchmarks/event_log.py [--hours 24] [--assets 10] [--rounds 5]

Each round makes one ranged run over all hours of trivial hourly assets, and 100 materialisations without
a run, on a fresh home of each storage. Prints the medians of the time that passed and of the CPU time, and
the ratios of the medians.
"""

import argparse
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

os.environ["DAGSTER_EVENT_BATCH_SIZE"] = "10000"
warnings.filterwarnings("ignore")

import dagster as dg  # noqa: E402

START = datetime(2025, 1, 1, tzinfo=UTC)
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
STORAGES = {"stock": None, "batched": "BatchedSqliteEventLogStorage"}


def definitions(hours: int, assets: int) -> tuple[dg.Definitions, list[str]]:
    partitions = dg.HourlyPartitionsDefinition(start_date=START, end_date=START + timedelta(hours=hours))

    def asset(number: int) -> dg.AssetsDefinition:
        @dg.asset(
            name=f"asset_{number}", partitions_def=partitions, backfill_policy=dg.BackfillPolicy.single_run()
        )
        def _made() -> None: ...

        return _made

    job = dg.define_asset_job("all_of_it", selection="*")
    return dg.Definitions(
        [asset(number) for number in range(assets)], jobs=[job]
    ), partitions.get_partition_keys()


def measure(storage: str, folder: Path, hours: int, assets: int) -> dict[str, float]:
    config: dict = {"telemetry": {"enabled": False}}
    if STORAGES[storage]:
        config["event_log_storage"] = {
            "module": "streaming_assets.dagster_runtime.event_log",
            "class": STORAGES[storage],
            "config": {"base_dir": str(folder / "event_log")},
        }
    (folder / "dagster.yaml").write_text(yaml.safe_dump(config))
    defs, keys = definitions(hours, assets)
    tags = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
    seconds: dict[str, float] = {}

    @contextmanager
    def timed(what: str) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        seconds[what] = time.perf_counter() - wall
        seconds[f"{what}, CPU"] = time.process_time() - cpu

    with dg.DagsterInstance.from_config(str(folder)) as instance:
        with timed("ranged run"):
            job = defs.resolve_job_def("all_of_it")
            assert job.execute_in_process(instance=instance, tags=tags, run_config=QUIET).success
        assert len(instance.get_materialized_partitions(dg.AssetKey("asset_0"))) == hours
        with timed("100 events without a run"):
            for number in range(100):
                event = dg.AssetMaterialization("outside", partition=keys[number % len(keys)])
                instance.report_runless_asset_event(event)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=int, default=24, help="hours of the ranged run (default 24)")
    parser.add_argument("--assets", type=int, default=10, help="assets of the ranged run (default 10)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, in each of which both take a turn")
    options = parser.parse_args()
    measured: dict[str, list[dict[str, float]]] = {storage: [] for storage in STORAGES}
    for _ in range(options.rounds):
        for storage, rounds in measured.items():
            with tempfile.TemporaryDirectory() as folder:
                rounds.append(measure(storage, Path(folder), options.hours, options.assets))
    print(f"{options.hours} hours x {options.assets} assets, median of {options.rounds} rounds, seconds")
    for what in measured["stock"][0]:
        stock, batched = (
            statistics.median(each[what] for each in measured[storage]) for storage in ("stock", "batched")
        )
        print(f"{what:30} stock {stock:8.3f}   batched {batched:8.3f}   ratio {stock / batched:6.1f}")


if __name__ == "__main__":
    main()
