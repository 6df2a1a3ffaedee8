"""Which run counts as dead, from its sign of life and the word of the code server that launched it."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._daemon.monitoring import execute_run_monitoring_iteration
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import CanCancelExecutionResult
from dagster._serdes import serialize_value

from streaming_assets.dagster_runtime.instance import prepare_dagster_home
from streaming_assets.dagster_runtime.run_launcher import GRACE_SECONDS, WatchfulRunLauncher
from streaming_assets.dagster_runtime.run_process import attended, attended_in_process_executor
from streaming_assets.dagster_runtime.signs_of_life import Sign, folder_of_signs, sign_of
from streaming_assets.settings import load_settings

pytestmark = pytest.mark.contract

STARTING, STARTED = dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED


@dg.job
def nothing() -> None: ...


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("STREAMING_ASSETS_HOME", str(tmp_path))
    with dg.DagsterInstance.from_config(str(prepare_dagster_home(load_settings()))) as instance:
        yield instance


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def launcher(instance: dg.DagsterInstance, clock: Clock) -> WatchfulRunLauncher:
    launcher = instance.run_launcher
    assert isinstance(launcher, WatchfulRunLauncher)
    launcher._clock = clock
    return launcher


def a_run(
    instance: dg.DagsterInstance, tags: dict[str, str] | None = None, status: dg.DagsterRunStatus = STARTED
) -> dg.DagsterRun:
    return instance.create_run_for_job(nothing, status=status, tags=tags)


def by_server(tmp_path: Path) -> dict[str, str]:
    return {GRPC_INFO_TAG: json.dumps({"host": "localhost", "socket": str(tmp_path / "gone")})}


def leave_sign(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    folder = folder_of_signs(instance.root_directory)
    folder.mkdir(exist_ok=True)
    (folder / run.run_id).write_text("process 7 on a-machine")  # nobody holds it


def monitor(instance: dg.DagsterInstance) -> None:
    """What the daemon does each time."""
    process = type("Process", (), {"instance": instance, "create_request_context": lambda _: None})()
    errors = [
        error for error in execute_run_monitoring_iteration(process, logging.getLogger("monitor")) if error
    ]
    assert errors == []


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def test_monitoring_ends_a_run_whose_process_left_its_sign_and_no_other(
    instance: dg.DagsterInstance, launcher: WatchfulRunLauncher
) -> None:
    dead, lives, unknown = a_run(instance), a_run(instance), a_run(instance)
    waiting = a_run(instance, status=dg.DagsterRunStatus.NOT_STARTED)
    leave_sign(instance, dead)
    with attended(instance, lives.run_id):
        monitor(instance)
        assert status(instance, dead) == dg.DagsterRunStatus.FAILURE
        assert [status(instance, run) for run in (lives, unknown)] == [STARTED, STARTED]
        assert status(instance, waiting) == dg.DagsterRunStatus.NOT_STARTED
    (event,) = instance.all_logs(dead.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    assert "process 7 on a-machine, which executed this run, is gone" in event.message
    launcher.forget_finished_runs()
    folder = folder_of_signs(instance.root_directory)
    assert sign_of(folder, dead.run_id)[0] is Sign.ABSENT


def test_the_sign_of_a_run_that_is_not_ended_yet_stays(
    instance: dg.DagsterInstance, launcher: WatchfulRunLauncher
) -> None:
    run = a_run(instance)
    leave_sign(instance, run)
    launcher.forget_finished_runs()
    assert launcher.check_run_worker_health(run).status == WorkerStatus.FAILED


def test_a_code_server_that_is_gone_has_a_moment_to_come_back(
    instance: dg.DagsterInstance, launcher: WatchfulRunLauncher, clock: Clock, tmp_path: Path
) -> None:
    run = a_run(instance, by_server(tmp_path))
    assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
    clock.now += GRACE_SECONDS
    health = launcher.check_run_worker_health(run)
    assert health.status == WorkerStatus.NOT_FOUND
    assert health.msg == "the code server that launched this run does not answer"


@pytest.mark.parametrize(("has_it", "after"), [(True, WorkerStatus.RUNNING), (False, WorkerStatus.NOT_FOUND)])
def test_where_no_sign_is_seen_the_code_server_is_asked(
    instance: dg.DagsterInstance,
    launcher: WatchfulRunLauncher,
    clock: Clock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    has_it: bool,
    after: WorkerStatus,
) -> None:
    answer = serialize_value(CanCancelExecutionResult(can_cancel=has_it))
    monkeypatch.setattr(DagsterGrpcClient, "can_cancel_execution", lambda *_, **__: answer)
    run = a_run(instance, by_server(tmp_path))
    assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
    clock.now += GRACE_SECONDS
    assert launcher.check_run_worker_health(run).status == after


def test_a_run_whose_code_server_is_gone_lives_as_long_as_its_process(
    instance: dg.DagsterInstance, launcher: WatchfulRunLauncher, clock: Clock, tmp_path: Path
) -> None:
    run = a_run(instance, by_server(tmp_path))
    with attended(instance, run.run_id):
        for _ in range(3):
            clock.now += GRACE_SECONDS
            assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING


def test_a_run_that_dies_before_it_begins_is_ended_long_before_the_timeout(
    instance: dg.DagsterInstance, launcher: WatchfulRunLauncher, clock: Clock, tmp_path: Path
) -> None:
    run, just_now = a_run(instance, by_server(tmp_path), STARTING), a_run(instance, status=STARTING)
    launcher.end_unborn_runs()
    assert status(instance, run) == STARTING
    clock.now += GRACE_SECONDS
    launcher.end_unborn_runs()
    assert status(instance, run) == dg.DagsterRunStatus.FAILURE
    assert status(instance, just_now) == STARTING


def test_a_shells_run_whose_process_died_before_it_began_is_ended(
    instance: dg.DagsterInstance, launcher: WatchfulRunLauncher
) -> None:
    dead, about_to_begin = (a_run(instance, status=dg.DagsterRunStatus.NOT_STARTED) for _ in range(2))
    leave_sign(instance, dead)
    launcher.end_unborn_runs()
    assert status(instance, dead) == dg.DagsterRunStatus.FAILURE
    assert status(instance, about_to_begin) == dg.DagsterRunStatus.NOT_STARTED


def test_each_run_of_the_graph_gives_its_sign(instance: dg.DagsterInstance) -> None:
    with dg.execute_job(dg.reconstructable(_looking), instance) as result:
        assert result.success, "its sign was seen"
    assert list(folder_of_signs(instance.root_directory).iterdir()) == []


@dg.op
def look(context: dg.OpExecutionContext) -> None:
    assert sign_of(folder_of_signs(context.instance.root_directory), context.run_id)[0] is Sign.HELD


def _looking() -> dg.JobDefinition:
    @dg.job(executor_def=attended_in_process_executor)
    def looking() -> None:
        look()

    return looking
