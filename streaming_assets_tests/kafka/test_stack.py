"""The stack without its programs: what is missing is told, state is kept, the lake is the bucket."""

import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from dotenv import dotenv_values

from streaming_assets.ingestion.kafka_local import KafkaLocalError, downloads, services, setup
from streaming_assets.ingestion.kafka_local.services import Place
from streaming_assets.ingestion.kafka_local.stack import Stack
from streaming_assets.settings import load_settings


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, tmp_path / "downloads", tmp_path / "plugins", tmp_path / "buckets", "lake")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_each_missing_program_is_told_with_the_way_out(place: Place, programs: Path) -> None:
    said: list[str] = []

    states = {state.name: state for state in Stack(place, said.append).up()}

    assert "`java` is not on the PATH; install a Java 17" in states["broker"].why
    assert "`go` is not on the PATH; install Go" in states["emulator"].why
    assert states["connect"].why == "it needs broker and emulator"
    assert [line.partition(" is left out")[0] for line in said] == ["broker", "emulator", "connect"]
    assert {state.state for state in states.values()} == {"stopped"}


def test_java_without_maven_is_told_until_the_jars_are_there(place: Place, programs: Path) -> None:
    program(programs, "java", "echo 'openjdk version \"21.0.1\"' >&2")

    with pytest.raises(KafkaLocalError, match="`mvn` is not on the PATH; install Maven, once"):
        services.SERVICES["broker"].prepare(place, {"broker": 1, "controller": 2}, print)
    assert not list(place.downloads.glob("kafka-*.unfinished/*"))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'openjdk version \"11.0.2\"' >&2", "is Java 11; Kafka needs 17 or newer"),
        ("echo 'No Java runtime present' >&2; exit 1", "tells no version; install a Java 17 runtime"),
    ],
)
def test_a_java_that_will_not_do_is_told(programs: Path, script: str, message: str) -> None:
    program(programs, "java", script)

    with pytest.raises(KafkaLocalError, match=message):
        downloads.java()


def test_a_failed_download_leaves_nothing_and_is_tried_again(place: Place, programs: Path) -> None:
    program(programs, "go", "echo 'no route to the network' >&2; exit 1")
    with pytest.raises(KafkaLocalError, match="no route to the network"):
        downloads.emulator(place.downloads, print)

    program(programs, "go", 'echo x > "$GOBIN/fake-gcs-server"')
    found = downloads.emulator(place.downloads, print)
    program(programs, "go", "exit 1")

    assert found.read_text() == "x\n"
    assert downloads.emulator(place.downloads, print) == found


def test_the_sinks_plugin_is_found_in_a_folder_or_told_where_it_is_had(place: Place) -> None:
    with pytest.raises(KafkaLocalError, match=r"is not below .*; unpack .*releases.*_KAFKA_PLUGINS"):
        downloads.sink_plugin(place.plugins)

    folder = place.plugins / "gcs-sink"
    folder.mkdir(parents=True)
    (folder / "gcs-sink-connector-for-apache-kafka-3.4.2.jar").touch()

    assert downloads.sink_plugin(place.plugins) == folder


def test_a_lake_in_a_folder_is_the_bucket_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STREAMING_ASSETS_HOME", str(tmp_path))

    place = setup.place_of(load_settings())

    assert (place.buckets, place.bucket, place.prefix) == (tmp_path, "lake", "")
    assert (place.home, place.plugins) == (tmp_path / "kafka", tmp_path / "kafka" / "plugins")


def test_a_lake_in_a_bucket_is_kept_beside_the_broker(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STREAMING_ASSETS_HOME", str(tmp_path))
    monkeypatch.setenv("STREAMING_ASSETS_LAKE_URL", "gs://my-lake/a/b/")

    place = setup.place_of(load_settings())

    assert (place.buckets, place.bucket, place.prefix) == (tmp_path / "kafka" / "buckets", "my-lake", "a/b/")


def test_a_folder_that_can_be_no_bucket_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STREAMING_ASSETS_LAKE_URL", str(tmp_path / "my lake"))

    with pytest.raises(KafkaLocalError, match="my lake: a bucket's name takes letters"):
        setup.place_of(load_settings())


def test_what_a_service_said_last_outlives_its_next_start(place: Place, programs: Path) -> None:
    for number in ("first", "second", "third"):
        shutil.rmtree(place.downloads, ignore_errors=True)
        program(
            programs,
            "go",
            f"printf '#!/bin/sh\\necho {number} start' > \"$GOBIN/fake-gcs-server\"; /bin/chmod +x $GOBIN/*",
        )
        with pytest.raises(KafkaLocalError, match=f"{number} start"):
            Stack(place).up(["emulator"])

    assert place.log("emulator").read_text() == "third start\n"
    assert (place.home / "logs" / "emulator.previous.log").read_text() == "second start\n"


def test_nothing_is_running_before_the_first_start(place: Place) -> None:
    stack = Stack(place)

    assert stack.down() == []
    assert {state.state for state in stack.states()} == {"stopped"}
    assert setup.environment(stack) == {}
    with pytest.raises(KafkaLocalError, match="start it with `streaming-assets kafka up`"):
        setup.connector_values(stack)


def test_a_chosen_port_that_is_taken_is_told(place: Place) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        (state,) = Stack(place).up(["broker"], {"broker": port})

    assert state.why == f"port {port} is taken; end what listens there, or choose another"


def test_a_state_that_cant_be_read_is_told(place: Place) -> None:
    (place.home / "state.json").write_text("{")

    with pytest.raises(KafkaLocalError, match=r"state.json can't be read .* then remove the file"):
        Stack(place).states()


def test_the_environment_file_reads_alike_in_a_shell_and_in_python(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {"A": "127.0.0.1:1", "B": "http://127.0.0.1:2"}
    monkeypatch.setattr(setup, "environment", lambda stack: variables)
    place.home.mkdir(exist_ok=True)

    setup.write_environment(Stack(place))

    file = setup.environment_file(place)
    shell = f'set -a; . {file}; printf \'%s|%s\' "$A" "$B"'
    read = subprocess.run(["/bin/sh", "-c", shell], capture_output=True, text=True, check=True).stdout
    assert read == "|".join(variables.values())
    assert dotenv_values(file) == variables
