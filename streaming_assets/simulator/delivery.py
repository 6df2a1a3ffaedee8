"""A simulation from its source to its destination, until its end or a signal."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Literal

from streaming_assets.settings import load_settings
from streaming_assets.simulator.processes import open_source
from streaming_assets.simulator.progress import Reporter
from streaming_assets.simulator.run import Span, batches
from streaming_assets.simulator.simulation import Plan
from streaming_assets.simulator.times import as_iso
from streaming_assets.simulator.writers import WriteError, Writer


@dataclass(frozen=True)
class Target:
    """Where events go.

    Attributes:
        output: folder of the files, or the lake's URL; None for `output` and the settings' lake.
        daily: a file a day.
        brokers: host:port[,...] of Kafka; None for the settings'.
    """

    to: Literal["kafka", "files", "lake"]
    output: str | None = None
    daily: bool = False
    brokers: str | None = None


def deliver(plan: Plan, span: Span, topics: tuple[str, ...], target: Target, processes: int) -> None:
    """Run the plan over the span; SIGINT and SIGTERM end it after what is under way has been delivered.

    Raises:
        CatalogueError: a data file can't be used.
        WriteError: events could not be delivered.
        ProcessDied: one of several processes ended before its work was done.
    """
    with _stop_on_signals() as stop, Reporter(span) as reporter:
        writer = _open(plan, span, topics, target, stop)
        source = None
        try:
            source = open_source(plan, topics, writer.line_end, processes, writer.deputy)
            for batch in batches(source, span, stop):
                if batch.rendered:
                    writer.write(batch.lines)
                else:
                    writer.skip(batch.counts)
                reporter.batch(batch)
        finally:
            if source:
                source.close()
            writer.close()
    print(reporter.summary(), file=sys.stderr)
    if stop.is_set():
        start, reached = as_iso(plan.start), as_iso(reporter.reached * 1000 + plan.start % 1000)
        print(f"stopped; to go on, add --start {start} --resume-from {reached}", file=sys.stderr)


def _open(plan: Plan, span: Span, topics: tuple[str, ...], target: Target, stop: Event) -> Writer:
    if target.to == "files":
        from streaming_assets.simulator.writers.files import FilesWriter

        append = span.deliver_from > span.start
        return FilesWriter(Path(target.output or "output"), topics, append=append, daily=target.daily)
    if target.to == "lake":
        from streaming_assets.lake.factory import open_lake
        from streaming_assets.simulator.writers.lake import LakeWriter, stream_epoch

        return LakeWriter(
            open_lake(target.output or load_settings().lake.url), stream_epoch(plan), plan.start
        )
    from streaming_assets.ingestion.clients import BrokerError, producer_config
    from streaming_assets.ingestion.producer import pace_of
    from streaming_assets.simulator.writers.kafka import KafkaWriter

    settings = load_settings()
    if target.brokers:
        settings = settings.changed(kafka_bootstrap_servers=target.brokers)
    try:
        pace = pace_of(settings, lambda message: print(message, file=sys.stderr))
        return KafkaWriter(producer_config(settings), stop, pace)
    except BrokerError as error:
        raise WriteError(str(error)) from None


@contextmanager
def _stop_on_signals() -> Iterator[Event]:
    stop = Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop.set()) for number in signals]
    try:
        yield stop
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
