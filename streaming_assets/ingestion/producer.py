"""Producing events without losing any: back-pressure, delivery reports, and the embedded broker's limits."""

import threading
import time
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from streaming_assets.ingestion.broker import PARTITION_BYTES, PARTITIONS
from streaming_assets.ingestion.clients import client_config, embedded_broker, producer_config
from streaming_assets.settings import Settings

FLUSH_SECONDS = 60.0
LOOK_BYTES = 1024 * 1024  # produced between two looks at how far the sink is
BACKLOG_BYTES = PARTITION_BYTES * 3 // 5  # of a partition, above which the embedded broker gets nothing more
PATIENCE_SECONDS = 10.0  # without a commit of the sink, before its user is told
GIVE_UP_SECONDS = 60.0


class DeliveryError(Exception):
    """The broker did not take some records; the message says how many and why."""


class RecordTooLarge(Exception):
    """One record is larger than the client may send; nothing else is wrong."""


class EventProducer:
    """Sends events, their bytes as they are, without a key.

    The embedded broker forgets its oldest records when a partition exceeds 5 MiB, so sending to it waits for
    the sink; `on_wait` is told if that takes long.

    Attributes:
        delivered: records that the broker has acknowledged.
        refused: records that the broker found too large, though the client did not.
    """

    def __init__(self, settings: Settings, on_wait: Callable[[str], None] = lambda _: None) -> None:
        self.delivered = self.refused = 0
        self._failed = 0
        self._reason = ""
        self._producer = Producer(producer_config(settings))
        self._pace = pace_of(settings, on_wait)

    def send(self, topic: str, value: bytes) -> None:
        """Queue one event; waits while the queue is full or the embedded broker is.

        Raises:
            DeliveryError: earlier events were not delivered.
            RecordTooLarge: this one will never be; the next may be sent.
        """
        if self._pace and self._pace.due(topic, len(value)):
            self.flush()
            self._pace.wait()
        while True:
            try:
                self._producer.produce(topic, value, on_delivery=self._delivered)
                break
            except BufferError:
                self._producer.poll(0.1)
                self._check()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE:
                    raise
                raise RecordTooLarge(error.args[0].str()) from None
        self._producer.poll(0)

    def flush(self) -> None:
        """Wait until all queued events are acknowledged. Raises DeliveryError if some are not."""
        left = self._producer.flush(FLUSH_SECONDS)
        self._check()
        if left:
            raise DeliveryError(f"{left} records are not acknowledged after {FLUSH_SECONDS:g} s")

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self.delivered += 1
        elif error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            self.refused += 1
        else:
            self._failed += 1
            self._reason = error.str()

    def _check(self) -> None:
        if self._failed:
            raise DeliveryError(f"{self._failed} records were not delivered: {self._reason}")


def pace_of(settings: Settings, on_wait: Callable[[str], None]) -> "Pace | None":
    """What sending must keep to; None for a durable cluster, which keeps what it has.

    Raises:
        BrokerError: the embedded broker is to be used and does not run.
    """
    return Pace(settings, on_wait) if embedded_broker(settings) else None


class Pace:
    """Keeps what the sink has not committed yet within what a partition of the embedded broker holds."""

    def __init__(self, settings: Settings, on_wait: Callable[[str], None]) -> None:
        self._on_wait = on_wait
        self._observer = Consumer(client_config(settings) | {"group.id": settings.sink.group_id})
        self._bytes: dict[str, int] = {}
        self._records: dict[str, int] = {}
        self._since_look = 0

    def due(self, topic: str, size: int) -> bool:
        """Count an event of `size` bytes; whether it is time to flush, then `wait`."""
        self._bytes[topic] = self._bytes.get(topic, 0) + size
        self._records[topic] = self._records.get(topic, 0) + 1
        self._since_look += size
        return self._since_look >= LOOK_BYTES

    def wait(self, stop: threading.Event | None = None) -> None:
        """Return when the sink has caught up enough, or at `stop`. All counted events must be acknowledged.

        Raises:
            DeliveryError: the sink commits nothing; all that was sent before is in the broker.
        """
        self._since_look = 0
        stop = stop or threading.Event()
        seen, since, told = -1, time.monotonic(), False
        while True:
            backlog, committed = self._look()
            if backlog <= BACKLOG_BYTES or stop.wait(0.05):
                return
            now = time.monotonic()
            if committed > seen:
                seen, since = committed, now
            if now - since >= GIVE_UP_SECONDS:
                raise DeliveryError(
                    f"the embedded broker is full, and no sink has read from it for {GIVE_UP_SECONDS:g} s: "
                    "start `streaming-assets sink`"
                )
            if now - since >= PATIENCE_SECONDS and not told:
                self._on_wait("the embedded broker is full: waiting for `streaming-assets sink` to catch up")
                told = True

    def _look(self) -> tuple[float, int]:
        """Bytes, about, of the fullest partition that are not in the lake yet, and the sum of commits."""
        partitions = [TopicPartition(topic, number) for topic in self._bytes for number in range(PARTITIONS)]
        try:
            committed = self._observer.committed(partitions, timeout=5)
            ends = [self._observer.get_watermark_offsets(one, timeout=5)[1] for one in partitions]
        except KafkaException:
            return 0, 0  # the broker is gone, which delivery reports tell
        positions = [max(one.offset, 0) for one in committed]
        backlogs = [
            (end - position) * self._bytes[one.topic] / self._records[one.topic]
            for one, end, position in zip(partitions, ends, positions, strict=True)
        ]
        return max(backlogs), sum(positions)
