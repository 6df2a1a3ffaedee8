"""Dagster's processes as deploy/compose.yaml has them, on a home of a test's own: code server, daemon, web server."""

import json
import os
import socket
import subprocess
import time
import urllib.request
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from streaming_assets.dagster_runtime.instance import dagster_environment, prepare_dagster_home
from streaming_assets.dagster_runtime.runs import span_of
from streaming_assets.dagster_runtime.signs_of_life import Sign, folder_of_signs, sign_of
from streaming_assets.lake.names import HOUR, floor_hour
from streaming_assets.local.plan import program
from streaming_assets.settings import PROJECT_ROOT, env_name
from streaming_assets_tests.graph import Place, listen
from streaming_assets_tests.integration.sink_processes import wait_until
from streaming_assets_tests.marked import MARK, end_marked

PATIENCE = 300  # s; for a machine that is busy with other things
HOURLY = dg.RunsFilter(job_name="hourly")
FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


class DagsterSystem:
    """Code server and daemon, and a web server where one is asked for; the hours of runs go back from the present one.

    Args:
        folder: for home, workspace and log.
        settings: by name, of the home and of its processes.
    """

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.marker = uuid.uuid4().hex
        settings = {"warehouse_lock_timeout_seconds": PATIENCE, **settings}
        self.place = Place(folder / "home", **settings)
        prepare_dagster_home(self.place.settings)
        self.instance = dg.DagsterInstance.from_config(str(self.place.settings.dagster_home))
        self.port, self.web_port = free_ports(2)
        self.environment = {
            **{n: v for n, v in os.environ.items() if not n.startswith(("STREAMING_ASSETS_", "DAGSTER_"))},
            **dagster_environment(self.place.settings),
            **{env_name(name): str(value) for name, value in settings.items()},
            MARK: self.marker,
        }
        self.workspace = folder / "workspace.yaml"
        server = f"{{host: localhost, port: {self.port}, location_name: streaming_assets}}"
        self.workspace.write_text(f"load_from: [{{grpc_server: {server}}}]\n")
        self._hour = floor_hour(datetime.now(UTC))

    def start_code_server(self) -> None:
        module = ("--module-name", "streaming_assets.definitions")
        self.code_server = self.spawn(program("dagster", "api", "grpc", "--port", str(self.port), *module))

    def wait_for_code_server(self) -> None:
        wait_until(lambda: _listens(self.port), "the code server answers", PATIENCE)

    def start_daemon(self) -> None:
        self.spawn(program("dagster-daemon", "run", "--workspace", str(self.workspace)))

    def start_web_server(self) -> None:
        """The pages; `ask` waits for nothing, so wait for them."""
        where = ("--workspace", str(self.workspace), "--host", "127.0.0.1", "--port", str(self.web_port))
        self.spawn(program("streaming-assets", "webserver", *where))

    def wait_for_web_server(self) -> None:
        wait_until(lambda: _listens(self.web_port), "the web server answers", PATIENCE)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The answer of the web server to a GraphQL query, which must have no error."""
        return ask(f"{self.address}/graphql", query, **variables)

    def spawn(self, command: tuple[str, ...]) -> "subprocess.Popen[bytes]":
        with open(self.folder / "log", "ab") as log:
            return subprocess.Popen(
                command, env=self.environment, cwd=PROJECT_ROOT, stdout=log, stderr=subprocess.STDOUT
            )

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
        wait_until(lambda: self.status(run) in FINISHED, f"the run is ended, {self.log()}", PATIENCE)
        return time.monotonic() - since

    def log(self) -> str:
        return (self.folder / "log").read_text()[-4000:]

    def end(self) -> None:
        end_marked(self.marker)
        self.instance.dispose()
        self.place.close()


def ask(address: str, query: str, **variables: Any) -> dict[str, Any]:
    """The answer to a GraphQL query, which must have no error."""
    request = urllib.request.Request(
        address,
        json.dumps({"query": query, "variables": variables}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        answer = json.load(response)
    assert "errors" not in answer, answer["errors"]
    return answer["data"]


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for taken in sockets:
            taken.bind(("127.0.0.1", 0))
        return [taken.getsockname()[1] for taken in sockets]
    finally:
        for taken in sockets:
            taken.close()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
