"""How broker, GCS emulator and Connect worker are run: command, files, readiness."""

import base64
import json
import subprocess
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streaming_assets.ingestion import connect
from streaming_assets.ingestion.kafka_local import KafkaLocalError, downloads
from streaming_assets.ingestion.kafka_local.downloads import KAFKA_FILES, Echo

HOST = "127.0.0.1"
BROKER, EMULATOR, WORKER = "broker", "emulator", "connect"
CONTROLLER = "controller"  # the broker's second port
BROKER_HEAP_MIB = 512

Ports = Mapping[str, int]


@dataclass(frozen=True)
class Place:
    """Where a stack keeps what it has, and what it writes to.

    Attributes:
        home: folder of state, data and logs.
        downloads: folder of jars and of the emulator, may be shared by several stacks.
        plugins: folder of Connect plugins, one subfolder each.
        buckets: folder that the emulator serves, a bucket for each folder in it.
        bucket: the lake's bucket.
        prefix: what the lake's object names start with inside the bucket; empty or ending in `/`.
        flush_seconds: how often Connect writes its objects.
    """

    home: Path
    downloads: Path
    plugins: Path
    buckets: Path
    bucket: str
    prefix: str = ""
    flush_seconds: float = 5.0

    def log(self, service: str) -> Path:
        return self.home / "logs" / f"{service}.log"


@dataclass(frozen=True)
class Launch:
    """A command, and what to add to its environment."""

    command: list[str]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Service:
    """One process of the stack.

    Attributes:
        prepare: finds its programs and writes its files; raises KafkaLocalError if it can't run here.
        ready: whether it serves.
        address: what clients are given.
        needs: services that run before it.
        ports: names of the ports that it listens on, the clients' first.
        start_seconds: how long it may take to be ready.
        grace_seconds: how long it may take to end when asked.
    """

    prepare: Callable[[Place, Ports, Echo], Launch]
    ready: Callable[[Place, Ports], bool]
    address: Callable[[Ports], str]
    needs: tuple[str, ...]
    ports: tuple[str, ...]
    start_seconds: float
    grace_seconds: float


def broker_address(ports: Ports) -> str:
    """`host:port` of the broker."""
    return f"{HOST}:{ports[BROKER]}"


def emulator_address(ports: Ports) -> str:
    """URL of the GCS emulator."""
    return f"http://{HOST}:{ports[EMULATOR]}"


def worker_address(ports: Ports) -> str:
    """URL of Connect's REST interface."""
    return f"http://{HOST}:{ports[WORKER]}"


def _prepare_broker(place: Place, ports: Ports, echo: Echo) -> Launch:
    java, jars = downloads.java(), downloads.kafka_jars(place.downloads, echo)
    folder = place.home / "broker"
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        # A fixed voter list, not a dynamic quorum: that one would keep the controller's port in its own log.
        "controller.quorum.voters": f"1@{HOST}:{ports[CONTROLLER]}",
        "listeners": f"PLAINTEXT://{broker_address(ports)},CONTROLLER://{HOST}:{ports[CONTROLLER]}",
        "advertised.listeners": f"PLAINTEXT://{broker_address(ports)}",
        "log.dirs": str(folder / "data"),
    }
    properties = _write_properties(folder / "broker.properties", KAFKA_FILES / "broker.properties", settings)
    if not (folder / "data" / "meta.properties").exists():
        cluster = base64.b64encode(uuid.uuid4().bytes, b"AB").decode().rstrip("=")
        done = subprocess.run(
            java_command(
                java, jars, 128, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)
            ),
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise KafkaLocalError(f"{folder / 'data'} can't be made a broker's:\n{done.stdout + done.stderr}")
    return Launch(java_command(java, jars, BROKER_HEAP_MIB, "kafka.Kafka", str(properties)), {})


def _broker_ready(place: Place, ports: Ports) -> bool:
    if "Kafka Server started" not in place.log(BROKER).read_text(errors="replace"):
        return False
    client = AdminClient({"bootstrap.servers": broker_address(ports), "log_level": 0})
    try:
        return bool(client.list_topics(timeout=2).brokers)
    except KafkaException:
        return False


def _prepare_emulator(place: Place, ports: Ports, echo: Echo) -> Launch:
    program = downloads.emulator(place.downloads, echo)
    place.buckets.mkdir(parents=True, exist_ok=True)
    url = emulator_address(ports)
    listen = ["-scheme", "http", "-host", HOST, "-port", str(ports[EMULATOR])]
    files = ["-backend", "filesystem", "-filesystem-root", str(place.buckets)]
    names = ["-external-url", url, "-public-host", url.removeprefix("http://"), "-log-level", "warn"]
    return Launch([str(program), *listen, *files, *names], {})


def _emulator_ready(place: Place, ports: Ports) -> bool:
    """Serves; makes the lake's bucket if it is not there."""
    buckets = f"{emulator_address(ports)}/storage/v1/b"
    if _status(f"{buckets}/{place.bucket}") == 404:
        body = json.dumps({"name": place.bucket}).encode()
        _status(
            urllib.request.Request(f"{buckets}?project=local", body, {"content-type": "application/json"})
        )
    return _status(f"{buckets}/{place.bucket}") == 200


def _prepare_worker(place: Place, ports: Ports, echo: Echo) -> Launch:
    plugin = downloads.sink_plugin(place.plugins)
    java, jars = downloads.java(), downloads.kafka_jars(place.downloads, echo)
    settings = {
        "plugin.path": str(plugin.parent),
        "listeners": worker_address(ports),
        "offset.flush.interval.ms": str(round(place.flush_seconds * 1000)),
    }
    properties = place.home / "connect" / "worker.properties"
    properties.parent.mkdir(parents=True, exist_ok=True)
    properties.write_text(connect.worker_properties(settings))
    heap = connect.worker_heap_mib(place.flush_seconds)
    main = "org.apache.kafka.connect.cli.ConnectDistributed"
    environment = {"CONNECT_BOOTSTRAP_SERVERS": broker_address(ports), "CONNECT_REPLICATION_FACTOR": "1"}
    return Launch(java_command(java, jars, heap, main, str(properties)), environment)


def _worker_ready(place: Place, ports: Ports) -> bool:
    return _status(f"{worker_address(ports)}/connectors") == 200


SERVICES: dict[str, Service] = {
    BROKER: Service(_prepare_broker, _broker_ready, broker_address, (), (BROKER, CONTROLLER), 60, 30),
    EMULATOR: Service(_prepare_emulator, _emulator_ready, emulator_address, (), (EMULATOR,), 20, 10),
    WORKER: Service(
        _prepare_worker, _worker_ready, worker_address, (BROKER, EMULATOR), (WORKER,), 90, 30
    ),
}  # fmt: skip


def java_command(java: str, jars: Path, heap_mib: int, main: str, *arguments: str) -> list[str]:
    """A Java command that starts fast and small; out of memory it ends instead of limping on."""
    return [
        java,
        f"-Xmx{heap_mib}m",
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        f"-Dlog4j2.configurationFile=file:{KAFKA_FILES / 'log4j2.properties'}",
        "-cp",
        f"{jars}/*",
        main,
        *arguments,
    ]


def _write_properties(path: Path, base: Path, settings: Mapping[str, str]) -> Path:
    lines = [base.read_text(), *(f"{name}={value}" for name, value in settings.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


def _status(request: str | urllib.request.Request) -> int | None:
    """The HTTP status; None if nobody answers."""
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None
