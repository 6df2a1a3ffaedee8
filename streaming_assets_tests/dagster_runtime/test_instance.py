"""The local instance: a home that is ready before anything starts, and a configuration that users may own."""

import threading
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.op_concurrency_limits_counter import GlobalOpConcurrencyLimitsCounter

from streaming_assets.dagster_runtime.event_log import BatchedSqliteEventLogStorage
from streaming_assets.dagster_runtime.instance import (
    WAREHOUSE_POOL,
    dagster_environment,
    prepare_dagster_home,
)
from streaming_assets.dagster_runtime.run_launcher import WatchfulRunLauncher
from streaming_assets.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("STREAMING_ASSETS_HOME", str(tmp_path / "state"))
    return load_settings()


def test_dagster_accepts_the_home(settings: Settings) -> None:
    home = prepare_dagster_home(settings)
    assert home == settings.home / "dagster_home"
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert isinstance(instance.event_log_storage, BatchedSqliteEventLogStorage)
        assert not instance.telemetry_enabled
        assert not instance.run_retries_enabled
        assert instance.run_monitoring_enabled
        assert isinstance(instance.run_launcher, WatchfulRunLauncher)
        assert instance.run_monitoring_poll_interval_seconds <= 20, "a dead run is ended within a minute"
        queue: Any = instance.get_concurrency_config().run_queue_config
        assert queue.max_concurrent_runs == 2
        coordinator: Any = instance.run_coordinator
        assert coordinator.dequeue_interval_seconds == 1
        assert queue.max_user_code_failure_retries * queue.user_code_failure_retry_delay == 300
    made = {path.name for path in home.iterdir()}
    assert {"dagster.yaml", "event_log", "history", "schedules"} <= made  # all state is in the home


def test_a_second_look_changes_nothing(settings: Settings) -> None:
    home = prepare_dagster_home(settings)
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}
    prepare_dagster_home(settings)
    after = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}
    assert {path.name for path in after if before.get(path) != after[path]} <= {".prepare.lock"}


def test_an_outdated_file_of_ours_is_replaced(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from streaming_assets.dagster_runtime import instance

    with monkeypatch.context() as earlier:
        earlier.setattr(instance, "_CONFIG", "telemetry:\n  enabled: false\n")
        config = prepare_dagster_home(settings) / "dagster.yaml"
    outdated = config.read_text()
    prepare_dagster_home(settings)
    assert config.read_text() != outdated
    assert "BatchedSqliteEventLogStorage" in config.read_text()


@pytest.mark.parametrize("first_line_kept", [True, False])
def test_a_users_edits_stay(settings: Settings, first_line_kept: bool) -> None:
    config = prepare_dagster_home(settings) / "dagster.yaml"
    text = config.read_text().replace("max_concurrent_runs: 2", "max_concurrent_runs: 7")
    edited = text if first_line_kept else text.partition("\n")[2]
    config.write_text(edited)
    prepare_dagster_home(settings)
    assert config.read_text() == edited


def test_two_at_once_prepare_one_home(settings: Settings) -> None:
    failures: list[BaseException] = []

    def prepare() -> None:
        try:
            prepare_dagster_home(settings)
        except BaseException as error:
            failures.append(error)

    starters = [threading.Thread(target=prepare) for _ in range(3)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert failures == []
    dg.DagsterInstance.from_config(str(settings.dagster_home)).dispose()


def test_two_runs_never_have_the_warehouse_at_once(settings: Settings) -> None:
    @dg.asset(pool=WAREHOUSE_POOL)
    def writes() -> None: ...

    @dg.asset
    def writes_not() -> None: ...

    definitions = dg.Definitions(
        [writes, writes_not],
        jobs=[
            dg.define_asset_job("all_of_it", selection="*"),
            dg.define_asset_job("other", selection=[writes_not]),
        ],
    )
    with dg.DagsterInstance.from_config(str(prepare_dagster_home(settings))) as instance:
        jobs = ("all_of_it", "all_of_it", "other")
        first, second, other = (instance.create_run_for_job(definitions.resolve_job_def(job)) for job in jobs)
        log = instance.event_log_storage
        # What the daemon builds at its first look at the queue.
        limits = GlobalOpConcurrencyLimitsCounter(
            instance,
            [first, second, other],
            in_progress_run_records=[],
            concurrency_keys=log.get_concurrency_keys(),
            pool_limits=log.get_pool_limits(),
            pool_granularity=instance.get_concurrency_config().pool_config.pool_granularity,
        )
        assert not limits.is_blocked(first)
        limits.update_counters_with_launched_item(first)
        assert limits.is_blocked(second)
        assert not limits.is_blocked(other)


def test_each_process_gets_the_same_instance_and_batches(settings: Settings) -> None:
    environment = dagster_environment(settings)
    assert environment["DAGSTER_HOME"] == str(settings.dagster_home)
    assert environment["STREAMING_ASSETS_HOME"] == str(settings.home)
    assert int(environment["DAGSTER_EVENT_BATCH_SIZE"]) > 24 * 60
