"""Embedded broker, replay and sink as processes: every record in the lake once."""

import base64
import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from streaming_assets.events import DEFAULT_TOPICS
from streaming_assets.ingestion.broker import PARTITIONS, embedded_cluster
from streaming_assets.ingestion.broker_file import read_broker_file, read_ends
from streaming_assets.ingestion.producer import DeliveryError, EventProducer
from streaming_assets.lake.folder import INCOMING, FolderLake
from streaming_assets.lake.names import dead_letter_source, parse_object
from streaming_assets.settings import load_settings
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


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as started:
        yield started


@pytest.fixture
def lake(here: Machine) -> FolderLake:
    return FolderLake(here.home / "lake")


@pytest.fixture
def broker(here: Machine) -> Command:
    command = here.start("broker")
    wait_until((here.home / "broker.json").exists, "the broker's file")
    return command


def started_sink(here: Machine) -> Command:
    """A sink that has its partitions."""
    sink = here.start("sink")
    wait_until(lambda: sink.said("assigned"), "the sink's partitions")
    return sink


def produce(here: Machine, topic: str, values: list[bytes], partition: int = -1) -> None:
    """Send records, a few at a time, so that the embedded broker's limit of batches is like its limit of bytes."""
    info = read_broker_file(here.home / "broker.json")
    assert info is not None
    producer = Producer({"bootstrap.servers": info.bootstrap_servers})
    for number, value in enumerate(values):
        producer.produce(topic, value, partition=partition)
        if number % 500 == 0:
            assert producer.flush(30) == 0
    assert producer.flush(30) == 0


def events(start: int, stop: int) -> list[bytes]:
    return [b'{"ts":%d,"pad":"%s"}' % (number, b"x" * 100) for number in range(start, stop)]


def numbers(lake: FolderLake) -> Counter[int]:
    return Counter(line["value"]["ts"] for _, line in lines(lake))


def test_replayed_records_are_in_the_lake_once_and_a_stop_leaves_nothing_behind(
    here: Machine, lake: FolderLake, broker: Command, tmp_path: Path
) -> None:
    sink = started_sink(here)
    for count, topic in enumerate(DEFAULT_TOPICS, start=1):
        (tmp_path / "events.json").write_bytes(b"\n".join(events(0, 100 * count)))
        said = here.run("replay", topic, str(tmp_path / "events.json"), "--to", "kafka")
        assert f"{100 * count} records delivered, 0 of them no JSON object" in said
    # Both at once, as Ctrl-C does: what was produced last must not die with the broker.
    broker.process.send_signal(signal.SIGINT)
    assert sink.stop(signal.SIGINT, seconds=5) == 0
    assert broker.process.wait(5) == 0

    found = rows(lake)
    assert Counter(topic for topic, *_ in found) == {
        topic: 100 * count for count, topic in enumerate(DEFAULT_TOPICS, start=1)
    }
    assert set(found.values()) == {1}
    assert missing_offsets(found) == {}
    assert not (here.home / "broker.json").exists()
    assert list((lake.root / INCOMING).iterdir()) == []
    state = here.state()
    assert (state["records"], state["lag"], state["lost"], state["error"]) == (1000, 0, 0, None)
    assert {stream_epoch for _, stream_epoch, *_ in found} == {state["stream_epoch"]}


def test_a_sink_that_is_killed_again_and_again_repeats_nothing(
    here: Machine, lake: FolderLake, broker: Command
) -> None:
    total = 0
    for _ in range(3):
        sink = started_sink(here)
        produce(here, "listen_events", events(total, total + 3000))
        total += 3000
        wait_until(
            lambda start=total - 3000: max(numbers(lake), default=0) >= start, "some of it in the lake"
        )
        sink.kill()
    sink = started_sink(here)
    wait_until(lambda: len(rows(lake)) == total, "the rest in the lake")
    assert sink.stop() == 0
    found = rows(lake)
    assert set(found.values()) == {1}
    assert missing_offsets(found) == {}
    assert numbers(lake) == Counter(range(total))


def test_a_line_too_large_for_a_record_is_named_and_the_others_are_sent(
    here: Machine, lake: FolderLake, broker: Command, tmp_path: Path
) -> None:
    path = tmp_path / "events.json"
    large = b'{"ts":1,"pad":"%b"}' % (b"x" * 1_100_000)
    path.write_bytes(b'{"ts":0}\n' + large + b'\n{"ts":2}\n')
    sink = here.start("sink")
    replay = here.start("replay", "user_info", str(path), "--to", "kafka")
    assert replay.process.wait(60) == 1
    assert replay.said(f"{path}, line 2: 1,100,017 bytes are more than a record may have; left out")
    assert replay.said("user_info: 2 records delivered, 0 of them no JSON object")
    assert replay.said("replay: 1 lines are too long and were left out")
    wait_until(lambda: sum(rows(lake).values()) == 2, "the other records in the lake")
    assert sink.stop() == 0


def test_malformed_records_become_dead_letters_with_their_bytes_and_coordinates(
    here: Machine, lake: FolderLake, broker: Command
) -> None:
    bad = [b'{"ts":1', b"\xff\xfe", b"", b"[1]"]
    produce(here, "user_info", [b'{"ts":0}', *bad, b'{"ts":9}'], partition=2)
    produce(here, "auth_events", [bad[0]], partition=2)
    sink = here.start("sink")
    wait_until(lambda: sum(rows(lake).values()) == 7, "all records in the lake")
    assert sink.stop() == 0

    letters = {}
    for entry in lake.list("raw/connect_sink_gcs/"):
        name = parse_object(entry.name)
        assert name is not None
        source = dead_letter_source(name)
        assert source is not None
        assert source[1] == here.state()["stream_epoch"]
        for (_, stream_epoch, partition, offset), line in lines(lake):
            if stream_epoch == name.stream_epoch:
                headers = {header["key"]: header["value"] for header in line["headers"]}
                assert headers["__connect.errors.topic"] == source[0]
                assert headers["__connect.errors.partition"] == str(partition)
                assert headers["__connect.errors.offset"] == str(offset)
                assert headers["__connect.errors.exception.message"]
                letters[source[0], partition, offset] = base64.b64decode(line["value"])
    assert letters == {
        **{("user_info", 2, offset): value for offset, value in enumerate(bad, start=1)},
        ("auth_events", 2, 0): bad[0],
    }
    good = [coordinates for coordinates, line in lines(lake) if "headers" not in line]
    assert [(topic, partition, offset) for topic, _, partition, offset in good] == [
        ("user_info", 2, 0),
        ("user_info", 2, 5),
    ]
    assert here.state()["dead_letters"] == 5


def test_what_the_broker_dropped_is_reported_by_offset(
    here: Machine, lake: FolderLake, broker: Command
) -> None:
    # 12 MB into a partition that holds 5 MiB, with no sink to read it.
    values = [b'{"ts":%d,"pad":"%s"}' % (number, b"x" * 1000) for number in range(12_000)]
    produce(here, "page_view_events", values, partition=1)
    sink = here.start("sink")
    wait_until(lambda: numbers(lake).get(11_999), "the newest record in the lake")
    assert sink.stop() == 0
    assert sink.said("the broker dropped records of page_view_events, partition 1")
    (lost,) = here.state()["lost_ranges"]
    first_kept = min(offset for *_, offset in rows(lake))
    assert first_kept > 0
    assert (lost["topic"], lost["partition"], lost["stream_epoch"]) == (
        "page_view_events",
        1,
        here.state()["stream_epoch"],
    )
    assert (lost["first"], lost["last"]) == (0, first_kept - 1)
    assert here.state()["lost"] == first_kept
    assert sorted(numbers(lake)) == list(range(first_kept, 12_000))

    # A later sink of this home still tells.
    again = here.start("sink")
    wait_until(lambda: here.state()["pid"] == again.process.pid, "the next sink's state")
    assert here.state()["lost_ranges"] == [lost]


def test_a_replay_waits_for_the_sink_instead_of_overrunning_the_broker(
    here: Machine, lake: FolderLake, broker: Command, tmp_path: Path
) -> None:
    (tmp_path / "events.json").write_bytes(
        b"\n".join(b'{"ts":%d,"pad":"%s"}' % (number, b"x" * 1000) for number in range(40_000))
    )
    replay = here.start("replay", "listen_events", str(tmp_path / "events.json"), "--to", "kafka")
    time.sleep(3)
    assert replay.process.poll() is None  # 40 MB do not fit without a sink
    sink = here.start("sink")
    assert replay.process.wait(60) == 0
    wait_until(lambda: len(rows(lake)) == 40_000, "all records in the lake")
    assert sink.stop() == 0
    assert numbers(lake) == Counter(range(40_000))
    assert here.state()["lost"] == 0


def test_the_sink_goes_on_with_the_next_epoch_of_the_broker(
    here: Machine, lake: FolderLake, broker: Command
) -> None:
    sink = started_sink(here)
    first_epoch = here.state()["stream_epoch"]
    produce(here, "user_info", events(0, 10), partition=0)
    assert broker.stop() == 0
    here.start("broker")
    wait_until(lambda: here.state()["stream_epoch"] != first_epoch, "the next stream epoch")
    produce(here, "user_info", events(10, 20), partition=0)
    wait_until(lambda: len(numbers(lake)) == 20, "the records of both stream epochs")
    assert sink.stop() == 0
    assert numbers(lake) == Counter(range(20))
    assert {(stream_epoch, offset) for _, stream_epoch, _, offset in rows(lake)} == {
        (stream_epoch, offset)
        for stream_epoch in (first_epoch, here.state()["stream_epoch"])
        for offset in range(10)
    }


def test_what_died_with_the_broker_is_counted(here: Machine, lake: FolderLake, broker: Command) -> None:
    sink = started_sink(here)
    produce(here, "user_info", events(0, 10), partition=0)
    wait_until(lambda: len(numbers(lake)) == 10, "the first records in the lake")
    raw, aside = lake.root / "raw", lake.root / "aside"
    raw.rename(aside)
    raw.write_text("in the way")
    produce(here, "user_info", events(10, 30), partition=0)
    wait_until(lambda: here.state().get("error"), "the sink has read what it can't write")
    sink.kill()
    broker.kill()
    raw.unlink()
    aside.rename(raw)
    here.start("broker")
    dead = here.state()["stream_epoch"]
    again = here.start("sink")
    wait_until(lambda: here.state()["stream_epoch"] != dead, "the next stream epoch")
    (lost,) = here.state()["lost_ranges"]
    assert (lost["topic"], lost["stream_epoch"], lost["partition"]) == ("user_info", dead, 0)
    assert (lost["first"], lost["last"]) == (10, 29)
    assert here.state()["lost"] == 20
    assert again.said(f"died with the broker: offsets 10 to 29 of stream epoch {dead}")
    assert sorted(numbers(lake)) == list(range(10))


def test_what_no_sink_ever_saw_is_counted_when_the_broker_dies(here: Machine, broker: Command) -> None:
    produce(here, "user_info", events(0, 30), partition=1)
    info = read_broker_file(here.home / "broker.json")
    assert info is not None
    wait_until(
        lambda: read_ends(here.home).get(info.stream_epoch, {}).get("user_info", [0, 0])[1] == 30,
        "it is written down",
    )
    broker.kill()
    here.start("broker")
    here.start("sink")
    wait_until(
        lambda: here.state().get("stream_epoch") not in (None, info.stream_epoch), "the next stream epoch"
    )
    (lost,) = here.state()["lost_ranges"]
    assert (lost["topic"], lost["stream_epoch"], lost["partition"]) == ("user_info", info.stream_epoch, 1)
    assert (lost["first"], lost["last"]) == (0, 29)
    assert info.stream_epoch not in read_ends(here.home)


def test_a_second_broker_is_refused(here: Machine, broker: Command) -> None:
    second = here.start("broker")
    assert second.process.wait(30) == 1
    assert second.said("an embedded broker runs at 127.0.0.1:")
    assert json.loads((here.home / "broker.json").read_text())["pid"] == broker.process.pid


def test_an_unwritable_lake_is_told_and_nothing_is_lost(
    here: Machine, lake: FolderLake, broker: Command
) -> None:
    here.home.mkdir(exist_ok=True)
    lake.root.write_text("in the way")
    produce(here, "user_info", events(0, 100))
    sink = here.start("sink")
    wait_until(lambda: here.state().get("error"), "the error in the state file")
    assert "lake is no folder" in here.state()["error"]
    assert sink.stop() == 1
    lake.root.unlink()
    sink = here.start("sink")
    wait_until(lambda: len(numbers(lake)) == 100, "all records in the lake")
    assert sink.stop() == 0
    assert set(rows(lake).values()) == {1}


def test_without_a_sink_producing_ends_with_the_way_out_before_anything_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streaming_assets.ingestion.producer.GIVE_UP_SECONDS", 1.0)
    settings = load_settings().changed(home=tmp_path, kafka_bootstrap_servers="")
    with embedded_cluster(settings) as broker:
        producer = EventProducer(settings)

        def overrun() -> None:
            for _ in range(30_000):
                producer.send("listen_events", b"x" * 1000)

        with pytest.raises(DeliveryError, match=r"no sink has read from it.*start `streaming-assets sink`"):
            overrun()
        reader = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "look"})
        ends = [
            reader.get_watermark_offsets(TopicPartition("listen_events", number), timeout=10)
            for number in range(PARTITIONS)
        ]
        reader.close()
    assert {low for low, _ in ends} == {0}
    assert sum(high for _, high in ends) == producer.delivered > 10_000
