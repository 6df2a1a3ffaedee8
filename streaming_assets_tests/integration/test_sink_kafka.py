"""The sink against a real broker: kills, restarts, rebalances, a folder and a bucket. Nothing lost, nothing twice."""

import itertools
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from streaming_assets.events import DEFAULT_TOPICS
from streaming_assets.lake.factory import open_lake
from streaming_assets.lake.folder import FolderLake
from streaming_assets.lake.store import Lake
from streaming_assets_tests.integration.conftest import FakeGcs, KraftBroker
from streaming_assets_tests.integration.sink_processes import (
    Command,
    Machine,
    lines,
    machine,
    missing_offsets,
    rows,
    wait_until,
)

pytestmark = pytest.mark.integration

Record = tuple[str, int, int]  # topic, partition, offset


@pytest.fixture
def broker(kraft_broker: KraftBroker) -> KraftBroker:
    """The broker, with the topics, of which auth_events and session_start_end_events do not exist."""
    for topic in DEFAULT_TOPICS:
        with suppress(KafkaException):  # another test of this session has made it
            kraft_broker.create_topic(topic)
    return kraft_broker


@pytest.fixture
def here(tmp_path: Path, broker: KraftBroker) -> Iterator[Machine]:
    environment = {
        "STREAMING_ASSETS_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "STREAMING_ASSETS_SINK_GROUP_ID": f"sink-{uuid.uuid4().hex}",
    }
    with machine(tmp_path, **environment) as started:
        yield started


@pytest.fixture
def lake(here: Machine) -> FolderLake:
    return FolderLake(here.home / "lake")


class Stream(threading.Thread):
    """Produces until it is stopped, and keeps the coordinates of what the broker acknowledged."""

    def __init__(self, bootstrap_servers: str) -> None:
        super().__init__()
        self.acknowledged: set[Record] = set()
        self._stopping = threading.Event()
        self._producer = Producer(
            {"bootstrap.servers": bootstrap_servers, "enable.idempotence": True, "linger.ms": 5}
        )

    def run(self) -> None:
        for number in itertools.count():
            if self._stopping.is_set():
                break
            value = b'{"ts":%d,"pad":"%s"}' % (number, b"x" * 200)
            self._producer.produce(DEFAULT_TOPICS[number % 4], value, on_delivery=self._delivered)
            self._producer.poll(0)
            if number % 20 == 0:
                time.sleep(0.01)
        self._producer.flush(30)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            assert topic is not None
            assert partition is not None
            assert offset is not None
            self.acknowledged.add((topic, partition, offset))

    def stop(self) -> set[Record]:
        self._stopping.set()
        self.join()
        return self.acknowledged


@contextmanager
def stream(broker: KraftBroker) -> Iterator[Stream]:
    thread = Stream(broker.bootstrap_servers)
    thread.start()
    try:
        yield thread
    finally:
        thread.stop()


def started_sink(here: Machine, instance: str) -> Command:
    sink = here.start("sink", "--instance", instance)
    wait_until(lambda: sink.said("assigned"), f"partitions of sink {instance}")
    return sink


def objects(lake: Lake) -> int:
    return sum(1 for _ in lake.list("raw/"))


def settle(lake: Lake, acknowledged: set[Record]) -> None:
    """Wait until all acknowledged records are in the lake; none of them twice, no gap between them."""
    assert len(acknowledged) > 1000
    wait_until(
        lambda: acknowledged <= {(t, p, o) for t, _, p, o in rows(lake)}, "all records in the lake", every=1
    )
    found = rows(lake)
    assert {stream_epoch for _, stream_epoch, _, _ in found} == {None}
    assert missing_offsets(found) == {}
    assert [coordinates for coordinates, count in found.items() if count > 1] == []


def test_ten_kills_and_a_broker_restart_lose_nothing(
    here: Machine, lake: FolderLake, broker: KraftBroker
) -> None:
    with stream(broker) as produced:
        for round_number in range(10):
            sink = started_sink(here, "one")
            if round_number == 5:
                broker.restart()
            before = objects(lake)
            wait_until(lambda before=before: objects(lake) > before, "progress before the kill")
            sink.kill()
        sink = started_sink(here, "one")
        acknowledged = produced.stop()
    settle(lake, acknowledged)
    assert sink.stop() == 0
    state = here.state("sink-one")
    assert (state["lag"], state["lost"], state["stream_epoch"]) == (0, 0, None)
    assert not sink.said("auth_events")  # a topic that nobody made is no trouble


def test_two_and_three_instances_share_the_work(here: Machine, lake: FolderLake, broker: KraftBroker) -> None:
    with stream(broker) as produced:
        first, second = started_sink(here, "first"), started_sink(here, "second")
        wait_until(lambda: first.said("revoked"), "partitions moving to the second")
        third = started_sink(here, "third")
        for name in ("second", "third"):
            wait_until(lambda name=name: here.state(f"sink-{name}").get("objects"), f"objects of the {name}")
        second.kill()
        assert third.stop() == 0
        acknowledged = produced.stop()
    settle(lake, acknowledged)
    assert first.stop() == 0
    assert all(here.state(f"sink-{name}")["objects"] for name in ("first", "second", "third"))


def test_a_bucket_gets_the_same(
    here: Machine, broker: KraftBroker, fake_gcs: FakeGcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"gs://{fake_gcs.bucket}/{uuid.uuid4().hex}"
    here.environment |= {"STORAGE_EMULATOR_HOST": fake_gcs.url, "STREAMING_ASSETS_LAKE_URL": url}
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", fake_gcs.url)
    lake = open_lake(url)
    with stream(broker) as produced:
        for _ in range(2):
            sink = started_sink(here, "one")
            before = objects(lake)
            wait_until(lambda before=before: objects(lake) > before, "progress before the kill")
            sink.kill()
        sink = started_sink(here, "one")
        acknowledged = produced.stop()
    settle(lake, acknowledged)
    assert sink.stop() == 0
    times = [line["timestamp"] for _, line in lines(lake)]
    assert all(len(text) == 24 and text.endswith("Z") for text in times)


def test_a_second_sink_of_the_same_name_ends_the_first_with_a_message(
    here: Machine, broker: KraftBroker
) -> None:
    first = started_sink(here, "one")
    second = here.start("sink", "--instance", "one")
    assert first.process.wait(30) == 1
    assert first.said("the broker refuses this sink")
    assert second.stop() == 0


SPARE = "session_start_end_events"  # a topic that comes and goes


@pytest.fixture
def admin(broker: KraftBroker) -> Iterator[AdminClient]:
    client = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    broker.create_topic(SPARE, partitions=1)
    yield client
    delete_topic(client)


def delete_topic(admin: AdminClient) -> None:
    admin.delete_topics([SPARE])[SPARE].result(30)
    wait_until(lambda: SPARE not in admin.list_topics(timeout=10).topics, "the topic's end")


def send(broker: KraftBroker, start: int, stop: int) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for number in range(start, stop):
        producer.produce(SPARE, b'{"ts":%d}' % number)
    assert producer.flush(30) == 0


def spare_rows(lake: Lake) -> list[tuple[str | None, int, int]]:
    """(stream_epoch, offset, ts) of each row of the topic."""
    found = [
        (stream_epoch, offset, line["value"]["ts"])
        for (topic, stream_epoch, _, offset), line in lines(lake)
        if topic == SPARE
    ]
    return sorted(found, key=lambda row: row[2])


def test_what_retention_took_before_it_was_read_is_reported(
    here: Machine, lake: FolderLake, broker: KraftBroker, admin: AdminClient
) -> None:
    sink = started_sink(here, "one")
    send(broker, 0, 10)
    wait_until(lambda: len(spare_rows(lake)) == 10, "the first records")
    assert sink.stop() == 0
    send(broker, 10, 30)
    admin.delete_records([TopicPartition(SPARE, 0, 25)])[TopicPartition(SPARE, 0)].result(30)
    sink = started_sink(here, "one")
    wait_until(lambda: len(spare_rows(lake)) == 15, "what was left")
    assert sink.stop() == 0
    assert [offset for _, offset, _ in spare_rows(lake)] == [*range(10), *range(25, 30)]
    (lost,) = here.state("sink-one")["lost_ranges"]
    assert (lost["topic"], lost["stream_epoch"], lost["first"], lost["last"]) == (SPARE, None, 10, 24)


@pytest.mark.parametrize("running", [False, True])
def test_a_topic_that_is_made_anew_loses_nothing_of_either(
    here: Machine, lake: FolderLake, broker: KraftBroker, admin: AdminClient, running: bool
) -> None:
    sink = started_sink(here, "one")
    send(broker, 0, 10)
    wait_until(lambda: len(spare_rows(lake)) == 10, "the first topic's records")
    if not running:
        assert sink.stop() == 0
    delete_topic(admin)
    broker.create_topic(SPARE, partitions=1)
    send(broker, 10, 15)
    if not running:
        sink = started_sink(here, "one")
    wait_until(lambda: len(spare_rows(lake)) == 15, "the second topic's records")
    assert sink.stop() == 0
    found = spare_rows(lake)
    assert [ts for _, _, ts in found] == list(range(15))
    assert [offset for _, offset, _ in found] == [*range(10), *range(5)]
