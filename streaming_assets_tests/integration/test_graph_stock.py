"""The main path on Dagster's own pieces gives what it gives on this project's: `make test-stock`."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage

from streaming_assets.automation.jobs import HOURLY_JOB
from streaming_assets.automation.sensors import build_object_sensor
from streaming_assets.dagster_runtime.instance import prepare_dagster_home
from streaming_assets.dagster_runtime.private_names import AssetCheckExecutionRecordStatus
from streaming_assets.lake.notifications import NoNotifications
from streaming_assets.partitions import key_of
from streaming_assets_tests.graph import Graph, failures, hour, info, listen, view

pytestmark = [pytest.mark.integration, pytest.mark.contract]
HOURS = 3
EVALUATED = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}


@contextmanager
def graph_on(runtime: str, folder: Path, parsed: Path) -> Iterator[Graph]:
    graph = Graph(folder / runtime, parsed, dagster_runtime=runtime)
    graph.close()
    graph.instance = dg.DagsterInstance.from_config(str(prepare_dagster_home(graph.settings)))
    graph.put("user_info", hour(0), [info(hour(0))])
    for number in range(HOURS):
        at, skipped = hour(number), 5 if number == 2 else 0
        graph.put("listen_events", at, [listen(at, item=number)], offset=number + skipped)
        graph.put("page_view_events", at, [view(at, item=10 + number)], offset=number)
    try:
        yield graph
    finally:
        graph.close()


def what_it_gives(graph: Graph) -> dict[str, Any]:
    """A range, and the hour that the sensor asks for: tables, verdicts, metadata and the snapshot."""
    of_range = graph.run(0, HOURS)
    assert of_range.success, failures(of_range)
    verdicts, metadata = of_hours(graph)
    tables = {
        name: rows if name != "dim_users" else [row[:5] for row in rows]
        for name, rows in graph.tables().items()
    }
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    graph.put("listen_events", now, [listen(now, item=20)], offset=HOURS + 5)
    resources = {"lake": graph.lake, "warehouse": graph.warehouse, "notifications": NoNotifications()}
    with dg.build_sensor_context(graph.instance, resources=resources) as context:
        tick = build_object_sensor(graph.settings)(context)
    assert isinstance(tick, dg.SensorResult)
    for asked in tick.run_requests or []:
        job = graph.defs.resolve_job_def(HOURLY_JOB)
        assert job.execute_in_process(instance=graph.instance, tags=dict(asked.tags)).success
    return {
        "tables": tables,
        "verdicts": verdicts,
        "metadata": metadata,
        "facts": graph.rows("select count(*) from fact_listen_events"),
        "snapshot": {
            (file.parent.name, file.name[:10])
            for file in (graph.settings.home / "published").rglob("*.parquet")
        },
    }


def of_hours(graph: Graph) -> tuple[dict[tuple[str, str | None], bool], dict[tuple[str, str | None], Any]]:
    """Verdicts of checks, and row counts of materialisations, by name and hour."""
    verdicts, counts = {}, {}
    assets = graph.defs.resolve_asset_graph()
    for check in assets.asset_check_keys:
        for record in graph.instance.event_log_storage.get_asset_check_execution_history(
            check, limit=50, status=EVALUATED
        ):
            if record.evaluation:
                key = f"{check.asset_key.to_user_string()}: {check.name}", record.evaluation.partition
                verdicts.setdefault(key, record.evaluation.passed)
    for asset in assets.materializable_asset_keys:
        for record in graph.instance.fetch_materializations(asset, limit=50).records:
            found = record.asset_materialization
            rows = found.metadata.get("dagster/partition_row_count") if found else None
            counts.setdefault((asset.to_user_string(), record.partition_key), rows)
    return verdicts, counts


def test_stock_pieces_give_what_the_own_ones_give(tmp_path: Path, parsed_project: Path) -> None:
    with graph_on("own", tmp_path, parsed_project) as own:
        wanted = what_it_gives(own)
    with graph_on("stock", tmp_path, parsed_project) as stock:
        assert type(stock.instance.event_log_storage) is SqliteEventLogStorage
        assert type(stock.instance.run_launcher) is dg.DefaultRunLauncher
        given = what_it_gives(stock)
    assert given == wanted
    bad = [
        name
        for (name, hour_key), passed in wanted["verdicts"].items()
        if not passed and hour_key == key_of(hour(2))
    ]
    assert any("offsets" in name for name in bad), f"the gap of hour 2 is told of it: {bad}"
    assert wanted["facts"] == [(HOURS + 1,)]
    assert wanted["snapshot"]
