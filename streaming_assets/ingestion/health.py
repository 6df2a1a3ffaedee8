"""How far a sink is behind, and whether Connect's connectors run, as plain data."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, KafkaException, TopicPartition

from streaming_assets.ingestion.client_errors import LastError
from streaming_assets.ingestion.connect import SINK, consumer_group
from streaming_assets.ingestion.connect_rest import ConnectRest
from streaming_assets.ingestion.kafka_files import KafkaSetupError
from streaming_assets.settings import Settings


@dataclass(frozen=True)
class PartitionHealth:
    """One partition, and where a sink's group is in it.

    Attributes:
        start_offset: offset of the oldest record that is kept.
        end_offset: offset that the next record will get.
        committed_offset: offset that the group goes on from; None if it has committed none.
        newest: the newest record's time, UTC; None if there is none, or it was not had in time.
    """

    topic: str
    partition: int
    start_offset: int
    end_offset: int
    committed_offset: int | None
    newest: datetime | None

    @property
    def lag(self) -> int:
        """Records that are kept and that the group has yet to commit."""
        return self.end_offset - max(self.committed_offset or 0, self.start_offset)

    @property
    def lost(self) -> int:
        """Records that retention took before the group committed them."""
        return 0 if self.committed_offset is None else max(self.start_offset - self.committed_offset, 0)

    def age_seconds(self, now: datetime) -> float | None:
        """Age of the newest record, s; None if there is none."""
        return None if self.newest is None else (now - self.newest).total_seconds()


@dataclass(frozen=True)
class TaskHealth:
    """The connector itself (`task` None) or one of its tasks.

    `reason` is empty or, of a failed one's trace, the first line and the last cause.
    """

    task: int | None
    state: str
    worker: str
    reason: str


@dataclass(frozen=True)
class ConnectorHealth:
    """A connector and its tasks; `parts` is empty if Connect has no connector of that name."""

    name: str
    parts: tuple[TaskHealth, ...]

    @property
    def problems(self) -> list[str]:
        """What is wrong, a sentence each; empty if connector and tasks run."""
        if not self.parts:
            return [f"{self.name}: there is no such connector"]
        if len(self.parts) == 1:
            return [f"{self.name}: it has no task"]
        return [
            f"{self.name}{'' if part.task is None else f' task {part.task}'} is {part.state} on {part.worker}"
            + (f": {part.reason}" if part.reason else "")
            for part in self.parts
            if part.state != "RUNNING"
        ]


def sink_group(settings: Settings) -> str:
    """The consumer group of the sink in use: Connect's where its address is set, else the Python sink's."""
    return consumer_group(SINK) if settings.kafka.connect_url else settings.sink.group_id


def partitions_health(
    config: Mapping[str, Any], group: str, topics: Iterable[str], timeout_seconds: float = 10.0
) -> dict[str, list[PartitionHealth]]:
    """Offsets, lag and newest record of each partition, by topic; none for a topic that is not there.

    Reads offsets and at most one record a partition; it never joins the group.

    Args:
        config: librdkafka settings of a client.
        group: the sink's consumer group.
        topics: topics to look at.
        timeout_seconds: how long all of it may take.

    Raises:
        KafkaSetupError: the cluster does not answer in time.
    """
    deadline, errors = time.monotonic() + timeout_seconds, LastError()
    own = {"group.id": group, "enable.auto.commit": False, "fetch.wait.max.ms": 100}
    consumer = Consumer({**config, **own, "log_level": 0, "error_cb": errors})
    try:
        there = consumer.list_topics(timeout=timeout_seconds).topics
        found = {topic: sorted(there[topic].partitions) if topic in there else [] for topic in topics}
        places = [TopicPartition(topic, number) for topic, numbers in found.items() for number in numbers]
        committed = consumer.committed(places, timeout=_left(deadline)) if places else []
        marks = [consumer.get_watermark_offsets(place, timeout=_left(deadline)) for place in places]
        last = [
            TopicPartition(place.topic, place.partition, high - 1)
            for place, (low, high) in zip(places, marks, strict=True)
            if high > low
        ]
        newest = _newest(consumer, last, deadline)
    except KafkaException as error:
        consumer.poll(0)  # hands the errors out
        raise KafkaSetupError(
            f"Kafka at {config['bootstrap.servers']} does not answer in {timeout_seconds:g} s: {errors.reason(error)}"
        ) from error
    finally:
        consumer.close()
    health: dict[str, list[PartitionHealth]] = {topic: [] for topic in found}
    for place, (low, high), kept in zip(places, marks, committed, strict=True):
        offset = kept.offset if kept.offset >= 0 else None
        moment = newest.get((place.topic, place.partition))
        health[place.topic].append(PartitionHealth(place.topic, place.partition, low, high, offset, moment))
    return health


def connector_health(rest: ConnectRest, connector: str) -> ConnectorHealth:
    """State of a connector and its tasks.

    Raises:
        KafkaSetupError: Connect does not answer.
    """
    status = rest.status(connector)
    if status is None:
        return ConnectorHealth(connector, ())
    parts = [(None, status["connector"]), *((task["id"], task) for task in status["tasks"])]
    return ConnectorHealth(connector, tuple(_part(number, said) for number, said in parts))


def _part(task: int | None, said: Mapping[str, str]) -> TaskHealth:
    lines = said.get("trace", "").strip().splitlines()
    causes = [line for line in lines if line.startswith("Caused by: ")]
    return TaskHealth(task, said["state"], said["worker_id"], " ".join(lines[:1] + causes[-1:]))


def _newest(
    consumer: Consumer, last: list[TopicPartition], deadline: float
) -> dict[tuple[str, int], datetime]:
    """Time of the records at these offsets, by topic and partition."""
    consumer.assign(last)
    newest: dict[tuple[str, int], datetime] = {}
    while len(newest) < len(last) and time.monotonic() < deadline:
        record = consumer.poll(_left(deadline))
        if record is None or record.error():
            continue
        kind, moment = record.timestamp()
        if kind != TIMESTAMP_NOT_AVAILABLE:
            newest[record.topic() or "", record.partition() or 0] = datetime.fromtimestamp(moment / 1000, UTC)
    return newest


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.1)
