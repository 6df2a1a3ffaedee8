"""Traffic: simulated events into Kafka, and a durable record of what became of each.

    python -m streaming_assets_tests.soak.traffic RECORD EVENTS_PER_SECOND SEED [clean]

Runs until SIGTERM, then waits until all that it sent is acknowledged. Some events are sent twice and, unless the
traffic is to be clean, some are mistyped and some no JSON. What a dead embedded broker did not acknowledge is sent
again to the next one.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from confluent_kafka import KafkaError, Message, Producer

from streaming_assets.events import DEFAULT_TOPICS
from streaming_assets.ingestion.broker_file import read_broker_file
from streaming_assets.ingestion.clients import BrokerError, producer_config, stream_epoch
from streaming_assets.settings import Settings, load_settings
from streaming_assets_tests.simulator.runs import WEEK, plan, run

USERS = 150
LENGTH = 26 * WEEK  # some 300,000 events
SYNC_SECONDS = 0.5
FLUSH_SECONDS = 180
# Of so many events one is ...
REPEATED, MISTYPED, MALFORMED = 37, 61, 89


@dataclass(frozen=True)
class Sent:
    """An event that was sent; without an offset if the broker died before it acknowledged it.

    Attributes:
        stream_epoch: the embedded broker's; None on a durable cluster.
        ms: the record's time as the broker has it, milliseconds since 1970; the embedded one does not tell.
        value: the event's text.
    """

    stream_epoch: str | None
    topic: str
    value: str
    partition: int | None = None
    offset: int | None = None
    ms: int | None = None


def read_record(path: Path) -> list[Sent]:
    """What a run of this module recorded; a last line that a kill cut short does not count."""
    lines = path.read_text().split("\n")[:-1]
    return [Sent(**json.loads(line)) for line in lines]


def events(seed: int, is_clean: bool) -> Iterator[tuple[str, str]]:
    """(topic, text): a simulation's events in the order of their time, with some bad ones among them or without."""
    simulated = run(plan(users=USERS, growth=1.0, seed=seed), LENGTH, topics=DEFAULT_TOPICS).lines
    merged = sorted(
        (json.loads(line)["ts"], topic, line.decode()) for topic, lines in simulated.items() for line in lines
    )
    for number, (_, topic, text) in enumerate(merged, start=1):
        if number % MALFORMED == 0 and not is_clean:
            yield topic, f'{{"number": {number}, "cut sh'
        elif number % MISTYPED == 0 and not is_clean:
            yield topic, json.dumps(json.loads(text) | {"userId": f"user {number}"})
        else:
            yield topic, text
        if number % REPEATED == 0:
            yield topic, text


class Record:
    """The file, one line an event; synced to the disk every now and then."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._synced = time.monotonic()

    def add(self, sent: Sent) -> None:
        self._file.write(json.dumps(asdict(sent)) + "\n")

    def sync(self, now: bool = False) -> None:
        if now or time.monotonic() - self._synced > SYNC_SECONDS:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()


class Connection:
    """A producer within one stream epoch of the broker."""

    def __init__(self, settings: Settings, record: Record) -> None:
        self._settings = settings
        self._record = record
        self.stream_epoch = stream_epoch(settings)
        self.unsettled: list[tuple[str, str]] = []  # what the broker died over
        self._producer = Producer(producer_config(settings) | {"message.timeout.ms": FLUSH_SECONDS * 1000})

    def send(self, topic: str, text: str, at: datetime | None = None) -> None:
        ms = round(at.timestamp() * 1000) if at else 0  # 0: now

        def settled(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._record.add(Sent(self.stream_epoch, topic, text))
                self.unsettled.append((topic, text))
            else:
                stamped = message.timestamp()[1] if self.stream_epoch is None else None
                self._record.add(
                    Sent(self.stream_epoch, topic, text, message.partition(), message.offset(), stamped)
                )

        self._producer.produce(topic, text.encode(), on_delivery=settled, timestamp=ms)
        self._producer.poll(0)

    def is_over(self) -> bool:
        """Whether the embedded broker that this producer knows is gone."""
        if self.stream_epoch is None:
            return False
        info = read_broker_file(self._settings.broker_file)
        return info is not None and info.stream_epoch != self.stream_epoch

    def give_up(self) -> list[tuple[str, str]]:
        """Forget what is under way; returns it."""
        self._producer.purge()
        self._producer.flush(10)
        return self.unsettled

    def flush(self) -> int:
        """Wait for acknowledgements; how many are still missing."""
        return self._producer.flush(1)


def main(path: Path, rate: float, seed: int, is_clean: bool) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    settings = load_settings()
    with open(path, "a") as file:
        record = Record(file)
        connection = _connect(settings, record)
        begun = time.monotonic()
        for sent, (topic, text) in enumerate(events(seed, is_clean), start=1):
            if connection.is_over():
                connection = _next_epoch(connection, settings, record)
            connection.send(topic, text)
            record.sync()
            if stop.wait(max(begun + sent / rate - time.monotonic(), 0)):
                break
        deadline = time.monotonic() + FLUSH_SECONDS
        while connection.flush() and time.monotonic() < deadline:
            if connection.is_over():
                connection = _next_epoch(connection, settings, record)
        record.sync(now=True)


def _next_epoch(connection: Connection, settings: Settings, record: Record) -> Connection:
    left = connection.give_up()
    following = _connect(settings, record)
    for topic, text in left:
        following.send(topic, text)
    return following


def _connect(settings: Settings, record: Record) -> Connection:
    while True:
        with suppress(BrokerError):
            return Connection(settings, record)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4:] == ["clean"])
