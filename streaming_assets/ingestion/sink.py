"""The Python sink: from Kafka's topics to the lake's objects, at least once, folding replays.

Offsets are committed when the objects that hold their records are in place, never before. Memory is bounded:
buffered lines by `sink_flush_bytes`, what the client fetches ahead by its own settings; while the lake can't
be written, partitions are paused.
"""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streaming_assets.events import TOPICS
from streaming_assets.ingestion.broker import PARTITIONS
from streaming_assets.ingestion.broker_file import read_broker_file
from streaming_assets.ingestion.buffer import Buffer, Rows, Slot
from streaming_assets.ingestion.clients import BrokerError, answers, consumer_config, stream_epoch
from streaming_assets.ingestion.placing import Placed, place
from streaming_assets.ingestion.sink_state import PartitionState, SinkState
from streaming_assets.ingestion.stream_epochs import note_died
from streaming_assets.lake.store import Lake, LakeError
from streaming_assets.settings import Settings

BATCH = 5000  # records taken from the client at once
POLL_SECONDS = 0.2
REPORT_SECONDS = 10.0  # between two writes of the state file
LOG_SECONDS = 60.0  # between two lines of the log that say how far it is
RETRY_SECONDS = 5.0
LOOK_SECONDS = 1.0  # between two looks at whether the embedded broker's stream epoch goes on
DRAIN_SECONDS = 1.5
COMMITTED_SECONDS = 10.0
# The embedded broker drops what exceeds 5 MiB a partition, and whoever produces waits for commits before that
# (`producer.BACKLOG_BYTES`), so less than that must be enough for a flush.
EMBEDDED_FLUSH_BYTES = 2 * 1024 * 1024
REMEMBERED_SLOTS = 10_000
WRITERS = 8  # objects written at the same time

_log = logging.getLogger(__name__)
_client_log = logging.getLogger(f"{__name__}.client")
_client_log.setLevel(logging.CRITICAL)  # what matters comes through the error callback


def run_sink(settings: Settings, lake: Lake, stop: threading.Event, instance: str = "") -> SinkState:
    """Carry records to the lake until `stop` is set; what was read by then is in place at return.

    Args:
        settings: broker, group, flush limits, home folder.
        lake: where objects go.
        stop: set by whoever wants the sink to end.
        instance: name that is unique in the group and kept over restarts; empty if there is one sink only.

    Raises:
        BrokerError: there is no embedded broker to read from, or the broker refuses this client for good.
        LakeError: the lake could not be written at the end; Kafka still has what was not committed.
    """
    state = SinkState(settings.home / (f"sink-{instance}.json" if instance else "sink.json"))
    while not stop.is_set():
        current = stream_epoch(settings)
        if not instance:  # the embedded broker has one sink
            note_died(state, current, lake, settings.dead_letter_topic)
        state.stream_epoch = current
        _Session(settings, lake, state, instance).run(stop)
    return state


class _Session:
    """One membership in the consumer group, within one stream epoch of the broker."""

    def __init__(self, settings: Settings, lake: Lake, state: SinkState, instance: str) -> None:
        self._settings = settings
        self._lake = lake
        self._state = state
        self._flush_bytes = settings.sink.flush_bytes
        if state.stream_epoch is not None:
            self._flush_bytes = min(self._flush_bytes, EMBEDDED_FLUSH_BYTES)
        self._buffer = Buffer(settings.first_hour)
        self._oldest = 0.0  # when the buffer got its first record
        self._reached: dict[Slot, int] = {}  # last offset in place, of slots that were flushed lately
        self._retry_at: float | None = None  # set while the lake can't be written
        config = consumer_config(settings, instance) | {"error_cb": self._note}
        self._consumer = Consumer(config, logger=_client_log)
        self._fatal = ""
        self._noted = self._reported = ""  # the last of each, not to say the same again
        self._log_at = 0.0  # when the next line of the log is due

    def run(self, stop: threading.Event) -> None:
        """Carry records until `stop` is set or the broker's stream epoch ends, then flush."""
        if (
            self._epoch_is_over()
        ):  # between two looks at the broker's file: this client may have the next one's
            self._consumer.close()
            return
        self._state.partitions.clear()
        self._tell()
        self._join()
        look_at = report_at = time.monotonic()
        with ThreadPoolExecutor(WRITERS) as self._writers:
            try:
                while not stop.is_set():
                    self._take(self._consumer.consume(BATCH, POLL_SECONDS))
                    now = time.monotonic()
                    self._flush_if_due(now)
                    if now >= report_at:
                        self._report()
                        report_at = now + REPORT_SECONDS
                    if now >= look_at:
                        if self._epoch_is_over():
                            break
                        look_at = now + LOOK_SECONDS
                    if self._fatal:
                        raise BrokerError(self._fatal)
                self._drain()
                self._flush()
                if self._state.error:
                    raise LakeError(self._state.error)
            finally:
                self._report(last=True)
                self._buffer.drop(list(self._state.partitions))  # what the lake did not take stays in Kafka
                self._consumer.close()

    def _join(self) -> None:
        if self._state.stream_epoch is None:
            self._consumer.subscribe(
                list(TOPICS), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
            return
        # The embedded broker has one sink, which need not wait seconds for a group of one.
        mine = [TopicPartition(topic, number) for topic in TOPICS for number in range(PARTITIONS)]
        self._on_assign(self._consumer, mine)
        self._consumer.assign(
            [
                TopicPartition(own.topic, own.partition, own.position or 0)
                for own in self._state.partitions.values()
            ]
        )

    def _take(self, messages: list[Message]) -> None:
        partitions, buffer, state = self._state.partitions, self._buffer, self._state
        if not buffer.size:
            self._oldest = time.monotonic()
        for message in messages:
            if (error := message.error()) is not None:
                self._note(error)
                continue
            # A message without an error has all three.
            topic: str = message.topic()  # pyright: ignore[reportAssignmentType]
            partition: int = message.partition()  # pyright: ignore[reportAssignmentType]
            offset: int = message.offset()  # pyright: ignore[reportAssignmentType]
            own = partitions.get((topic, partition))
            if own is None:
                continue  # moved to another instance while this batch was collected
            if offset != own.position and own.position is not None:
                self._jump(own, own.position, offset)
            own.position = offset + 1
            value = message.value()
            state.records += 1
            state.bytes_read += len(value or b"")
            if not buffer.add(topic, partition, offset, message.timestamp()[1], value):
                state.dead_letters += 1

    def _jump(self, own: PartitionState, position: int, offset: int) -> None:
        if offset > position:
            self._state.add_lost(own.topic, self._state.stream_epoch, own.partition, position, offset - 1)
            _log.error(
                "the broker dropped records of %s, partition %d, before they were read: offsets %d to %d",
                *(own.topic, own.partition, position, offset - 1),
            )
            return
        _log.warning(
            "offsets of %s, partition %d, went back from %d to %d: the topic was made anew or cut short",
            *(own.topic, own.partition, position, offset),
        )
        if not self._flush():  # rows are buffered in offset order
            raise LakeError(str(self._state.error))
        self._forget_reached({(own.topic, own.partition)})

    def _flush_if_due(self, now: float) -> None:
        if self._retry_at is not None:
            # The lake can't be written: stay in the group, take nothing more, try again.
            self._consumer.pause(self._consumer.assignment())
            due = now >= self._retry_at
        else:
            old = now - self._oldest >= self._settings.sink.flush_seconds
            due = self._buffer.size >= self._flush_bytes or (self._buffer.size > 0 and old)
        if due and self._flush() and self._retry_at is not None:
            self._retry_at = None
            self._consumer.resume(self._consumer.assignment())

    def _flush(self) -> bool:
        """Put all rows in place, then commit; whether the lake took them."""
        self._state.error = None
        slots = list(self._buffer.slots.items())
        if not slots:
            return True
        for (slot, _), placed in zip(slots, self._writers.map(self._try_place, slots), strict=True):
            if isinstance(placed, LakeError):
                self._state.error = str(placed)
                continue
            self._state.objects += placed.objects
            self._state.bytes_written += placed.bytes
            self._reached[slot] = placed.last_offset
            self._buffer.remove(slot)
        if self._state.error:
            _log.error("%s; trying again in %g s", self._state.error, RETRY_SECONDS)
            self._retry_at = time.monotonic() + RETRY_SECONDS
            self._tell()
            return False
        self._commit()
        self._tell()
        if len(self._reached) > REMEMBERED_SLOTS:
            self._reached.clear()
        return True

    def _try_place(self, item: tuple[Slot, Rows]) -> Placed | LakeError:
        slot, rows = item
        name = slot.object_name(self._state.stream_epoch, self._settings.dead_letter_topic)
        try:
            return place(self._lake, name, rows, self._reached.get(slot))
        except LakeError as error:
            return error

    def _commit(self) -> None:
        moved = [own for own in self._state.partitions.values() if own.position != own.committed]
        if not moved or self._epoch_is_over():
            return
        offsets = [TopicPartition(own.topic, own.partition, own.position or 0) for own in moved]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            # Nothing is lost: the next flush commits these too, and whoever reads them again folds them.
            _log.warning("offsets not committed: %s", error.args[0].str())
            return
        for partition in moved:
            partition.committed = partition.position

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            known = consumer.committed(partitions, timeout=COMMITTED_SECONDS)
        except KafkaException as error:
            _log.warning("committed offsets unknown: %s", error.args[0].str())
            known = partitions
        for one in known:
            # A stream epoch of the embedded broker begins at 0; a durable topic's oldest record may be any.
            start = one.offset if one.offset >= 0 else 0 if self._state.stream_epoch else None
            self._state.partitions[one.topic, one.partition] = PartitionState(
                one.topic, one.partition, start, start
            )
        _log.info("assigned %s", _listed(partitions))

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._flush()
        self._forget(partitions)
        _log.info("revoked %s", _listed(partitions))

    def _on_lost(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._forget(partitions)  # another instance has them and reads on from what was committed
        _log.warning("lost %s", _listed(partitions))

    def _forget(self, partitions: list[TopicPartition]) -> None:
        gone = {(one.topic, one.partition) for one in partitions}
        self._buffer.drop(gone)
        self._forget_reached(gone)
        for key in gone:
            self._state.partitions.pop(key, None)

    def _forget_reached(self, gone: set[tuple[str, int]]) -> None:
        self._reached = {s: o for s, o in self._reached.items() if (s.topic, s.partition) not in gone}

    def _drain(self) -> None:
        """Read on for a moment: what was produced just before the embedded broker stops dies with it."""
        deadline = time.monotonic() + (DRAIN_SECONDS if self._state.stream_epoch else 0)
        while self._retry_at is None and time.monotonic() < deadline:
            messages = self._consumer.consume(BATCH, POLL_SECONDS)
            self._take(messages)
            self._flush_if_due(time.monotonic())
            if not messages:
                return

    def _epoch_is_over(self) -> bool:
        if self._state.stream_epoch is None:
            return False
        broker = read_broker_file(self._settings.broker_file)
        if broker is None or broker.stream_epoch != self._state.stream_epoch:
            return True
        return not answers(broker.bootstrap_servers)

    def _report(self, last: bool = False) -> None:
        for own in self._state.partitions.values():
            high = self._consumer.get_watermark_offsets(
                TopicPartition(own.topic, own.partition), cached=True
            )[1]
            own.end = high if high >= 0 else None
        self._tell()
        now = time.monotonic()
        if str(self._state) != self._reported and (last or now >= self._log_at):
            self._reported = str(self._state)
            self._log_at = now + LOG_SECONDS
            _log.info("%s", self._reported)

    def _tell(self) -> None:
        try:
            self._state.write()
        except OSError as error:  # a full disk, which the lake's own errors tell better
            _log.warning("can't write %s: %s", self._state.path, error.strerror)

    def _note(self, error: KafkaError) -> None:
        # A topic that nobody has made yet is no fault: it is read from its beginning once it is there.
        # The client reconnects by itself, many times a second; that all brokers are down, it says once.
        if error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._TRANSPORT):
            return
        if error.code() == KafkaError._FATAL:
            self._fatal = f"the broker refuses this sink: {error.str()}"
        if error.str() != self._noted:
            self._noted = error.str()
            _log.warning("%s", self._noted)


def _listed(partitions: list[TopicPartition]) -> str:
    return ", ".join(f"{one.topic}[{one.partition}]" for one in partitions) or "nothing"
