"""Runs that a code server forks: they are as those that it starts anew, and where it can't fork it does that."""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.compute_log_manager import ComputeIOType
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.server import CLEANUP_TICK
from dagster._grpc.types import CancelExecutionRequest

from streaming_assets.dagster_runtime.warm_runs import _RunContext, _Template
from streaming_assets.local.plan import program
from streaming_assets.settings import PROJECT_ROOT
from streaming_assets_tests.dagster_runtime import forked_graph
from streaming_assets_tests.integration.dagster_system import free_ports
from streaming_assets_tests.integration.sink_processes import wait_until
from streaming_assets_tests.marked import MARK, end_marked, kill, marked

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere runs are not forked"),
    pytest.mark.xdist_group("warm_runs"),  # one server serves all
]

PATIENCE = 60.0  # s; for a machine that is busy with other things


class Server:
    """A code server of forked_graph.py, and its instance."""

    def __init__(self, folder: Path) -> None:
        (self.port,) = free_ports(1)
        self.folder = folder
        self.marker = f"forked-{os.getpid()}"
        self.instance = dg.DagsterInstance.local_temp(str(folder))
        location = ("--module-name", forked_graph.__name__, "--port", str(self.port))
        with open(folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                program("dagster", "api", "grpc", *location),
                env={**os.environ, MARK: self.marker, "DAGSTER_HOME": str(folder)},
                cwd=PROJECT_ROOT,
                stdout=log,
                stderr=log,
            )
        self.client = DagsterGrpcClient(port=self.port)
        wait_until(self._answers, "the code server answers", PATIENCE)

    def _answers(self) -> bool:
        with suppress(DagsterUserCodeUnreachableError):
            return bool(self.client.ping("anyone"))
        return False

    def launch(self) -> tuple[dg.DagsterRun, dict[str, Any]]:
        """A run that has begun, and what it tells."""
        told = self.folder / "told"
        told.unlink(missing_ok=True)
        (self.folder / "until").unlink(missing_ok=True)
        location = GrpcServerCodeLocationOrigin("localhost", port=self.port, location_name="it")
        origin = RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), "telling")
        job = forked_graph.defs.resolve_job_def("telling")
        run = self.instance.create_run_for_job(job, remote_job_origin=origin)
        dg.DefaultRunLauncher.launch_run_from_grpc_client(self.instance, run, self.client)
        wait_until(told.exists, f"the run has begun: {(self.folder / 'log').read_text()}", PATIENCE)
        return run, json.loads(told.read_text())

    def let_end(self) -> None:
        (self.folder / "until").touch()

    def template(self) -> int:
        return min(marked(self.marker, "forkserver"))

    def wait_for(self, run: dg.DagsterRun, status: dg.DagsterRunStatus) -> None:
        def found() -> bool:
            now = self.instance.get_run_by_id(run.run_id)
            return now is not None and now.status == status

        wait_until(found, f"the run is {status.value}", PATIENCE)

    def messages(self, run: dg.DagsterRun) -> str:
        return "\n".join(entry.message for entry in self.instance.all_logs(run.run_id))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("forked"))
    try:
        yield server
    finally:
        end_marked(server.marker)
        server.instance.dispose()


def test_a_forked_run_is_as_one_that_is_started_anew(server: Server) -> None:
    forked, told = server.launch()
    assert told["is_forked"]
    server.let_end()
    server.wait_for(forked, dg.DagsterRunStatus.SUCCESS)
    logs = server.instance.compute_log_manager
    assert isinstance(logs, LocalComputeLogManager)
    (kept,) = logs.get_log_keys_for_log_key_prefix([forked.run_id, "compute_logs"], ComputeIOType.STDOUT)
    captured = logs.get_captured_local_path(kept, "out")
    assert captured is not None
    assert "said by the run" in Path(captured).read_text()

    file = forked_graph.__file__
    changed = os.stat(file).st_mtime_ns
    os.utime(file)  # what the template has loaded is not what is there now
    try:
        anew, told_anew = server.launch()
    finally:
        os.utime(file, ns=(changed, changed))
    assert not told_anew["is_forked"]
    assert told["process"] == told_anew["process"]
    server.let_end()
    server.wait_for(anew, dg.DagsterRunStatus.SUCCESS)


def test_a_forked_run_is_cancelled_and_its_death_is_told(server: Server) -> None:
    cancelled, _ = server.launch()
    server.instance.report_run_canceling(cancelled)
    server.client.cancel_execution(CancelExecutionRequest(run_id=cancelled.run_id))
    server.wait_for(cancelled, dg.DagsterRunStatus.CANCELED)
    dead, told = server.launch()
    kill(told["pid"])
    server.wait_for(dead, dg.DagsterRunStatus.FAILURE)
    assert "terminated by signal 9 (SIGKILL)" in server.messages(dead)


def test_a_run_outlives_its_template_and_the_next_has_another(server: Server) -> None:
    run, told = server.launch()
    template = server.template()
    kill(template)
    wait_until(lambda: template not in marked(server.marker), "the template is gone", PATIENCE)
    time.sleep(2 * CLEANUP_TICK)  # the code server looks at its runs meanwhile
    assert told["pid"] in marked(server.marker)
    server.let_end()
    server.wait_for(run, dg.DagsterRunStatus.SUCCESS)
    _, told = server.launch()
    assert told["is_forked"]
    assert server.template() != template
    server.let_end()


def test_the_template_ends_with_its_code_server_and_the_last_run(server: Server) -> None:
    run, _ = server.launch()
    server.process.kill()
    server.process.wait()
    server.let_end()
    server.wait_for(run, dg.DagsterRunStatus.SUCCESS)
    wait_until(lambda: not marked(server.marker, "forkserver"), "nothing is left", PATIENCE)


def test_a_template_that_dies_while_it_is_looked_at_is_looked_at_once_more(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seen = iter([False, True, False, False])
    monkeypatch.setattr(_Template, "_start", lambda self: None)
    monkeypatch.setattr(_Template, "_look", lambda self: setattr(self, "_is_seen", next(seen)))
    template = _Template("any", logging.getLogger("code server"))
    assert template.is_ready()
    assert not caplog.records
    assert not template.is_ready()
    assert not template.is_ready(), "nor later"
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.fixture
def own_forkserver(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server of forks for this test alone: commands.py has this process's, with other modules."""
    server: Any = forkserver.ForkServer()
    for name in ("ensure_running", "get_inherited_fds", "connect_to_new_process", "set_forkserver_preload"):
        monkeypatch.setattr(forkserver, name, getattr(server, name))
    yield
    server._stop()


@pytest.mark.usefixtures("own_forkserver")
def test_where_none_can_be_forked_runs_start_anew_with_one_warning(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    name = "streaming_assets_tests.dagster_runtime.broken_template"
    context = _RunContext(_Template(name, logging.getLogger("code server")))
    assert [type(context.Process()) for _ in range(2)] == [SpawnProcess, SpawnProcess]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "has 2 threads, so no run can be forked from it" in capfd.readouterr().err
