"""Addresses, security and stream epochs."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from streaming_assets.ingestion.broker_file import BrokerInfo, read_broker_file, write_broker_file
from streaming_assets.ingestion.clients import (
    BrokerError,
    consumer_config,
    embedded_broker,
    producer_config,
    stream_epoch,
)
from streaming_assets.settings import Settings


@pytest.fixture
def listening() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def test_a_broker_file_can_be_read_back(tmp_path: Path) -> None:
    info = BrokerInfo("127.0.0.1:1", "epoch-1", 7, "2025-01-01T00:00:00+00:00")
    write_broker_file(tmp_path / "new" / "broker.json", info)
    assert read_broker_file(tmp_path / "new" / "broker.json") == info
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["broker.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"bootstrap_servers": 1, "x": 2}'])
def test_another_file_is_no_broker(tmp_path: Path, text: str) -> None:
    (tmp_path / "broker.json").write_text(text)
    assert read_broker_file(tmp_path / "broker.json") is None


def test_the_embedded_brokers_address_is_found(settings: Settings, listening: str) -> None:
    write_broker_file(settings.broker_file, BrokerInfo(listening, "epoch-1", 7, ""))
    assert consumer_config(settings)["bootstrap.servers"] == listening
    assert stream_epoch(settings) == "epoch-1"


def test_a_broker_that_is_still_starting_is_waited_for(settings: Settings, listening: str) -> None:
    def start() -> None:
        time.sleep(0.3)
        write_broker_file(settings.broker_file, BrokerInfo(listening, "late", 7, ""))

    thread = threading.Thread(target=start)
    thread.start()
    info = embedded_broker(settings, wait_seconds=10)
    thread.join()
    assert info is not None
    assert info.stream_epoch == "late"


def test_a_dead_brokers_file_does_not_count(settings: Settings) -> None:
    write_broker_file(settings.broker_file, BrokerInfo(free_address(), "dead", 7, ""))
    with pytest.raises(
        BrokerError, match=r"streaming-assets broker.*STREAMING_ASSETS_KAFKA_BOOTSTRAP_SERVERS"
    ):
        embedded_broker(settings, wait_seconds=0.2)


def test_a_durable_cluster_has_no_epoch_and_needs_no_file(settings: Settings) -> None:
    settings.kafka.bootstrap_servers = "kafka-1:9092,kafka-2:9092"
    assert stream_epoch(settings) is None
    config = producer_config(settings)
    assert config["bootstrap.servers"] == "kafka-1:9092,kafka-2:9092"
    assert config["enable.idempotence"] is True


def test_security_reaches_the_client_and_the_password_stays_secret(settings: Settings) -> None:
    settings.kafka.bootstrap_servers = "kafka:9093"
    settings.kafka.security_protocol = "SASL_SSL"
    settings.kafka.sasl_mechanism = "SCRAM-SHA-512"
    settings.kafka.sasl_username = "sink"
    settings.kafka.sasl_password = SecretStr("hunter2")
    settings.kafka.ca_file = Path("/etc/ca.pem")
    for config in (producer_config(settings), consumer_config(settings)):
        assert config["security.protocol"] == "SASL_SSL"
        assert config["sasl.mechanism"] == "SCRAM-SHA-512"
        assert config["sasl.username"] == "sink"
        assert config["sasl.password"] == "hunter2"
        assert config["ssl.ca.location"] == "/etc/ca.pem"
        assert "hunter2" not in repr(config)
        assert "hunter2" not in str(config)
    assert "hunter2" not in repr(settings)


def test_the_sink_commits_by_itself_only(settings: Settings) -> None:
    settings.kafka.bootstrap_servers = "kafka:9092"
    settings.sink.group_id = "group-1"
    config = consumer_config(settings)
    assert config["group.id"] == "group-1"
    assert config["enable.auto.commit"] is False
    assert config["auto.offset.reset"] == "earliest"
