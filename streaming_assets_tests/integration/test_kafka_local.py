"""`streaming-assets kafka` and `topics` with a real broker."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions
from dotenv import dotenv_values

from streaming_assets.ingestion import health
from streaming_assets.ingestion.topics import Topic, cluster_topics, differences, reconcile, wanted_topics
from streaming_assets.settings import load_settings
from streaming_assets_tests.integration.conftest import KraftBroker

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("kraft")]

BOOTSTRAP = "STREAMING_ASSETS_KAFKA_BOOTSTRAP_SERVERS"
Command = Callable[..., str]


def produce(bootstrap_servers: str, topic: str, values: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap_servers, "acks": "all"})
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(30) == 0


def consume(bootstrap_servers: str, topic: str, count: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "test"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    records = consumer.consume(count, timeout=30)
    consumer.close()
    return [record.value() or b"" for record in records]


def processes_of(home: Path) -> list[str]:
    """Command lines of live processes that name a folder."""
    listed = subprocess.run(["ps", "-ww", "-eo", "stat=,args="], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if str(home) in line and not line.startswith("Z")]


@pytest.fixture
def command(tmp_path: Path, kraft_broker: KraftBroker) -> Iterator[Command]:
    """`streaming-assets ...` with a home of its own; ends what it leaves. Waits for the shared downloads."""
    home = tmp_path / "home"
    environment = {
        **os.environ,
        "STREAMING_ASSETS_HOME": str(home),
        "STREAMING_ASSETS_KAFKA_DOWNLOADS": str(kraft_broker.stack.place.downloads),
    }

    def run(*arguments: str, code: int = 0, **more: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "streaming_assets.cli", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**environment, **more},
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    yield run
    run("kafka", "down")
    assert processes_of(home) == []


def test_a_crashed_broker_comes_back_with_its_records(kraft_broker: KraftBroker) -> None:
    topic = kraft_broker.create_topic(partitions=1)
    values = [b"%d" % number for number in range(1000)]
    address = kraft_broker.bootstrap_servers
    produce(address, topic, values)

    kraft_broker.kill()
    kraft_broker.start()

    assert kraft_broker.bootstrap_servers == address
    assert consume(address, topic, len(values)) == values


def test_up_topics_down_and_up_again(command: Command, tmp_path: Path) -> None:
    home = tmp_path / "home"
    values = [b"%d" % number for number in range(100)]

    said = command("kafka", "up", "--no-connect")
    variables = dotenv_values(home / "kafka" / "env")
    address = variables[BOOTSTRAP] or ""
    assert f"export {BOOTSTRAP}={address}" in said
    assert variables.keys() == {BOOTSTRAP, "STORAGE_EMULATOR_HOST"}
    assert (home / "lake").is_dir()
    assert len(processes_of(home)) == 2
    produce(address, "listen_events", values)

    differences_are_shown_then_made(command, address)

    assert "starting" not in command("kafka", "up", "--no-connect")
    assert "stopped: emulator, broker" in command("kafka", "down")
    assert processes_of(home) == []
    assert not (home / "kafka" / "env").exists()

    command("kafka", "up", "--no-connect")
    assert dotenv_values(home / "kafka" / "env") == variables
    assert consume(address, "listen_events", len(values)) == values


def differences_are_shown_then_made(command: Command, address: str) -> None:
    client = AdminClient({"bootstrap.servers": address})
    wanted = wanted_topics("local", load_settings())
    assert differences(wanted, *cluster_topics(client)) == []
    more = NewPartitions("listen_events", 4)
    client.create_partitions([more])["listen_events"].result(30)
    reconcile(client, [Topic("user_info", 3, 1, {"retention.ms": "5000"})])
    client.delete_topics(["auth_events"], operation_timeout=30)["auth_events"].result(30)

    shown = command("topics", code=1, **{BOOTSTRAP: address})
    made = command("topics", "--apply", code=1, **{BOOTSTRAP: address})

    for said in (shown, made):
        assert re.search(r"auth_events +│ topic +│ +│ 3 partitions, 1 replicas", said)
        assert re.search(r"user_info +│ retention.ms +│ 5000 +│ 604800000 +│ yes", said)
        assert re.search(
            r"listen_events +│ partitions +│ 4 +│ 3 +│ no: Kafka can't take partitions away", said
        )
    (left,) = differences(wanted, *cluster_topics(client))
    assert (left.topic.name, left.what) == ("listen_events", "partitions")


def test_what_the_cluster_refuses_is_told(kraft_broker: KraftBroker) -> None:
    client = AdminClient({"bootstrap.servers": kraft_broker.bootstrap_servers})
    name = kraft_broker.create_topic(partitions=1)
    wanted = Topic(name, 1, 1, {"retention.ms": "soon"})

    (refused,) = reconcile(client, [wanted])
    (made,) = reconcile(client, [replace(wanted, config={"retention.ms": "7000"})])

    assert "soon for configuration retention.ms" in refused.refusal
    assert made.refusal == ""
    assert cluster_topics(client)[0][name].config["retention.ms"] == "7000"


def test_lag_of_a_real_group(kraft_broker: KraftBroker) -> None:
    topic = kraft_broker.create_topic(partitions=2)
    config = {"bootstrap.servers": kraft_broker.bootstrap_servers}
    produce(kraft_broker.bootstrap_servers, topic, [b"x"] * 20)
    group = load_settings().sink.group_id
    sink = Consumer({**config, "group.id": group})
    sink.commit(offsets=[TopicPartition(topic, 0, 15)], asynchronous=False)
    sink.close()

    first, second = health.partitions_health(config, group, [topic])[topic]

    assert (first.end_offset, first.committed_offset, first.lag) == (20, 15, 5)
    assert first.newest is not None
    assert (second.end_offset, second.committed_offset, second.newest) == (0, None, None)
