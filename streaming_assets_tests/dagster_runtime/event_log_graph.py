"""A small graph with hourly assets and checks, and all that an instance tells about its events.

`python -m streaming_assets_tests.dagster_runtime.event_log_graph HOME FIRST COUNT` makes one ranged run.
"""

import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster._core.events import DagsterEventType

HOURS = dg.HourlyPartitionsDefinition(
    start_date=datetime(2025, 1, 1, tzinfo=UTC), end_date=datetime(2025, 1, 8, tzinfo=UTC)
)
KEYS = HOURS.get_partition_keys()
BROKEN_HOUR = KEYS[30]


def _hourly_asset(name: str, upstream: list[str]) -> dg.AssetsDefinition:
    @dg.asset(
        name=name,
        deps=upstream,
        code_version="1",  # else it is the run id
        partitions_def=HOURS,
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[
            dg.AssetCheckSpec("of_each_hour", asset=name, partitions_def=HOURS),
            dg.AssetCheckSpec("of_the_whole", asset=name),
        ],
    )
    def _made(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        hours = context.partition_keys
        if name == "last" and BROKEN_HOUR in hours:
            raise dg.Failure(f"{BROKEN_HOUR} is broken on purpose")
        for rows, hour in enumerate(hours):
            context.add_asset_metadata({"rows": rows}, partition_key=hour)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(f"{name} of {hours[0]} to {hours[-1]}"),
            tags={"made_by": name},
            check_results=[
                dg.AssetCheckResult(check_name="of_each_hour", passed=len(hours) > 3),
                dg.AssetCheckResult(check_name="of_the_whole", passed=True, metadata={"hours": len(hours)}),
            ],
        )

    return _made


@dg.asset(code_version="1", check_specs=[dg.AssetCheckSpec("it_fails", asset="plain")])
def plain() -> dg.MaterializeResult:
    """Unpartitioned, with a failing check."""
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(check_name="it_fails", passed=False)])


HOURLY = ("first", "middle", "last")
HOURLY_JOB = dg.define_asset_job("hourly", selection=list(HOURLY))
PLAIN_JOB = dg.define_asset_job("plain_job", selection=["plain"])
DEFINITIONS = dg.Definitions(
    [
        _hourly_asset("first", []),
        _hourly_asset("middle", ["first"]),
        _hourly_asset("last", ["middle"]),
        plain,
    ],
    jobs=[HOURLY_JOB, PLAIN_JOB],
)
ASSETS = [dg.AssetKey(name) for name in (*HOURLY, "plain", "outside", "wiped")]
CHECKS = [
    dg.AssetCheckKey(dg.AssetKey(asset), check)
    for asset in HOURLY
    for check in ("of_each_hour", "of_the_whole")
] + [dg.AssetCheckKey(dg.AssetKey("plain"), "it_fails")]


def ranged_run(instance: dg.DagsterInstance, first: int, count: int) -> bool:
    """One run over the hours KEYS[first : first + count]; whether it succeeded."""
    tags = {
        "dagster/asset_partition_range_start": KEYS[first],
        "dagster/asset_partition_range_end": KEYS[first + count - 1],
    }
    job = DEFINITIONS.resolve_job_def("hourly")
    return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False).success


def a_varied_history(instance: dg.DagsterInstance) -> None:
    """Ranged runs that succeed, overlap, fail and are deleted, a plain one, events without a run, a wipe."""
    ranged_run(instance, 0, 6)
    ranged_run(instance, 4, 3)
    ranged_run(instance, 29, 3)
    DEFINITIONS.resolve_job_def("plain_job").execute_in_process(instance=instance)
    ranged_run(instance, 10, 2)
    instance.delete_run(instance.get_runs(limit=1)[0].run_id)
    instance.report_runless_asset_event(dg.AssetMaterialization("wiped"))
    instance.wipe_assets([dg.AssetKey("wiped")])
    for hour in KEYS[:2]:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(
                "outside", partition=hour, metadata={"objects": 4}, tags={"seen": f"{hour:.10}"}
            )
        )
        instance.report_runless_asset_event(
            dg.AssetObservation("first", partition=hour, tags={"kind": "look"})
        )
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            dg.AssetKey("first"), "of_the_whole", passed=False, metadata={}, partition=None
        )
    )


def answers(instance: dg.DagsterInstance) -> dict[str, Any]:
    """What the instance says of its events, without ids and times, which differ between any two instances."""
    log = instance.event_log_storage
    runs = instance.get_runs()[::-1]
    position: Any = defaultdict(lambda: "deleted", {run.run_id: number for number, run in enumerate(runs)})
    position[""] = "runless"
    entries = [(run.run_id, entry) for run in runs for entry in instance.all_logs(run.run_id)]
    partition_of_id: dict[int, str | None] = {}
    said: dict[str, Any] = {
        "rows": Counter(
            (
                position[run_id],
                entry.dagster_event.event_type_value,
                entry.step_key,
                str(entry.dagster_event.asset_key),
                entry.dagster_event.partition,
            )
            for run_id, entry in entries
            if entry.dagster_event
        ),
        "run stats": [_stats(instance, run.run_id) for run in runs],
        "step stats": [
            sorted((step.step_key, str(step.status), len(step.materialization_events)) for step in steps)
            for steps in (instance.get_run_step_stats(run.run_id) for run in runs)
        ],
        "asset keys": sorted(map(str, instance.get_asset_keys())),
    }
    for record in log.get_asset_records(ASSETS):
        entry = record.asset_entry
        latest = entry.last_materialization
        said[f"{entry.asset_key} record"] = (
            latest and (_content(latest.asset_materialization), position[latest.run_id]),
            entry.last_run_id is not None and position[entry.last_run_id],
        )
    for key in ASSETS:
        said[f"{key} partitions"] = log.get_materialized_partitions(key)
        statuses = instance.get_status_by_partition(key, KEYS[:48], HOURS) or {}
        said[f"{key} status by partition"] = {
            hour: str(status) for hour, status in statuses.items() if status
        }
        said[f"{key} tags by partition"] = log.get_latest_tags_by_partition(
            key, DagsterEventType.ASSET_MATERIALIZATION, ["dagster/data_version"]
        )
        said[f"{key} event tags"] = Counter(
            str(sorted(tags.items())) for tags in log.get_event_tags_for_asset(key)
        )
        said[f"{key} planned"] = set(
            log.get_latest_storage_id_by_partition(key, DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
        )
        unfinished = log.get_latest_asset_partition_materialization_attempts_without_materializations(key)
        said[f"{key} attempts without result"] = {
            partition: position[run_id] for partition, (run_id, _) in unfinished.items()
        }
        materializations = instance.fetch_materializations(key, limit=1000).records
        said[f"{key} materializations"] = [
            (position[record.run_id], record.partition_key, _content(record.asset_materialization))
            for record in materializations
        ]
        partition_of_id |= {record.storage_id: record.partition_key for record in materializations}
        said[f"{key} observations"] = [
            (record.partition_key, record.event_log_entry.asset_observation)
            for record in instance.fetch_observations(key, limit=1000).records
        ]
    for check in CHECKS:
        said[f"{check} records"] = [
            (
                position[record.run_id],
                record.status.value,
                record.partition,
                record.event and record.event.get_dagster_event().event_type_value,
                _target(record, partition_of_id),
            )
            for record in log.get_asset_check_execution_history(check, limit=1000)
            if record.status.value != "PLANNED"  # the one thing that is kept otherwise
        ]
    said["run status changes"] = [
        position[record.run_id]
        for record in instance.fetch_run_status_changes(DagsterEventType.RUN_SUCCESS, limit=100).records
    ]
    return said


def _content(materialization: Any) -> Any:
    tags = {
        tag: value
        for tag, value in materialization.tags.items()
        if not tag.startswith("dagster/input_event_pointer")  # a row id
    }
    return materialization.partition, dict(materialization.metadata), tags


def _stats(instance: dg.DagsterInstance, run_id: str) -> tuple[int, int, int]:
    stats: Any = instance.get_run_stats(run_id)
    return stats.steps_succeeded, stats.steps_failed, stats.materializations


def _target(record: Any, partition_of_id: dict[int, str | None]) -> str | None:
    if record.status.value not in ("SUCCEEDED", "FAILED"):
        return None
    evaluation = record.event.get_dagster_event().asset_check_evaluation_data
    target = evaluation.target_materialization_data
    return target and (target.storage_id in partition_of_id, partition_of_id.get(target.storage_id))


if __name__ == "__main__":
    home, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with dg.DagsterInstance.from_config(home) as own_instance:
        sys.exit(0 if ranged_run(own_instance, first, count) else 1)
