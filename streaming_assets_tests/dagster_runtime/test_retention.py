"""What leaves Dagster's log when it comes of age, and that nothing Dagster says of assets, hours and checks changes."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqlEventLogStorage

from streaming_assets.automation.retention import build_retention_sensor
from streaming_assets.dagster_runtime.event_log import BatchedSqliteEventLogStorage
from streaming_assets.dagster_runtime.event_log_postgres import BatchedPostgresEventLogStorage
from streaming_assets.dagster_runtime.instance import prepare_dagster_home
from streaming_assets.dagster_runtime.retention import Deleted, Progress, prune
from streaming_assets.settings import Settings

HOURS = dg.HourlyPartitionsDefinition("2025-01-01-00:00", end_date="2025-01-02-00:00")
KEYS = [f"2025-01-01-{hour:02}:00" for hour in range(24)]
POLICY = dg.BackfillPolicy.single_run()
EARLIER, LATER = timedelta(days=-1), timedelta(days=1)


class Breakdown(Exception):
    pass


@dg.asset(partitions_def=HOURS, backfill_policy=POLICY)
def by_hour(context: dg.AssetExecutionContext) -> None:
    if context.run.tags.get("breaks"):
        raise Breakdown


@dg.asset(deps=[by_hour], partitions_def=HOURS, backfill_policy=POLICY)
def behind() -> None: ...


@dg.asset
def whole() -> None: ...


@dg.asset_check(asset=whole)
def sound() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


DEFS = dg.Definitions(
    [by_hour, behind, whole],
    asset_checks=[sound],
    jobs=[dg.define_asset_job("hourly", [by_hour, behind], partitions_def=HOURS)],
)

pytestmark = pytest.mark.contract


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    home = prepare_dagster_home(Settings(home=tmp_path))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert isinstance(instance.event_log_storage, BatchedSqliteEventLogStorage)
        yield instance


def run_hours(instance: dg.DagsterInstance, first: int, last: int, **tags: str) -> str:
    bounds = {
        "dagster/asset_partition_range_start": KEYS[first],
        "dagster/asset_partition_range_end": KEYS[last],
    }
    job = DEFS.resolve_job_def("hourly")
    return job.execute_in_process(instance=instance, tags=bounds | tags, raise_on_error=False).run_id


def run_whole(instance: dg.DagsterInstance) -> str:
    return dg.materialize([whole, sound], instance=instance).run_id


def arrive(instance: dg.DagsterInstance) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization("arrived", partition=KEYS[0]))
    instance.report_runless_asset_event(dg.AssetObservation("watched"))


def prune_all(instance: dg.DagsterInstance, age: timedelta, progress: Progress) -> tuple[Progress, Deleted]:
    """Until nothing is left to look at; `age` moves the moment before which all is old."""
    total = Deleted()
    while True:
        after, deleted = prune(instance, progress, datetime.now(UTC) + age)
        total += deleted
        if after == progress:
            return progress, total
        progress = after


def known(instance: dg.DagsterInstance) -> dict[str, Any]:
    """What Dagster's pages say of assets, partitions and checks."""
    storage = instance.event_log_storage
    said: dict[str, Any] = {}
    for key in [by_hour.key, behind.key, whole.key, dg.AssetKey("arrived"), dg.AssetKey("watched")]:
        (record,) = instance.get_asset_records([key])
        newest = storage.get_latest_storage_id_by_partition(key, dg.DagsterEventType.ASSET_MATERIALIZATION)
        said[key.to_user_string()] = (
            newest,
            sorted(instance.get_materialized_partitions(key)),
            storage.get_latest_asset_partition_materialization_attempts_without_materializations(key),
            record.asset_entry.last_materialization_storage_id,
            record.asset_entry.last_run_id,
            instance.get_latest_materialization_event(key),
        )
    said["check"] = [
        (found.status, found.run_id, found.event)
        for found in storage.get_latest_asset_check_execution_by_key([sound.check_key]).values()
    ]
    return said


def rows(instance: dg.DagsterInstance) -> int:
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    with storage.index_connection() as connection:
        tables = ("event_logs", "asset_event_tags", "asset_check_executions")
        return sum(connection.exec_driver_sql(f"select count(*) from {t}").scalar_one() for t in tables)


def a_day(instance: dg.DagsterInstance) -> None:
    run_hours(instance, 0, 5)
    run_hours(instance, 2, 2)
    run_whole(instance)
    arrive(instance)


def test_what_dagster_says_stays_the_same(instance: dg.DagsterInstance) -> None:
    for _ in range(3):
        a_day(instance)
    broken = run_hours(instance, 7, 8, breaks="yes")
    before = known(instance)
    assert prune_all(instance, EARLIER, Progress()) == (Progress(), Deleted())
    _, deleted = prune_all(instance, LATER, Progress())
    assert deleted.events > 100
    assert deleted.verdicts == 2
    assert deleted.runs == 6, "those of the first two days"
    assert known(instance) == before
    assert instance.get_run_by_id(broken), "its hours failed, and nothing came after"
    left = {run.run_id for run in instance.get_runs()}
    logs = Path(instance.storage_directory())
    assert {path.name for path in logs.iterdir()} <= left, "captured output goes with its run"


def test_what_is_run_again_and_again_does_not_grow(instance: dg.DagsterInstance) -> None:
    progress, sizes = Progress(), []
    for _ in range(5):
        a_day(instance)
        progress, _ = prune_all(instance, LATER, progress)
        sizes.append(rows(instance))
    assert sizes == sizes[:1] * 5


def test_a_failed_hour_is_forgotten_when_it_has_succeeded(instance: dg.DagsterInstance) -> None:
    broken = run_hours(instance, 0, 1, breaks="yes")
    progress, _ = prune_all(instance, LATER, Progress())
    assert instance.get_run_by_id(broken)
    run_hours(instance, 0, 0)
    progress, _ = prune_all(instance, LATER, progress)
    assert instance.get_run_by_id(broken), "one of its hours failed last"
    run_hours(instance, 1, 1)
    prune_all(instance, LATER, progress)
    assert instance.get_run_by_id(broken) is None


def test_a_run_that_goes_on_stays(instance: dg.DagsterInstance) -> None:
    job = DEFS.resolve_job_def("hourly")
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    instance.report_engine_event("at work", run)
    prune_all(instance, LATER, Progress())
    assert instance.get_run_by_id(run.run_id)


@pytest.mark.integration
@pytest.mark.xdist_group("postgres")
def test_in_postgresql_the_same_goes(postgres: Callable[[str], str], tmp_path: Path) -> None:
    storage = BatchedPostgresEventLogStorage(postgres("retention"), should_autocreate_tables=True)
    with dg.DagsterInstance.ephemeral(str(tmp_path)) as instance:
        instance._event_storage = storage
        storage.register_instance(instance)
        for _ in range(3):
            a_day(instance)
        before = known(instance)
        _, deleted = prune_all(instance, LATER, Progress())
        assert (deleted.verdicts, deleted.runs) == (2, 6)
        assert known(instance) == before


def test_the_sensor_goes_on_where_it_was(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    a_day(instance)
    a_day(instance)
    sensor = build_retention_sensor(Settings(home=tmp_path, event_retention_hours=1e-9))
    context = dg.build_sensor_context(instance=instance, cursor="no cursor of ours")
    said = sensor(context)
    assert isinstance(said, dg.SkipReason)
    assert "3 runs" in (said.skip_message or "")
    first = context.cursor
    assert Progress.from_json(first).event > 0
    sensor(context)
    assert context.cursor == first


def test_a_retention_of_a_month_on_gcp_and_hours_on_a_laptop(tmp_path: Path) -> None:
    assert Settings(home=tmp_path).dagster.event_retention_hours == 2
    gcp = Settings(home=tmp_path, target="gcp", gcp_project="p", lake_url="gs://b")
    assert gcp.dagster.event_retention_hours == 720
