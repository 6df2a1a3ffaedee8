"""The embedded broker: librdkafka's in-process cluster, for a first look without Java or Docker.

It listens on loopback and keeps records in memory only. A partition holds 5 MiB or 100,000 batches; beyond
that the oldest records go, silently, so a sink has to run beside it (the sink counts what it missed).
"""

import logging
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # pyright: ignore[reportPrivateImportUsage]

from streaming_assets.events import TOPICS
from streaming_assets.ingestion.broker_file import BrokerInfo, read_broker_file, write_broker_file, write_ends
from streaming_assets.ingestion.clients import BrokerError, answers
from streaming_assets.settings import Settings

PARTITION_BYTES = 5 * 1024 * 1024  # what a partition of the in-process cluster holds
PARTITIONS = 4  # of each topic
ENDS_SECONDS = 0.05  # between two notes of how much the broker has taken; 0.3 ms of CPU each

_log = logging.getLogger(__name__)


@contextmanager
def embedded_cluster(settings: Settings) -> Iterator[BrokerInfo]:
    """Host a broker while the context is open; its address is in `settings.broker_file`.

    Raises:
        BrokerError: another one runs in the same home folder.
    """
    running = read_broker_file(settings.broker_file)
    if running and answers(running.bootstrap_servers):
        raise BrokerError(
            f"an embedded broker runs at {running.bootstrap_servers} already (process {running.pid}, "
            f"{settings.broker_file}): stop it, or choose another home folder"
        )
    quiet = logging.getLogger(f"{__name__}.cluster")
    quiet.setLevel(logging.CRITICAL)
    host = Producer({"test.mock.num.brokers": 1}, logger=quiet)
    for topic in TOPICS:
        host.list_topics(topic, timeout=10)  # makes it
    (broker,) = host.list_topics(timeout=10).brokers.values()
    started = datetime.now(UTC)
    info = BrokerInfo(
        bootstrap_servers=f"{broker.host}:{broker.port}",
        stream_epoch=f"embedded-{started:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}",
        pid=os.getpid(),
        started_at=started.isoformat(timespec="milliseconds"),
    )
    write_broker_file(settings.broker_file, info)
    try:
        yield info
    finally:
        if read_broker_file(settings.broker_file) == info:
            settings.broker_file.unlink()
        host.flush(0)  # keeps the cluster, which lives as long as this client does, up to here


def keep_ends(settings: Settings, info: BrokerInfo, stop: threading.Event) -> None:
    """Write down how much the broker has taken, every `ENDS_SECONDS`, until `stop`: after a kill it tells what died."""
    admin = AdminClient({"bootstrap.servers": info.bootstrap_servers})
    latest: Any = OffsetSpec.latest()
    asked = {TopicPartition(topic, number): latest for topic in TOPICS for number in range(PARTITIONS)}
    former: dict[str, list[int]] = {}
    trouble = ""
    while True:
        last = stop.wait(ENDS_SECONDS)
        ends: dict[str, list[int]] = {}
        try:
            for partition, answer in admin.list_offsets(asked, request_timeout=5).items():
                ends.setdefault(partition.topic, []).append(answer.result().offset)
            if ends != former:
                write_ends(settings.home, info.stream_epoch, ends)
                former = ends
            trouble = ""
        except (KafkaException, OSError) as error:
            if str(error) != trouble:  # told once, not at each attempt
                trouble = str(error)
                _log.warning("what the broker has taken is not written down: %s", trouble)
        if last:
            return
