"""A run whose process was killed is marked as failed; one that lives is not."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.tags import GRPC_INFO_TAG

from streaming_assets.resources.orphaned_runs import fail_orphaned_runs, tags_of_own_run
from streaming_assets.settings import Settings, load_settings


@dg.job
def nothing() -> None: ...


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("STREAMING_ASSETS_HOME", str(tmp_path))
    return load_settings()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def started(instance: dg.DagsterInstance, tags: dict[str, str]) -> str:
    run = instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED, tags=tags)
    return run.run_id


def status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_a_run_of_this_process_is_alive_as_long_as_it_says(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    with tags_of_own_run(settings) as tags:
        run_id = started(instance, tags)
        assert fail_orphaned_runs(instance, settings) == []
    assert fail_orphaned_runs(instance, settings) == [run_id]
    assert status(instance, run_id) == dg.DagsterRunStatus.FAILURE


@pytest.mark.integration
def test_a_killed_process_leaves_an_orphan(instance: dg.DagsterInstance, settings: Settings) -> None:
    program = """
from streaming_assets.resources.orphaned_runs import tags_of_own_run
from streaming_assets.settings import load_settings
import json, time
with tags_of_own_run(load_settings()) as tags:
    print(json.dumps(tags), flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        run_id = started(instance, json.loads(process.stdout.readline()))
        assert fail_orphaned_runs(instance, settings) == []
        process.kill()
    assert fail_orphaned_runs(instance, settings) == [run_id]
    assert list((settings.dagster_home / "running").iterdir()) == []


def test_a_code_server_that_is_gone_leaves_orphans(
    instance: dg.DagsterInstance, settings: Settings, tmp_path: Path
) -> None:
    address = json.dumps({"host": "localhost", "socket": str(tmp_path / "gone")})
    run_id = started(instance, {GRPC_INFO_TAG: address})
    assert fail_orphaned_runs(instance, settings) == [run_id]


def test_what_nothing_tells_of_is_left_alone(instance: dg.DagsterInstance, settings: Settings) -> None:
    run_id = started(instance, {})
    waiting = instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.NOT_STARTED).run_id
    assert fail_orphaned_runs(instance, settings) == []
    assert status(instance, run_id) == dg.DagsterRunStatus.STARTED
    assert status(instance, waiting) == dg.DagsterRunStatus.NOT_STARTED
