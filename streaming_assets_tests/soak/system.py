"""The system of `make dev` with each process restarted when it dies, as a service manager does."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from streaming_assets.dagster_runtime.instance import dagster_environment, prepare_dagster_home
from streaming_assets.lake.factory import lake_of
from streaming_assets.lake.sealed import SealedLake
from streaming_assets.local.definitions_server import keep_loaded
from streaming_assets.local.plan import program, services
from streaming_assets.settings import PROJECT_ROOT, Settings, env_name
from streaming_assets.warehouses.duckdb_warehouse import DuckDbWarehouse
from streaming_assets_tests.integration.dagster_system import free_ports
from streaming_assets_tests.integration.sink_processes import wait_until
from streaming_assets_tests.marked import MARK, end_marked, marked

CHECK_SECONDS = 0.2
PATIENCE_SECONDS = 300.0
FLUSH_SECONDS = 2.0
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dataclass
class Service:
    """A process that is to run."""

    name: str
    command: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None

    def is_down(self) -> bool:
        return self.process is None or self.process.poll() is not None


@dataclass
class RealBroker:
    """Kafka by `streaming-assets kafka up`, which starts what died on the port that it had."""

    system: "System"

    @property
    def pid(self) -> int | None:
        kept = json.loads((self.system.settings.kafka_home / "state.json").read_text())
        pid = kept["processes"].get("broker", {}).get("pid")
        return pid if pid and _runs(pid) else None

    def up(self) -> None:
        self.system.run("streaming-assets", "kafka", "up", "--no-connect")

    def down(self) -> None:
        self.system.run("streaming-assets", "kafka", "down")


@dataclass
class System:
    """Broker, sink and Dagster on a home folder of their own; `stop` ends all of it.

    Args:
        folder: of home and logs.
        real: on a Kafka broker, whose jars are in `downloads`, instead of the embedded one.
        variables: of the environment, beside the system's own.
        names: the services of `make dev` that run, the broker aside.
    """

    folder: Path
    real: bool
    downloads: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    names: Collection[str] = ("broker", "sink", "dagster")
    services: dict[str, Service] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.marker = uuid.uuid4().hex
        self.home = self.folder / "home"
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        port, dashboards_port = free_ports(2)
        self.scratch = Path(tempfile.mkdtemp(prefix="soak-"))  # of sockets, whose paths are short
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("STREAMING_ASSETS_", "DAGSTER_"))
            },
            MARK: self.marker,
            "TMPDIR": str(self.scratch),
            "PYTHONUNBUFFERED": "1",
            env_name("home"): str(self.home),
            env_name("dagster_port"): str(port),
            env_name("dashboards_port"): str(dashboards_port),
            env_name("sink_flush_seconds"): str(FLUSH_SECONDS),
            env_name("kafka_downloads"): str(self.downloads),
            **self.variables,
        }
        self._load()
        self.kafka = RealBroker(self) if self.real else None
        self._stopping = threading.Event()
        self._supervisors: list[threading.Thread] = []
        self.problems: list[str] = []
        self.held: set[str] = set()  # services that stay dead for the moment

    def _load(self) -> None:
        values = {
            name.removeprefix("STREAMING_ASSETS_").lower(): value
            for name, value in self.environment.items()
            if name.startswith("STREAMING_ASSETS_")
        }
        self.settings = Settings(**values)  # pyright: ignore[reportArgumentType]

    @property
    def lake(self) -> SealedLake:
        return lake_of(self.settings)

    @property
    def warehouse(self) -> DuckDbWarehouse:
        return DuckDbWarehouse(self.settings.warehouse.file, PATIENCE_SECONDS)

    def start(self) -> None:
        """Start all; ready when Dagster's web server answers."""
        prepare_dagster_home(self.settings)
        self.environment |= dagster_environment(self.settings)
        self.instance = dg.DagsterInstance.from_config(str(self.settings.dagster_home))
        if self.kafka:
            self.kafka.up()
            file = (self.settings.kafka_home / "env").read_text()
            self.adopt(dict(line.split("=", 1) for line in file.splitlines()))
            self._load()
        now = datetime.now(UTC)
        for planned in services(self.settings, now, now):
            if planned.name in self.names:
                self.services[planned.name] = Service(planned.name, planned.command)
        for service in self.services.values():
            self._start(service)
            self._watch(service.name, service.is_down, lambda service=service: self._start(service))
        if kafka := self.kafka:
            self._watch("broker", lambda: kafka.pid is None, kafka.up)
        keeper = threading.Thread(
            target=keep_loaded, args=(self.settings, self._stopping, self.problems.append), daemon=True
        )
        keeper.start()
        self._supervisors.append(keeper)

    def adopt(self, addresses: Mapping[str, str]) -> None:
        """Take the broker's address out of the variables that `kafka up` gives."""
        name = env_name("kafka_bootstrap_servers")
        self.environment[name] = addresses[name]

    def run(self, *command: str, seconds: float = 600) -> str:
        """Run a command of the project to its end; its output."""
        result = subprocess.run(
            program(*command),
            env=self.environment,
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if result.returncode:
            raise RuntimeError(f"`{shlex.join(command)}` failed:\n{result.stdout}{result.stderr}")
        return result.stdout

    def spawn(self, name: str, command: Iterable[str]) -> subprocess.Popen[bytes]:
        """Start a process; its output is appended to logs/NAME.log."""
        with open(self.folder / "logs" / f"{name}.log", "ab") as log:
            return subprocess.Popen(
                list(command),
                env=self.environment,
                cwd=PROJECT_ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    def processes(self, pattern: str) -> list[int]:
        """Those that this system started whose command line matches."""
        return marked(self.marker, pattern)

    def unfinished(self) -> list[dg.DagsterRun]:
        return list(self.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)))

    def settle(self, echo: Callable[[str], object]) -> None:
        """Wait until the sink has written all that the broker has, and no run is left."""
        since = datetime.now(UTC) + timedelta(
            seconds=3
        )  # by then the sink has asked the broker how far it is
        wait_until(lambda: self._sink_is_done(since), "the sink has caught up", PATIENCE_SECONDS, every=0.5)
        echo("the sink has caught up")
        quiet_since = begun = time.monotonic()
        # The sensor looks every few seconds; no run for some of its looks is the end.
        while quiet_since + 4 * self.settings.dagster.sensor_interval_seconds > time.monotonic():
            if left := self.unfinished():
                quiet_since = time.monotonic()
                if quiet_since > begun + PATIENCE_SECONDS:
                    runs = ", ".join(f"{run.run_id} is {run.status.value}" for run in left)
                    raise RuntimeError(f"runs do not end by themselves: {runs}")
            time.sleep(0.5)
        echo("no run is left")

    def stop(self) -> None:
        """End all that was started."""
        self._stopping.set()
        for supervisor in self._supervisors:
            supervisor.join()
        for service in reversed(self.services.values()):
            if service.process and service.process.poll() is None:
                service.process.send_signal(signal.SIGINT)
        for service in self.services.values():
            if service.process:
                try:
                    service.process.wait(30)
                except subprocess.TimeoutExpired:
                    service.process.kill()
        try:
            if self.kafka:
                self.kafka.down()
        finally:
            end_marked(self.marker)
            shutil.rmtree(self.scratch, ignore_errors=True)

    def _start(self, service: Service) -> None:
        service.process = self.spawn(service.name, service.command)

    def _watch(self, name: str, is_down: Callable[[], bool], start: Callable[[], object]) -> None:
        supervisor = threading.Thread(target=self._supervise, args=(name, is_down, start), daemon=True)
        supervisor.start()
        self._supervisors.append(supervisor)

    def _supervise(self, name: str, is_down: Callable[[], bool], start: Callable[[], object]) -> None:
        while not self._stopping.wait(CHECK_SECONDS):
            try:
                if name not in self.held and is_down():
                    start()
            except Exception as error:  # told at the end: a start that is killed as well is made again
                self.problems.append(str(error).splitlines()[0])

    def _sink_is_done(self, since: datetime) -> bool:
        try:
            state = json.loads((self.home / "sink.json").read_text())
        except (OSError, ValueError):
            return False
        sink = self.services["sink"].process
        return (
            sink is not None
            and state["pid"] == sink.pid
            and datetime.fromisoformat(state["updated_at"]) > since
            and any(partition["end"] is not None for partition in state["partitions"])
            and state["lag"] == 0
            and not state["error"]
        )


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
