"""What the pieces of dagster_runtime/ gain: each against the stock one, in turns.

    python benchmarks/dagster_runtime.py [--hours 720] [--rounds 3]

`dbt`: run and test of an hour without objects, so what is measured is dbt around the models. `verdicts`: one
for each hour of a ranged run of one check. Prints the medians, CPU of processes that are started included. The event
log has its own benchmark (event_log.py).
"""

import argparse
import logging
import os
import resource
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

os.environ["DAGSTER_EVENT_BATCH_SIZE"] = "10000"
warnings.filterwarnings("ignore")

import dagster as dg  # noqa: E402

from streaming_assets.assets.external_tables import REFERENCE_TABLES  # noqa: E402
from streaming_assets.dagster_runtime.instance import prepare_dagster_home  # noqa: E402
from streaming_assets.dagster_runtime.runs import span_tags  # noqa: E402
from streaming_assets.dagster_runtime.runtime import Runtime, runtime_of  # noqa: E402
from streaming_assets.dagster_runtime.verdicts import Verdict  # noqa: E402
from streaming_assets.events import LAKE_TYPES  # noqa: E402
from streaming_assets.lake.factory import lake_of  # noqa: E402
from streaming_assets.lake.names import HOUR, hours_between  # noqa: E402
from streaming_assets.partitions import hourly_partitions  # noqa: E402
from streaming_assets.settings import Settings  # noqa: E402
from streaming_assets.warehouses.factory import warehouse_of  # noqa: E402

START = datetime(2025, 1, 1, tzinfo=UTC)
KEY = dg.AssetKey("hourly")
Measured = Callable[[Runtime, Settings, int], None]


def dbt(runtime: Runtime, settings: Settings, hours: int) -> None:
    span = (START, START + HOUR)
    runtime.dbt.run(span)
    runtime.dbt.test(span)


def verdicts(runtime: Runtime, settings: Settings, hours: int) -> None:
    spec = dg.AssetCheckSpec("check", asset=KEY, partitions_def=hourly_partitions(START))

    @dg.multi_asset_check(specs=[spec])
    def check(context: dg.AssetCheckExecutionContext):
        span = (START, START + hours * HOUR)
        yield from runtime.report(context, spec, dict.fromkeys(hours_between(*span), Verdict(True)))

    job = dg.define_asset_job("job", dg.AssetSelection.checks(check))
    _run(dg.Definitions(asset_checks=[check], jobs=[job]), settings, hours)


def _run(defs: dg.Definitions, settings: Settings, hours: int) -> None:
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        tags = span_tags((START, START + hours * HOUR))
        assert defs.resolve_job_def("job").execute_in_process(instance=instance, tags=tags).success


def _prepare(folder: str, kind: str) -> tuple[Runtime, Settings]:
    """Pieces of a kind over the own event log, which is measured elsewhere; an empty lake, dbt's project parsed."""
    settings = Settings(home=Path(folder))
    prepare_dagster_home(settings)
    warehouse, lake = warehouse_of(settings), lake_of(settings)
    warehouse.prepare()
    for event_type in LAKE_TYPES:
        warehouse.create_event_table(event_type, lake, print)
    for table, file in REFERENCE_TABLES.items():
        warehouse.create_reference_table(table, lake, file, lambda _: None)
    runtime = runtime_of(settings.changed(dagster_runtime=kind), warehouse)
    assert runtime.dbt.manifest
    dbt(runtime, settings, 1)  # the tables are made, and what is read once a process is read
    return runtime, settings


def _cpu() -> float:
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=int, default=720, help="hours of the ranged runs (default 720)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, in each of which both take a turn")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as own, tempfile.TemporaryDirectory() as stock:
        pieces = {"own": _prepare(own, "own"), "stock": _prepare(stock, "stock")}
        for measured in (dbt, verdicts):
            spent: dict[str, list[tuple[float, float]]] = {kind: [] for kind in pieces}
            for _ in range(options.rounds):
                for kind, (runtime, settings) in pieces.items():
                    wall, cpu = time.perf_counter(), _cpu()
                    measured(runtime, settings, options.hours)
                    spent[kind].append((time.perf_counter() - wall, _cpu() - cpu))
            for unit, part in (("s", 0), ("CPU s", 1)):
                a, b = (statistics.median(each[part] for each in spent[kind]) for kind in ("own", "stock"))
                print(
                    f"{measured.__name__:10} {unit:6} own {a:8.2f}   stock {b:8.2f}   ratio {b / a:5.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
