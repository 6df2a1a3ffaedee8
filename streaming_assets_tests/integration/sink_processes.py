"""Sinks, brokers and replays as the processes that they are, and what the lake holds of their work."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from streaming_assets.lake.names import parse_object
from streaming_assets.lake.store import Lake

PATIENCE_SECONDS = 60


def wait_until(
    condition: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS, every: float = 0.05
) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(every)


@dataclass
class Command:
    """A running `streaming-assets ...`; its output is in `log`."""

    process: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 15) -> int:
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def said(self, text: str) -> bool:
        return text in self.log.read_text()


class Machine:
    """Starts commands with one home folder and lake, and ends all of them."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.home = folder / "home"
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("STREAMING_ASSETS_")},
            "STREAMING_ASSETS_HOME": str(self.home),
            "STREAMING_ASSETS_SINK_FLUSH_SECONDS": "0.5",
            **environment,
        }
        self._started: list[Command] = []

    def start(self, *arguments: str) -> Command:
        log = self.folder / f"{len(self._started)}-{arguments[0]}.log"
        with open(log, "wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "streaming_assets.cli", *arguments],
                env=self.environment,
                cwd=self.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        command = Command(process, log)
        self._started.append(command)
        return command

    def run(self, *arguments: str, seconds: float = 120) -> str:
        command = self.start(*arguments)
        assert command.process.wait(seconds) == 0, command.log.read_text()
        return command.log.read_text()

    def state(self, name: str = "sink") -> dict:
        try:
            return json.loads((self.home / f"{name}.json").read_text())
        except FileNotFoundError:
            return {}

    def end(self) -> None:
        for command in self._started:
            if command.process.poll() is None:
                command.kill()


@contextmanager
def machine(folder: Path, **environment: str) -> Iterator[Machine]:
    """A `Machine` for a test; settings by their environment names."""
    started = Machine(folder, **environment)
    try:
        yield started
    finally:
        started.end()


Coordinates = tuple[str, str | None, int, int]  # topic, stream_epoch, partition, offset


def rows(lake: Lake) -> Counter[Coordinates]:
    """How often each row is in the lake, dead letters by their own names."""
    return Counter(coordinates for coordinates, _ in lines(lake))


def lines(lake: Lake) -> Iterator[tuple[Coordinates, dict]]:
    """Coordinates and content of each line of each event object."""
    for entry in lake.list("raw/"):
        name = parse_object(entry.name)
        assert name is not None, entry.name
        for text in gzip.decompress(lake.read(entry.name)).split(b"\n"):
            if text:
                line = json.loads(text)
                yield (name.topic, name.stream_epoch, name.partition, line["offset"]), line


def missing_offsets(found: Counter[Coordinates]) -> dict[tuple[str, str | None, int], list[int]]:
    """Offsets that lack between 0 and the greatest, by topic, stream_epoch and partition."""
    seen: dict[tuple[str, str | None, int], set[int]] = {}
    for topic, stream_epoch, partition, offset in found:
        seen.setdefault((topic, stream_epoch, partition), set()).add(offset)
    gaps = {where: sorted(set(range(max(offsets))) - offsets) for where, offsets in seen.items()}
    return {where: lacking for where, lacking in gaps.items() if lacking}
