"""Events into Kafka: no key, the JSON object as value, as the original sends them."""

from collections.abc import Mapping
from threading import Event
from typing import Any

import pyarrow as pa
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streaming_assets.ingestion.producer import DeliveryError, Pace
from streaming_assets.simulator.render import Lines
from streaming_assets.simulator.writers import WriteError

FLUSH_SECONDS = 10.0
_POLL_EVERY = 1000  # messages


class KafkaWriter:
    """Produces with `config` (librdkafka's settings), no faster than `pace`, if the broker needs one, allows.

    A full local queue makes it wait, so that nothing is dropped; after `stop` it waits no more, and counts.
    """

    line_end = ""
    deputy = None  # several producers would mix up the order within a partition

    def __init__(self, config: Mapping[str, Any], stop: Event, pace: Pace | None = None) -> None:
        self._stop = stop
        self._pace = pace
        self._failed = 0
        self._first_error = ""
        self._producer = Producer(
            {**config, "delivery.report.only.error": True, "on_delivery": self._on_delivery}
        )

    def skip(self, counts: Mapping[str, int]) -> None:
        """Kafka numbers its records itself."""

    def write(self, lines: Mapping[str, Lines]) -> None:
        """Hand each topic's events to the producer.

        Raises:
            WriteError: the broker refuses them for good.
        """
        for topic, part in lines.items():
            for number, value in enumerate(part.text.cast(pa.binary()).to_pylist()):
                self._produce(topic, value)
                if number % _POLL_EVERY == 0:
                    self._producer.poll(0)
                if self._pace and self._pace.due(topic, len(value)):
                    self._keep_to(self._pace)

    def _keep_to(self, pace: Pace) -> None:
        self._producer.flush(FLUSH_SECONDS)
        try:
            pace.wait(self._stop)
        except DeliveryError as error:
            raise WriteError(str(error)) from None

    def close(self) -> None:
        """Wait for what is under way.

        Raises:
            WriteError: events were not delivered; the message counts them.
        """
        if self._producer.flush(FLUSH_SECONDS):
            self._first_error = self._first_error or f"not acknowledged within {FLUSH_SECONDS:g} s"
            self._producer.purge()  # what is left fails, and is counted, now
            self._producer.flush(FLUSH_SECONDS)
        self._producer.close()
        if self._failed:
            raise WriteError(f"{self._failed:,} events were not delivered to Kafka: {self._first_error}")

    def _produce(self, topic: str, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(topic, value)
                return
            except BufferError:
                if self._stop.is_set():
                    self._fail("stopped while the broker did not keep up")
                    return
                self._producer.poll(0.1)
            except KafkaException as error:
                raise WriteError(f"Kafka refuses an event of {topic}: {error}") from error

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._fail(f"{message.topic()}: {error.str()}")

    def _fail(self, reason: str) -> None:
        self._failed += 1
        self._first_error = self._first_error or reason
