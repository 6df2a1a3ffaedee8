"""What the processes run: found on this machine, or fetched once by Maven or Go into the downloads folder."""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from streaming_assets.files import locked
from streaming_assets.ingestion.kafka_files import KAFKA_DIR
from streaming_assets.ingestion.kafka_local import KafkaLocalError

KAFKA_FILES = KAFKA_DIR / "local"
EMULATOR_MODULE = "github.com/fsouza/fake-gcs-server"
EMULATOR_VERSION = "v1.56.1"
SINK_JARS = "gcs-*connector-for-apache-kafka-*.jar"
SINK_RELEASES = "https://github.com/Aiven-Open/cloud-storage-connectors-for-apache-kafka/releases"
OLDEST_JAVA = 17

_DOWNLOAD_SECONDS = 1200

Echo = Callable[[str], None]


def java() -> str:
    """Path of a Java that runs Kafka.

    Raises:
        KafkaLocalError: there is none, or it is too old.
    """
    path = _program("java", f"install a Java {OLDEST_JAVA} runtime or newer")
    answer = subprocess.run([path, "-version"], capture_output=True, text=True)
    version = re.search(r'version "(\d+)', answer.stderr)
    if answer.returncode or version is None:
        raise KafkaLocalError(f"`{path} -version` tells no version; install a Java {OLDEST_JAVA} runtime")
    if int(version[1]) < OLDEST_JAVA:
        raise KafkaLocalError(f"{path} is Java {version[1]}; Kafka needs {OLDEST_JAVA} or newer")
    return path


def kafka_jars(downloads: Path, echo: Echo) -> Path:
    """Folder of the jars that kafka/local/pom.xml names.

    Raises:
        KafkaLocalError: they are not there yet and Maven is missing or fails.
    """
    pom = KAFKA_FILES / "pom.xml"
    folder = downloads / f"kafka-{hashlib.sha256(pom.read_bytes()).hexdigest()[:12]}"

    def fetch(into: Path) -> None:
        maven = _program("mvn", "install Maven, once: its downloads are kept")
        echo("fetching Kafka with Maven (about 54 MB, once) ...")
        _run([maven, "--batch-mode", "--quiet", "--file", str(pom), "dependency:copy-dependencies",
              f"-DoutputDirectory={into}"])  # fmt: skip

    return _fetched(folder, fetch)


def emulator(downloads: Path, echo: Echo) -> Path:
    """The GCS emulator's program.

    Raises:
        KafkaLocalError: it is not there yet and Go is missing or fails.
    """
    folder = downloads / f"fake-gcs-server-{EMULATOR_VERSION}"

    def fetch(into: Path) -> None:
        go = _program("go", "install Go, once: what it builds is kept")
        echo("building the GCS emulator with Go (one to three minutes, once) ...")
        _run([go, "install", f"{EMULATOR_MODULE}@{EMULATOR_VERSION}"], GOBIN=str(into))

    return _fetched(folder, fetch) / "fake-gcs-server"


def sink_plugin(plugins: Path) -> Path:
    """The folder of the Aiven GCS sink below the plugin folder.

    Raises:
        KafkaLocalError: it is not there; the message says where it is had.
    """
    jars = sorted(plugins.glob(f"*/{SINK_JARS}")) if plugins.is_dir() else []
    if not jars:
        raise KafkaLocalError(
            f"the Aiven GCS sink is not below {plugins}; unpack its release archive ({SINK_RELEASES}) there, "
            "or name the folder that holds it with STREAMING_ASSETS_KAFKA_PLUGINS"
        )
    return jars[-1].parent


def _program(name: str, way_out: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise KafkaLocalError(f"`{name}` is not on the PATH; {way_out}")
    return path


def _fetched(folder: Path, fetch: Callable[[Path], None]) -> Path:
    """`folder`, filled by `fetch` if it is not there; appears whole or not at all, made by one process."""
    with locked(folder.with_suffix(".lock")):
        if not folder.exists():
            unfinished = folder.with_name(folder.name + ".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            fetch(unfinished)
            unfinished.rename(folder)
    return folder


def _run(command: list[str], **environment: str) -> None:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_DOWNLOAD_SECONDS,
            env={**os.environ, **environment},
        )
    except subprocess.TimeoutExpired as error:
        raise KafkaLocalError(f"`{command[0]}` was not done within {_DOWNLOAD_SECONDS} s") from error
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-2000:]
        raise KafkaLocalError(f"`{' '.join(command)}` failed; try again when the network is back:\n{said}")
