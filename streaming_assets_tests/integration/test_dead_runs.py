"""Runs whose process is killed, or that are terminated, under a real daemon: they end, and the queue goes on.

Code server and daemon are processes of their own, as in deploy/compose.yaml; the code server is started again when it
dies, as a container is.
"""

import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from streaming_assets.dagster_runtime.instance import dagster_environment, prepare_dagster_home
from streaming_assets.dagster_runtime.runs import span_of
from streaming_assets.dagster_runtime.signs_of_life import Sign, folder_of_signs, sign_of
from streaming_assets.lake.names import HOUR, floor_hour
from streaming_assets.local.plan import program
from streaming_assets.settings import PROJECT_ROOT
from streaming_assets_tests.graph import Place, listen
from streaming_assets_tests.integration.sink_processes import wait_until
from streaming_assets_tests.integration.test_graph_dev import free_ports
from streaming_assets_tests.marked import MARK, end_marked, kill, marked

# One system serves all tests of the module, so they stay on one worker.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("dead_runs")]

PATIENCE = 300  # s; for a machine that is busy with other things
A_MINUTE = 60  # s, in which a dead run is ended
HOURLY = dg.RunsFilter(job_name="hourly")
FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


class System:
    """Code server and daemon on a home of their own; the hours of runs go back from the present one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.marker = uuid.uuid4().hex
        self.place = Place(folder / "home", warehouse_lock_timeout_seconds=PATIENCE)
        prepare_dagster_home(self.place.settings)
        self.instance = dg.DagsterInstance.from_config(str(self.place.settings.dagster_home))
        (self.port,) = free_ports(1)
        self.environment = {
            **{n: v for n, v in os.environ.items() if not n.startswith(("STREAMING_ASSETS_", "DAGSTER_"))},
            **dagster_environment(self.place.settings),
            "STREAMING_ASSETS_WAREHOUSE_LOCK_TIMEOUT_SECONDS": str(PATIENCE),
            MARK: self.marker,
        }
        self.workspace = folder / "workspace.yaml"
        server = f"{{host: localhost, port: {self.port}, location_name: streaming_assets}}"
        self.workspace.write_text(f"load_from: [{{grpc_server: {server}}}]\n")
        self._hour = floor_hour(datetime.now(UTC))

    def start(self) -> None:
        """Start all, with the reference read and the tables there."""
        self.start_code_server()
        hour = self.next_hour()
        assert self.spawn(backfill_of(hour)).wait(PATIENCE) == 0, self.log()
        wait_until(self._is_code_server_up, "the code server answers", PATIENCE)
        self.spawn(program("dagster-daemon", "run", "--workspace", str(self.workspace)))

    def start_code_server(self) -> None:
        module = ("--module-name", "streaming_assets.definitions")
        self.code_server = self.spawn(program("dagster", "api", "grpc", "--port", str(self.port), *module))

    def spawn(self, command: tuple[str, ...]) -> "subprocess.Popen[bytes]":
        with open(self.folder / "log", "ab") as log:
            return subprocess.Popen(
                command, env=self.environment, cwd=PROJECT_ROOT, stdout=log, stderr=subprocess.STDOUT
            )

    def _is_code_server_up(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def next_hour(self) -> datetime:
        """An hour that nothing was done with yet; the sensor asks for it after `put`."""
        self._hour -= HOUR
        return self._hour

    def put(self, hour: datetime) -> None:
        self.place.put("listen_events", hour, [listen(hour)])

    def runs_of(self, hour: datetime) -> list[dg.DagsterRun]:
        """Its runs of the hourly job, the newest first."""
        found = self.instance.get_runs(HOURLY)
        return [run for run in found if (span := span_of(run)) and span[0] <= hour < span[1]]

    def wait_for_run(self, hour: datetime, status: dg.DagsterRunStatus) -> dg.DagsterRun:
        def found() -> list[dg.DagsterRun]:
            return [run for run in self.runs_of(hour) if run.status == status]

        wait_until(found, f"a run of {hour} is {status.value}, {self.log()}", PATIENCE)
        return found()[0]

    def wait_for_sign(self, run: dg.DagsterRun) -> int:
        """The process id of whoever executes the run."""
        folder = folder_of_signs(self.instance.root_directory)
        wait_until(lambda: sign_of(folder, run.run_id)[0] is Sign.HELD, "the run gives its sign", PATIENCE)
        return int(sign_of(folder, run.run_id)[1].split()[1])

    def logs(self, run: dg.DagsterRun, kind: dg.DagsterEventType | None = None) -> list[dg.EventLogEntry]:
        return list(self.instance.all_logs(run.run_id, of_type=kind))

    def status(self, run: dg.DagsterRun) -> dg.DagsterRunStatus:
        found = self.instance.get_run_by_id(run.run_id)
        assert found is not None
        return found.status

    def seconds_until_ended(self, run: dg.DagsterRun, since: float) -> float:
        wait_until(lambda: self.status(run) in FINISHED, "the dead run is ended", PATIENCE)
        return time.monotonic() - since

    def log(self) -> str:
        return (self.folder / "log").read_text()[-4000:]

    def end(self) -> None:
        end_marked(self.marker)
        self.instance.dispose()
        self.place.close()


def backfill_of(hour: datetime) -> tuple[str, ...]:
    return program("streaming-assets", "backfill", hour.isoformat(), (hour + HOUR).isoformat())


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("dead"))
    try:
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


def test_a_run_outlives_its_code_server(system: System) -> None:
    hour = system.next_hour()
    with system.place.warehouse.exclusive():
        system.put(hour)
        run = system.wait_for_run(hour, dg.DagsterRunStatus.STARTED)
        pid = system.wait_for_sign(run)
        os.kill(system.code_server.pid, signal.SIGKILL)
        system.code_server.wait()
        system.start_code_server()
        time.sleep(A_MINUTE)
        assert system.status(run) == dg.DagsterRunStatus.STARTED
        assert pid in marked(system.marker)
    wait_until(lambda: system.status(run) == dg.DagsterRunStatus.SUCCESS, "the run succeeds", PATIENCE)


def test_terminating_a_run_ends_dbt_within_seconds(system: System) -> None:
    hour = system.next_hour()
    system.put(hour)

    def runs_in_dbt() -> list[dg.DagsterRun]:
        begun = [run for run in system.runs_of(hour) if run.status == dg.DagsterRunStatus.STARTED]
        return [run for run in begun if any("dbt: hours" in entry.message for entry in system.logs(run))]

    wait_until(runs_in_dbt, "dbt has begun", PATIENCE, every=0.1)
    (run,) = runs_in_dbt()
    begun = time.monotonic()
    assert system.instance.run_launcher.terminate(run.run_id)
    took = system.seconds_until_ended(run, begun)
    assert system.status(run) == dg.DagsterRunStatus.CANCELED
    assert took < A_MINUTE / 2
    print(f"from Terminate in dbt to the end of the run: {took:.1f} s")
    steps = {entry.dagster_event.step_key for entry in system.logs(run, dg.DagsterEventType.STEP_SUCCESS)}
    assert "warehouse_models" not in steps
    assert system.spawn(backfill_of(hour)).wait(PATIENCE) == 0, system.log()
    counted = (
        f"select count(*) from fact_listen_events where bucket_ingestion_datetime = '{hour:%Y-%m-%d %H:%M}'"
    )
    assert system.place.warehouse.rows(counted) == [(1,)]


def test_terminating_a_shells_run_ends_the_shell(system: System) -> None:
    hour = system.next_hour()
    with system.place.warehouse.exclusive():
        shell = system.spawn(backfill_of(hour))
        run = system.wait_for_run(hour, dg.DagsterRunStatus.STARTED)
        system.wait_for_sign(run)
        assert system.instance.run_launcher.terminate(run.run_id)
        assert shell.wait(A_MINUTE) == 130
    assert system.status(run) == dg.DagsterRunStatus.CANCELED
    assert "backfill: cancelled; every table is whole" in system.log()


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
