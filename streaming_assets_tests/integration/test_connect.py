"""Kafka Connect with the Aiven GCS sink, where its plugin is found: the lake is the one that the Python sink writes."""

import base64
import gzip
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streaming_assets.ingestion import connect, health
from streaming_assets.ingestion.connect_rest import ConnectRest
from streaming_assets.ingestion.kafka_local import KafkaLocalError, downloads, processes, setup
from streaming_assets.ingestion.kafka_local.services import BROKER, WORKER, Place
from streaming_assets.ingestion.kafka_local.stack import Stack
from streaming_assets.ingestion.sink import run_sink
from streaming_assets.lake.factory import open_lake
from streaming_assets.lake.names import parse_object
from streaming_assets.settings import Settings, load_settings

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("connect")]

Row = tuple[int, int, str, str]  # partition, offset, timestamp, value as JSON with sorted keys


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("connect")
    return load_settings().changed(home=home / "python-sink", lake_url=str(home / "lake"))


@pytest.fixture(scope="module")
def stack(settings: Settings, kafka_downloads: Path) -> Iterator[Stack]:
    """Broker, emulator and worker, with topics and connectors."""
    assert settings.kafka.plugins is not None
    lake = Path(settings.lake.url)
    place = Place(
        lake.parent / "kafka",
        kafka_downloads,
        settings.kafka.plugins,
        lake.parent,
        lake.name,
        flush_seconds=1,
    )
    stack = Stack(place)
    try:
        downloads.sink_plugin(settings.kafka.plugins)
    except KafkaLocalError as error:
        pytest.skip(str(error))
    try:
        left_out = [f"{state.name}: {state.why}" for state in stack.up() if state.why]
        if left_out:
            pytest.skip("; ".join(left_out))
        setup.make_topics(stack, settings, print)
        setup.make_connectors(stack, settings, print)
        yield stack
    finally:
        stack.down()


def produce(stack: Stack, topic: str, values: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": stack.address(BROKER), "acks": "all", "linger.ms": 20})
    for number, value in enumerate(values):
        producer.produce(topic, value, partition=number % 3)
    assert producer.flush(60) == 0


def lines(folder: Path, topic: str) -> list[tuple[int, dict]]:
    """(partition, line) of each line of a topic's objects."""
    found = []
    for path in sorted((folder / "raw" / topic).rglob("*.gz")):
        name = parse_object(path.relative_to(folder).as_posix())
        assert name is not None, path
        text = gzip.decompress(path.read_bytes())
        found += [(name.partition, json.loads(line)) for line in text.split(b"\n") if line]
    return found


def rows(folder: Path, topic: str) -> set[Row]:
    return {
        (partition, line["offset"], line["timestamp"], json.dumps(line["value"], sort_keys=True))
        for partition, line in lines(folder, topic)
    }


def events(count: int, first: int = 0) -> list[bytes]:
    event = {"song": 'Füße\u2028 "x"', "duration": 252.21179, "lon": -82.5, "success": True, "zip": "00501"}
    return [
        json.dumps({"ts": 1743465647000 + n, **event}, ensure_ascii=False).encode()
        for n in range(first, first + count)
    ]


def wait_for(count: int, folder: Path, topic: str, seconds: float = 60) -> None:
    assert processes.wait_until(lambda: len(rows(folder, topic)) >= count, seconds), len(rows(folder, topic))


def test_rows_equal_the_python_sinks(stack: Stack, settings: Settings, tmp_path: Path) -> None:
    produce(stack, "listen_events", events(3000))
    wait_for(3000, Path(settings.lake.url), "listen_events")
    stop = threading.Event()
    own = settings.changed(
        kafka_bootstrap_servers=stack.address(BROKER), sink_flush_seconds=0.5, home=tmp_path
    )
    sink = threading.Thread(target=run_sink, args=(own, open_lake(str(tmp_path / "lake")), stop))
    sink.start()
    try:
        wait_for(3000, tmp_path / "lake", "listen_events")
    finally:
        stop.set()
        sink.join()

    by_connect = rows(Path(settings.lake.url), "listen_events")

    assert by_connect == rows(tmp_path / "lake", "listen_events")
    assert {(partition, offset) for partition, offset, _, _ in by_connect} == {
        (partition, offset) for partition in range(3) for offset in range(1000)
    }


def test_malformed_records_are_dead_letters_with_bytes_and_origin(stack: Stack, settings: Settings) -> None:
    lake, topic = Path(settings.lake.url), "status_change_events"
    malformed = b'{"broken": \xff\x00'

    produce(stack, topic, [b'{"ts":1}', malformed, b'{"ts":2}'])

    assert processes.wait_until(lambda: bool(lines(lake, settings.dead_letter_topic)), 60)
    wait_for(2, lake, topic)
    assert {value for _, _, _, value in rows(lake, topic)} == {'{"ts": 1}', '{"ts": 2}'}
    ((_, line),) = lines(lake, settings.dead_letter_topic)
    assert base64.b64decode(line["value"]) == malformed
    headers = {header["key"]: header["value"] for header in line["headers"]}
    assert headers["__connect.errors.topic"] == topic
    assert (headers["__connect.errors.partition"], headers["__connect.errors.offset"]) == ("1", "0")
    assert headers["__connect.errors.stage"] == "VALUE_CONVERTER"


def test_a_killed_worker_recovers_in_half_a_minute_with_nothing_missing(
    stack: Stack, settings: Settings
) -> None:
    lake, topic = Path(settings.lake.url), "page_view_events"
    produce(stack, topic, events(30_000))
    wait_for(1, lake, topic)  # some are in the lake, some are not
    (worker,) = [state for state in stack.states() if state.name == WORKER]
    assert worker.pid

    os.kill(worker.pid, signal.SIGKILL)
    killed = time.monotonic()
    produce(stack, topic, events(3000, first=30_000))
    stack.up([WORKER])
    wait_for(33_000, lake, topic)

    assert time.monotonic() - killed < 30
    offsets = {(partition, offset) for partition, offset, _, _ in rows(lake, topic)}
    assert offsets == {(partition, offset) for partition in range(3) for offset in range(11_000)}


def test_health_of_connect(stack: Stack, settings: Settings) -> None:
    rest = ConnectRest(stack.address(WORKER))
    produce(stack, "user_info", events(30))
    wait_for(30, Path(settings.lake.url), "user_info")
    config = {"bootstrap.servers": stack.address(BROKER)}
    group = connect.consumer_group(connect.SINK)

    def lag() -> int:
        found = health.partitions_health(config, group, ["user_info"])
        return sum(there.lag for there in found["user_info"])

    assert processes.wait_until(lambda: lag() == 0, 30)
    for name in (connect.SINK, connect.DEAD_LETTER_SINK):
        assert health.connector_health(rest, name).problems == []


def test_connect_judges_the_settings(stack: Stack, settings: Settings) -> None:
    rest = ConnectRest(stack.address(WORKER))
    wanted = connect.connectors("local", settings, setup.connector_values(stack))

    assert [rest.problems(config) for config in wanted.values()] == [[], []]
    (problem,) = rest.problems(wanted[connect.SINK] | {"file.compression.type": "squeeze"})
    assert problem.startswith("file.compression.type: ")


def test_a_failed_task_is_a_problem_with_its_reason(stack: Stack, settings: Settings) -> None:
    rest = ConnectRest(stack.address(WORKER))
    client = AdminClient({"bootstrap.servers": stack.address(BROKER)})
    client.create_topics([NewTopic("intolerant", 3, 1)])["intolerant"].result(30)
    produce(stack, "intolerant", [b"{broken"])
    good = connect.connectors("local", settings, setup.connector_values(stack))[connect.SINK]
    rest.apply({"intolerant": good | {"topics": "intolerant", "errors.tolerance": "none", "tasks.max": "1"}})

    def problems() -> list[str]:
        found = health.connector_health(rest, "intolerant").problems
        return [problem for problem in found if " is FAILED on " in problem]

    assert processes.wait_until(lambda: bool(problems()), 60)
    (problem,) = problems()
    assert problem.startswith("intolerant task 0 is FAILED on 127.0.0.1:")
    assert "Tolerance exceeded in error handler" in problem
    assert "JsonParseException" in problem
    assert "\n" not in problem
