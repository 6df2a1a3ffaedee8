"""Kafka's writer when the broker is slow, away, or gone for good."""

from threading import Event
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from streaming_assets.ingestion.broker import embedded_cluster
from streaming_assets.settings import Settings, load_settings
from streaming_assets.simulator.render import Lines
from streaming_assets.simulator.writers import WriteError
from streaming_assets.simulator.writers import kafka as kafka_module
from streaming_assets.simulator.writers.kafka import KafkaWriter

NOWHERE = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}


def lines(count: int) -> dict[str, Lines]:
    texts = [f'{{"ts":{number}}}' for number in range(count)]
    numbers = np.arange(count)
    return {"listen_events": Lines(numbers, pa.array(texts))}


@pytest.fixture
def settings(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("STREAMING_ASSETS_HOME", str(tmp_path))
    return load_settings()


@pytest.mark.integration
def test_a_full_queue_drops_nothing(settings: Settings) -> None:
    with embedded_cluster(settings) as broker:
        config = {"bootstrap.servers": broker.bootstrap_servers, "queue.buffering.max.messages": 10}
        writer = KafkaWriter(config, Event())
        writer.write(lines(500))
        writer.close()
        consumer_count = _count(broker.bootstrap_servers)
    assert consumer_count == 500


def test_undelivered_events_are_counted() -> None:
    writer = KafkaWriter({**NOWHERE, "message.timeout.ms": 300}, Event())
    writer.write(lines(20))
    with pytest.raises(WriteError, match=r"^20 events were not delivered to Kafka: listen_events"):
        writer.close()


def test_unacknowledged_events_are_counted_when_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_module, "FLUSH_SECONDS", 0.3)
    writer = KafkaWriter(NOWHERE, Event())
    writer.write(lines(7))
    with pytest.raises(WriteError, match=r"^7 events were not delivered to Kafka: not acknowledged"):
        writer.close()


def test_a_stop_does_not_wait_for_a_full_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_module, "FLUSH_SECONDS", 0.3)
    stop = Event()
    stop.set()
    writer = KafkaWriter({**NOWHERE, "queue.buffering.max.messages": 5}, stop)
    writer.write(lines(12))
    with pytest.raises(WriteError, match=r"^12 events were not delivered to Kafka: stopped while"):
        writer.close()


def _count(servers: str) -> int:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": servers, "group.id": "count"})
    try:
        partitions = consumer.list_topics("listen_events", timeout=10).topics["listen_events"].partitions
        bounds = (
            consumer.get_watermark_offsets(TopicPartition("listen_events", number), timeout=10)
            for number in partitions
        )
        return sum(high - low for low, high in bounds)
    finally:
        consumer.close()
