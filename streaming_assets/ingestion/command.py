"""`streaming-assets broker`, `sink` and `replay`: arguments and output only."""

import logging
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from streaming_assets.home import check_home
from streaming_assets.log_lines import JsonLines
from streaming_assets.settings import get_settings

TIME_FORMATS = ("%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d")
BROKER_GRACE_SECONDS = 3.0  # in which producers and sink can finish when all are stopped together


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("broker")(broker)
    app.command("sink")(sink)
    app.command("replay")(replay)


def broker() -> None:
    """Run the embedded broker until Ctrl-C: loopback only, in memory only.

    It has each topic, with 4 partitions. A partition holds 5 MiB or 100,000 batches; beyond that the OLDEST
    RECORDS ARE DROPPED without a word, so run `streaming-assets sink` beside it: the sink reports what was
    dropped before it came. For anything durable, set STREAMING_ASSETS_KAFKA_BOOTSTRAP_SERVERS to a real broker.
    """
    from streaming_assets.ingestion.broker import embedded_cluster, keep_ends
    from streaming_assets.ingestion.clients import BrokerError

    _log_to_output("broker")
    check_home(get_settings().home)
    stop = _stop_on_signal()
    try:
        with embedded_cluster(get_settings()) as info:
            print(
                f"broker: {info.bootstrap_servers}, stream epoch {info.stream_epoch}; in memory only, "
                "5 MiB a partition, oldest records dropped beyond that",
                flush=True,
            )
            keep_ends(get_settings(), info, stop)
            # The sink, told to stop at the same time, still fetches what producers sent last.
            stop.clear()
            stop.wait(BROKER_GRACE_SECONDS)
    except BrokerError as error:
        _fail("broker", error)


def sink(
    instance: Annotated[
        str,
        typer.Option(
            help="Name of this instance, unique in its group, if several run. It keeps its partitions over a "
            "restart, and its state is in HOME/sink-NAME.json instead of HOME/sink.json.",
            metavar="NAME",
        ),
    ] = "",
) -> None:
    """Carry records from Kafka to the lake until Ctrl-C.

    Writes objects when records are STREAMING_ASSETS_SINK_FLUSH_SECONDS old or fill
    STREAMING_ASSETS_SINK_FLUSH_BYTES, and commits their offsets after that. Several instances share the work of
    one consumer group.
    """
    from streaming_assets.ingestion.clients import BrokerError
    from streaming_assets.ingestion.sink import run_sink
    from streaming_assets.lake.factory import lake_of
    from streaming_assets.lake.store import LakeError

    _log_to_output("sink")
    settings = get_settings()
    check_home(settings.home)
    stop = _stop_on_signal()
    try:
        run_sink(settings, lake_of(settings), stop, instance)
    except (BrokerError, LakeError) as error:
        _fail("sink", error)


def replay(
    topic: Annotated[str, typer.Argument(help="Topic of the events, such as listen_events.")],
    files: Annotated[list[Path], typer.Argument(help="JSON lines, plain or gzip.", metavar="FILE...")],
    to: Annotated[
        Literal["kafka", "lake"],
        typer.Option(
            help="kafka: send each line as it is; lake: write it under the hour of its time, as if ingested "
            "then."
        ),
    ],
    not_before: Annotated[
        datetime | None,
        typer.Option(
            help="With --to lake: ISO time, UTC, before which no event is filed; earlier ones go to its hour. "
            "Default: STREAMING_ASSETS_FIRST_HOUR.",
            formats=[*TIME_FORMATS],
            metavar="TIME",
        ),
    ] = None,
) -> None:
    """Deliver recorded events to a topic. A line that is no JSON object is delivered too, and counted.

    A line that is too long to be delivered is named and left out, and the exit status is 1. Into the lake, the same
    files give the same objects again, so repeating a replay adds nothing.
    """
    from streaming_assets.ingestion.clients import BrokerError
    from streaming_assets.ingestion.producer import DeliveryError, EventProducer
    from streaming_assets.ingestion.replay import (
        Recording,
        ReplayCounts,
        ReplayError,
        check_topic,
        replay_epoch,
        replay_to_kafka,
        replay_to_lake,
    )
    from streaming_assets.lake.factory import lake_of
    from streaming_assets.lake.store import LakeError

    settings = get_settings()
    counts = ReplayCounts()
    try:
        check_topic(topic)
        if to == "kafka" and not_before is not None:
            raise ReplayError("--not-before goes with --to lake only: a broker stamps records itself")
        floor = max(_utc(not_before or settings.first_hour), settings.first_hour)
        stream_epoch = replay_epoch(
            topic, files, floor
        )  # reads all files once, so a missing one is told first
        with _progress() as progress:
            total = sum(path.stat().st_size for path in files)
            task = progress.add_task(f"{topic} to {to}", total=total)

            def left_out(size: int) -> None:
                kind = "a record" if to == "kafka" else "a line"
                text = f"{lines.place}: {size:,} bytes are more than {kind} may have; left out"
                progress.console.print(text, soft_wrap=True, highlight=False, markup=False)

            def too_long(size: int) -> None:
                counts.left_out += 1
                left_out(size)

            lines = Recording(files, lambda count: progress.advance(task, count), too_long)
            if to == "kafka":
                producer = EventProducer(settings, progress.console.print)
                replay_to_kafka(topic, lines, producer, counts, left_out)
            else:
                lake = lake_of(settings)
                replay_to_lake(topic, lines, lake, stream_epoch, floor, settings.dead_letter_topic, counts)
    except (ReplayError, BrokerError, DeliveryError, LakeError) as error:
        if counts.records:
            print(f"{topic}: {counts.records:,} records delivered before it failed")
        _fail("replay", error)
    print(f"{topic}: {counts.records:,} records delivered, {counts.faulty:,} of them no JSON object")
    if to == "lake":
        print(f"{counts.objects:,} objects in the lake, stream epoch {stream_epoch}")
    if counts.moved:
        print(
            f"{counts.moved:,} records are filed under another hour than their ts gives: it is before "
            f"{floor:%Y-%m-%dT%H:%M}Z (--not-before, or the first hour), in the future, or there is none"
        )
    if counts.left_out:
        _fail("replay", ReplayError(f"{counts.left_out:,} lines are too long and were left out"))


def _log_to_output(command: str) -> None:
    if get_settings().monitoring.log_format == "json":
        form = JsonLines(command)
    else:
        form = logging.Formatter(f"%(asctime)s %(levelname)s {command}: %(message)s")
    output = logging.StreamHandler(sys.stdout)
    output.setFormatter(form)
    logging.basicConfig(level=logging.INFO, handlers=[output])


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _progress() -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    return Progress(*columns, console=Console(stderr=True))


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _fail(command: str, error: Exception) -> NoReturn:
    print(f"{command}: {error}", file=sys.stderr)
    raise typer.Exit(1) from None
