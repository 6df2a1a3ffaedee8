"""Runs whose process is killed, or that are terminated, under a real daemon: they end, and the queue goes on.

Code server and daemon are processes of their own, as in deploy/compose.yaml; the code server is started again when it
dies, as a container is.
"""

import os
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from unittest import mock

import dagster as dg
import pytest

from streaming_assets.automation.backfill import backfill
from streaming_assets.definitions import build_defs
from streaming_assets.lake.names import HOUR
from streaming_assets.local.plan import program
from streaming_assets_tests.integration.dagster_system import PATIENCE, DagsterSystem
from streaming_assets_tests.integration.sink_processes import wait_until
from streaming_assets_tests.marked import kill, marked

# One system serves all tests of the module, so they stay on one worker.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("dead_runs")]

A_MINUTE = 60  # s, in which a dead run is ended


class System(DagsterSystem):
    """Code server and daemon on a home whose tables are there."""

    def start(self) -> None:
        """Start all, with the reference read and the tables there."""
        self.start_code_server()
        hour = self.next_hour()
        with mock.patch.dict(os.environ):
            assert backfill(hour, hour + HOUR, self.place.settings, build_defs) == []
        self.wait_for_code_server()
        self.start_daemon()


def backfill_of(hour: datetime) -> tuple[str, ...]:
    return program("streaming-assets", "backfill", hour.isoformat(), (hour + HOUR).isoformat())


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, parsed_project: Path) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("dead"))
    try:
        system.place.put_parsed(parsed_project)
        system.start()
        yield system
    finally:
        system.end()


def test_a_killed_backfill_of_a_shell_is_ended_and_the_queue_goes_on(system: System) -> None:
    hour, waiting = system.next_hour(), system.next_hour()
    with system.place.warehouse.exclusive():  # whoever wants to write waits here
        system.spawn(backfill_of(hour))
        run = system.wait_for_run(hour, dg.DagsterRunStatus.STARTED)
        pid = system.wait_for_sign(run)
        system.put(waiting)
        queued = system.wait_for_run(waiting, dg.DagsterRunStatus.QUEUED)
        kill(pid)
        took = system.seconds_until_ended(run, time.monotonic())
    assert system.status(run) == dg.DagsterRunStatus.FAILURE
    assert took < A_MINUTE
    print(f"from a shell's kill -9 to the end of its run: {took:.1f} s")
    wait_until(
        lambda: system.status(queued) == dg.DagsterRunStatus.SUCCESS, "the next run succeeds", PATIENCE
    )
    system.wait_for_run(hour, dg.DagsterRunStatus.SUCCESS)  # asked for by the sensor


def test_a_dead_code_servers_run_is_ended_and_its_hours_are_run_again(system: System) -> None:
    hour = system.next_hour()
    with system.place.warehouse.exclusive():
        system.put(hour)
        run = system.wait_for_run(hour, dg.DagsterRunStatus.STARTED)
        pid = system.wait_for_sign(run)
        for process in (system.code_server.pid, pid):  # as a container that is out of memory
            os.kill(process, signal.SIGKILL)
        system.code_server.wait()
        since = time.monotonic()
        system.start_code_server()
        took = system.seconds_until_ended(run, since)
    assert system.status(run) == dg.DagsterRunStatus.FAILURE
    assert took < A_MINUTE
    print(f"from a code server's kill -9 to the end of its run: {took:.1f} s")
    again = system.wait_for_run(hour, dg.DagsterRunStatus.SUCCESS)
    assert again.run_id != run.run_id


def test_a_run_outlives_its_code_server_and_a_shells_run_is_terminated_meanwhile(system: System) -> None:
    hour, of_shell = system.next_hour(), system.next_hour()
    with system.place.warehouse.exclusive():
        system.put(hour)
        run = system.wait_for_run(hour, dg.DagsterRunStatus.STARTED)
        pid = system.wait_for_sign(run)
        os.kill(system.code_server.pid, signal.SIGKILL)
        system.code_server.wait()
        gone = time.monotonic()
        system.start_code_server()

        shell = system.spawn(backfill_of(of_shell))
        terminated = system.wait_for_run(of_shell, dg.DagsterRunStatus.STARTED)
        system.wait_for_sign(terminated)
        assert system.instance.run_launcher.terminate(terminated.run_id)
        assert shell.wait(A_MINUTE) == 130
        assert system.status(terminated) == dg.DagsterRunStatus.CANCELED
        assert "backfill: cancelled; every table is whole" in system.log()

        time.sleep(max(0, gone + A_MINUTE - time.monotonic()))
        assert system.status(run) == dg.DagsterRunStatus.STARTED
        assert pid in marked(system.marker)
    wait_until(lambda: system.status(run) == dg.DagsterRunStatus.SUCCESS, "the run succeeds", PATIENCE)


def test_a_run_whose_code_server_is_gone_can_be_terminated(system: System) -> None:
    hour = system.next_hour()
    with system.place.warehouse.exclusive():
        system.put(hour)
        run = system.wait_for_run(hour, dg.DagsterRunStatus.STARTED)
        system.wait_for_sign(run)
        os.kill(system.code_server.pid, signal.SIGKILL)
        system.code_server.wait()
        assert system.instance.run_launcher.terminate(run.run_id)
        took = system.seconds_until_ended(run, time.monotonic())
        system.start_code_server()
    assert system.status(run) == dg.DagsterRunStatus.CANCELED
    assert took < A_MINUTE / 2
