"""The whole local system as `make dev` runs it: real processes on free ports, asked over HTTP, ended by Ctrl-C."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.tags import GRPC_INFO_TAG

from streaming_assets.dagster_runtime.runs import span_tags
from streaming_assets.lake.names import HOUR, ObjectName, floor_hour, parse_object
from streaming_assets.partitions import key_of
from streaming_assets.settings import PROJECT_ROOT
from streaming_assets_tests.graph import Place, listen
from streaming_assets_tests.integration.dagster_system import ask, free_ports
from streaming_assets_tests.integration.sink_processes import wait_until
from streaming_assets_tests.marked import MARK, end_marked, kill, marked

# One system serves all tests of the module, so they stay on one worker.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("graph_dev")]

PATIENCE = 300  # s; for a machine that is busy with other things
FACT = ["core", "fact_listen_events"]

LINEAGE = "{ assetNodes { assetKey { path } dependencyKeys { path } isPartitioned isMaterializable } }"
MATERIALISED = """
query ($path: [String!]!, $keys: [String!]) {
  assetNodeOrError(assetKey: {path: $path}) {
    ... on AssetNode {
      assetMaterializations(partitions: $keys) { runId timestamp }
      partitionStats { numMaterialized numPartitions }
    }
  }
}
"""
UNFINISHED = """
{
  runsOrError(filter: {pipelineName: "hourly", statuses: [QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING]}) {
    ... on Runs { results { runId } }
  }
}
"""
AUTOMATION = """
{
  sensorsOrError(repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "streaming_assets"}) {
    ... on Sensors { results { name sensorState { status } } }
  }
  schedulesOrError(repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "streaming_assets"}) {
    ... on Schedules { results { name scheduleState { status } } }
  }
}
"""


class System:
    """`streaming-assets dev` with a home, ports and a marker of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.marker = uuid.uuid4().hex
        self.dagster_port, self.dashboards_port = free_ports(2)
        self.place = Place(folder / "home")
        self._starts = 0
        # Paths of sockets are short, so not in the test's folder.
        self.scratch = Path(tempfile.mkdtemp(prefix="graph-dev-"))
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("STREAMING_ASSETS_")},
            MARK: self.marker,
            "TMPDIR": str(self.scratch),
            "STREAMING_ASSETS_HOME": str(self.place.settings.home),
            "STREAMING_ASSETS_DAGSTER_PORT": str(self.dagster_port),
            "STREAMING_ASSETS_DASHBOARDS_PORT": str(self.dashboards_port),
            "STREAMING_ASSETS_SIMULATOR_USERS": "4000",
            "STREAMING_ASSETS_SIMULATOR_HISTORY_HOURS": "6",
            "STREAMING_ASSETS_SINK_FLUSH_SECONDS": "2",
        }
        self.environment.pop("DAGSTER_HOME", None)

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def state(self) -> dict[str, Any]:
        return json.loads((self.place.settings.home / "dev.json").read_text())

    def start(self) -> None:
        self._starts += 1
        self._log = self.folder / f"dev-{self._starts}.log"
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "streaming_assets.cli", "dev"],
                env=self.environment,
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

        def is_ready() -> bool:
            assert self._process.poll() is None, self.output
            return "Ready. Ctrl-C ends all of it." in self.output

        wait_until(is_ready, "the system is ready", PATIENCE)

    def interrupt(self) -> int:
        """What Ctrl-C does: SIGINT to the terminal's foreground group, here that of the manager."""
        os.killpg(self._process.pid, signal.SIGINT)
        return self._process.wait(60)

    def get(self, port: int, path: str = "/") -> tuple[int, str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as response:
            return response.status, response.read().decode()

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        return ask(f"http://127.0.0.1:{self.dagster_port}/graphql", query, **variables)

    def materialised(self, path: list[str], hour: datetime) -> list[float]:
        """When the partition was materialised, seconds since 1970, the newest first."""
        node = self.ask(MATERIALISED, path=path, keys=[key_of(hour)])["assetNodeOrError"]
        return [float(found["timestamp"]) / 1000 for found in node["assetMaterializations"]]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of the project, in this home."""
        return _command(self.environment, *arguments)

    def end(self) -> None:
        self.place.close()
        end_marked(self.marker)
        shutil.rmtree(self.scratch)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("dev"))
    try:
        system.start()
        yield system
    finally:
        system.end()


def test_the_addresses_that_it_prints_answer(system: System) -> None:
    assert f"dagster      http://127.0.0.1:{system.dagster_port}" in system.output
    assert f"dashboards   http://127.0.0.1:{system.dashboards_port}" in system.output
    assert system.get(system.dagster_port, "/server_info")[0] == 200
    with pytest.raises(urllib.error.HTTPError, match="405"):  # it is the guarded web server
        system.get(system.dagster_port, "/graphql?query=%7Bversion%7D")
    assert system.get(system.dashboards_port)[0] == 200


def test_the_first_start_makes_history_that_is_in_the_facts(system: System) -> None:
    end = floor_hour(datetime.fromisoformat(system.state["start"])) + 6 * HOUR
    hours = [end - number * HOUR for number in (6, 3, 1)]
    assert all(system.materialised(FACT, hour) for hour in hours)
    assert list(system.place.settings.published_dir.rglob("*.parquet"))


def test_the_partitions_begin_where_the_history_does(system: System) -> None:
    start = datetime.fromisoformat(system.state["start"])
    node = system.ask(MATERIALISED, path=FACT, keys=[])["assetNodeOrError"]
    hours = (floor_hour(datetime.now(UTC)) + HOUR - start) // HOUR
    assert node["partitionStats"]["numPartitions"] in (hours, hours - 1), "an hour may have begun since"
    lines = system.run("settings").stdout.splitlines()
    (line,) = [line for line in lines if "STREAMING_ASSETS_FIRST_HOUR" in line]
    assert str(start) in line
    assert "dev.json" in line, "any command in this home has them, and says why"


def test_the_console_is_quiet_and_the_files_have_what_services_say(system: System) -> None:
    start, _, running = system.output.partition("Ready. Ctrl-C ends all of it.")
    assert "First start: " in start
    assert "Tables of 7 hours: done in" in start
    assert "DEBUG" not in system.output
    assert "SupersessionWarning" not in system.output
    assert len(running.splitlines()) < 10, running
    logs = system.place.settings.logs_dir
    said = {path.stem: path.read_text() for path in logs.glob("*.log")}
    assert set(said) >= {"history", "broker", "sink", "dagster", "dashboards"}
    assert "dbt: hours" in said["history"]
    assert "assigned listen_events[0]" in said["sink"]
    assert "DEBUG" not in said["dagster"], "runs of Dagster's own print no event"


def test_the_process_with_the_definitions_outlives_a_starved_machine(system: System) -> None:
    commands = [Path(f"/proc/{pid}/cmdline").read_text().split("\0") for pid in marked(system.marker)]
    (server,) = [command for command in commands if {"api", "grpc", "--heartbeat"} <= set(command)]
    assert int(server[server.index("--heartbeat-timeout") + 1]) >= 300, "s"


def test_sensors_and_schedules_run(system: System) -> None:
    found = system.ask(AUTOMATION)
    sensors = {s["name"]: s["sensorState"]["status"] for s in found["sensorsOrError"]["results"]}
    schedules = {s["name"]: s["scheduleState"]["status"] for s in found["schedulesOrError"]["results"]}
    assert {"lake_objects", "failed_hours", "freshness"} <= set(sensors)
    assert sensors.pop("alerts") == "STOPPED", "no address is set"
    assert set(sensors.values()) == {"RUNNING"}
    assert schedules == dict.fromkeys(["reconcile", "reference_weekly"], "RUNNING")


def test_lineage_leads_from_the_simulator_to_the_dashboards(system: System) -> None:
    nodes = {tuple(node["assetKey"]["path"]): node for node in system.ask(LINEAGE)["assetNodes"]}
    needs = {key: {tuple(d["path"]) for d in node["dependencyKeys"]} for key, node in nodes.items()}
    assert set().union(*needs.values()) <= set(nodes), "no dependency is outside of the graph"

    def behind(starts: set[tuple[str, ...]]) -> set[tuple[str, ...]]:
        reached, found = set(starts), True
        while found:
            found = {key for key, of_key in needs.items() if of_key & reached} - reached
            reached |= found
        return reached

    references = {("reference", "songs"), ("reference", "locations")}
    assert behind({("source", "simulator")} | references) == set(nodes)
    dashboards = {key for key in nodes if key[0] == "serving"}
    assert ("serving", "dashboard_snapshot") in dashboards
    assert {
        ("serving", f"{name}_dashboard") for name in ("kpi", "music", "listeners", "habits")
    } <= dashboards
    assert dashboards < behind({("source", "simulator")})
    assert dashboards < behind({("reference", "songs")})
    assert {key for key in nodes if not needs[key]} == {("source", "simulator")} | references


def test_an_object_that_arrives_is_soon_in_the_facts(system: System) -> None:
    hour = datetime.fromisoformat(system.state["start"])  # nothing else comes there
    # The sensor's first look, at all of the history, is no measure of how fresh it keeps the facts.
    wait_until(lambda: not system.ask(UNFINISHED)["runsOrError"]["results"], "no run is left", PATIENCE)
    before, begun = time.time(), time.monotonic()

    def is_materialised(path: list[str]) -> bool:
        return max(system.materialised(path, hour), default=0) > before

    system.place.put("listen_events", hour, [listen(hour, user=900_001)], stream_epoch="dropped")
    wait_until(lambda: is_materialised(FACT), "the partition is materialised", PATIENCE)
    took = time.monotonic() - begun
    print(f"from an object's arrival to its materialised partition of fact_listen_events: {took:.1f} s")
    with system.place.warehouse.exclusive():
        counted = "select count(*) from fact_listen_events where user_id = 900001"
        assert system.place.warehouse.rows(counted) == [(1,)]
    for path in (
        ["lake", "listen_events_objects"],
        ["external", "listen_events_ext"],
        ["serving", "dashboard_snapshot"],
    ):
        wait_until(lambda path=path: is_materialised(path), f"{path} is materialised", PATIENCE)


def test_events_of_the_running_simulator_reach_the_facts(system: System) -> None:
    """Simulator, broker, sink, lake, sensor, run: an hour is materialised after the sink's object came into it."""

    def has_live_events() -> bool:
        for path in system.place.lake.stored.root.rglob("*.embedded-*.gz"):
            name = parse_object(str(path.relative_to(system.place.lake.stored.root)))
            if name and max(system.materialised(FACT, name.hour), default=0) > path.stat().st_mtime:
                return True
        return False

    wait_until(has_live_events, "the hour of live events is materialised", PATIENCE)


def test_the_definitions_are_loaded_again_when_their_process_dies(system: System) -> None:
    (gone,) = marked(system.marker, r"dagster api grpc")
    kill(gone)
    wait_until(lambda: "they are loaded again" in system.output, "it is noticed", 90)
    hour = datetime.fromisoformat(system.state["start"]) + HOUR  # nothing else comes there
    before = time.time()

    def is_shown() -> bool:
        found = system.ask(MATERIALISED, path=FACT, keys=[key_of(hour)])
        return "assetMaterializations" in found["assetNodeOrError"]

    wait_until(is_shown, "the pages have the asset again", PATIENCE)
    system.place.put("listen_events", hour, [listen(hour, user=900_003)], stream_epoch="dropped")
    wait_until(
        lambda: max(system.materialised(FACT, hour), default=0) > before, "it is materialised", PATIENCE
    )


def test_a_second_one_with_the_same_home_is_told_who_runs(system: System) -> None:
    result = system.run("dev")
    assert result.returncode == 1
    assert (
        f"dev: process {system._process.pid} already runs with {system.place.settings.home}" in result.stderr
    )


@pytest.mark.parametrize("port", ["dagster_port", "dashboards_port"])
def test_a_taken_port_is_named_with_the_way_out(system: System, tmp_path: Path, port: str) -> None:
    first, second = free_ports(2)
    ports = {"dagster_port": first, "dashboards_port": second, port: getattr(system, port)}
    names = {f"STREAMING_ASSETS_{name.upper()}": str(number) for name, number in ports.items()}
    result = _command(system.environment | names | {"STREAMING_ASSETS_HOME": str(tmp_path)}, "dev")
    assert result.returncode == 1
    taken = ports[port]
    assert f"dev: port {taken} on 127.0.0.1 can't be used (Address already in use)" in result.stderr
    assert f"STREAMING_ASSETS_{port.upper()}={taken + 1} make dev" in result.stderr
    assert "Traceback" not in result.stderr


def test_ctrl_c_ends_all_of_it_and_the_next_start_goes_on(system: System) -> None:
    assert len(marked(system.marker)) >= 6, "manager, broker, simulator, sink, Dagster's, dashboards"
    before = system.state
    begun = time.monotonic()
    assert system.interrupt() == 0, system.output[-3000:]
    wait_until(lambda: not marked(system.marker), "no process is left", 30)
    print(f"from Ctrl-C to the last process's end: {time.monotonic() - begun:.1f} s")
    assert "Traceback" not in system.output.partition("SIGINT received")[2], system.output
    ours = [line for line in system.output.splitlines() if "Traceback" in line and " dagster " not in line]
    assert not ours, system.output
    assert not list(system.scratch.iterdir()), "no socket is left"

    # A run that a power cut would have left behind.
    hour = datetime.fromisoformat(before["start"]) + HOUR
    gone = json.dumps({"host": "localhost", "socket": str(system.folder / "gone")})
    with dg.DagsterInstance.from_config(str(system.place.settings.dagster_home)) as instance:
        orphan = instance.create_run_for_job(
            _orphan,
            status=dg.DagsterRunStatus.STARTED,
            tags=span_tags((hour, hour + HOUR)) | {GRPC_INFO_TAG: gone},
        ).run_id
    history = {path.name for path in system.place.lake.stored.root.rglob("*.sim-*.gz")}

    begun_at = time.time()
    system.start()
    assert "First start" not in system.output, "no history again"
    assert {path.name for path in system.place.lake.stored.root.rglob("*.sim-*.gz")} == history
    after = system.state
    assert (after["start"], after["simulation"]) == (before["start"], before["simulation"])
    assert after["alive_until"] >= before["alive_until"]
    with dg.DagsterInstance.from_config(str(system.place.settings.dagster_home)) as instance:

        def is_ended() -> bool:
            run = instance.get_run_by_id(orphan)
            assert run is not None
            return run.status == dg.DagsterRunStatus.FAILURE

        wait_until(is_ended, "the run that the power cut left behind is ended", PATIENCE)
    name = ObjectName("listen_events", hour, 0, 0, "dropped")
    system.place.put("listen_events", hour, [listen(hour, user=900_002)], stream_epoch=name.stream_epoch)
    wait_until(
        lambda: max(system.materialised(FACT, hour), default=0) > begun_at,
        "its hour is asked for again",
        PATIENCE,
    )


@dg.job(name="hourly")
def _orphan() -> None: ...


def _command(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "streaming_assets.cli", *arguments],
        env=environment,
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
