"""The no-Docker stack with a real broker."""

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from streaming_assets_tests.integration.conftest import KraftBroker

pytestmark = pytest.mark.integration


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


@pytest.mark.parametrize("crash", [False, True], ids=["restart", "kill"])
def test_records_and_address_outlive_the_broker(kraft_broker: KraftBroker, crash: bool) -> None:
    topic = kraft_broker.create_topic(partitions=1)
    values = [b"%d" % number for number in range(1000)]
    before = kraft_broker.bootstrap_servers
    produce(before, topic, values)

    if crash:
        kraft_broker.kill()
        kraft_broker.start()
    else:
        kraft_broker.restart()

    assert kraft_broker.bootstrap_servers == before
    assert consume(before, topic, len(values)) == values
