"""A run's lines as JSON: run, hour and asset of each, a failure with its trace, none of Dagster's many events."""

import json
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from streaming_assets.automation.jobs import QUIET
from streaming_assets.dagster_runtime.json_console import json_console
from streaming_assets.dagster_runtime.runs import span_tags
from streaming_assets.lake.names import HOUR
from streaming_assets.partitions import hourly_partitions

START = datetime(2025, 3, 1, tzinfo=UTC)


def run(fails: bool, hours: int, capfd: pytest.CaptureFixture[str]) -> tuple[str, list[dict[str, Any]]]:
    @dg.asset(
        key=["core", "fact"],
        partitions_def=hourly_partitions(START),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def fact(context: dg.AssetExecutionContext) -> None:
        context.log.info("dbt: hours")
        if fails:
            raise ValueError("no such column")

    job = dg.Definitions(
        assets=[fact],
        jobs=[dg.define_asset_job("hourly", selection=dg.AssetSelection.all())],
        loggers={"console": json_console},
        executor=dg.in_process_executor,
    ).resolve_job_def("hourly")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(
            instance=instance,
            tags=span_tags((START, START + hours * HOUR)),
            run_config=QUIET,
            raise_on_error=False,
        )
    return result.run_id, [json.loads(line) for line in capfd.readouterr().err.splitlines()]


def test_each_event_has_its_run_hour_and_asset(capfd: pytest.CaptureFixture[str]) -> None:
    run_id, lines = run(False, 2, capfd)
    assert {(line["run"], line["job"], line["source"]) for line in lines} == {(run_id, "hourly", "run")}
    both = "2025-03-01-00:00...2025-03-01-01:00"
    assert [(line.get("event"), line["hour"], line.get("asset")) for line in lines] == [
        ("RUN_START", both, None),
        (None, both, None),
        ("ASSET_MATERIALIZATION", "2025-03-01-00:00", "core/fact"),
        ("ASSET_MATERIALIZATION", "2025-03-01-01:00", "core/fact"),
        ("RUN_SUCCESS", both, None),
    ]
    assert (lines[1]["message"], lines[1]["step"]) == ("dbt: hours", "core__fact")


def test_a_failure_is_one_line_with_its_trace(capfd: pytest.CaptureFixture[str]) -> None:
    _, lines = run(True, 1, capfd)
    failed = {line["event"]: line for line in lines if line["level"] == "ERROR"}
    assert {*failed} == {"STEP_FAILURE", "RUN_FAILURE"}
    assert "ValueError: no such column" in failed["STEP_FAILURE"]["error"]
    assert failed["STEP_FAILURE"]["hour"] == "2025-03-01-00:00"
