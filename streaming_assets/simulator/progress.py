"""How far a simulation is, on standard error: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections import Counter
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from streaming_assets.simulator.run import Span
from streaming_assets.simulator.simulation import Batch
from streaming_assets.simulator.times import as_iso

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_LINES_IN_REAL_TIME = 300.0


class Reporter:
    """Counts what is delivered and shows it."""

    def __init__(self, span: Span) -> None:
        self.counts: Counter[str] = Counter()
        self.reached = span.start
        self._span, self._began = span, time.monotonic()
        self._pause = _SECONDS_BETWEEN_LINES_IN_REAL_TIME if span.real_time else _SECONDS_BETWEEN_LINES
        self._next_line = self._began + self._pause
        console = Console(stderr=True)
        self._bar: Progress | None = None
        if console.is_terminal:
            text = TextColumn("{task.description} {task.fields[note]}")
            self._bar = Progress(text, BarColumn(), TimeElapsedColumn(), console=console, transient=True)
            total = span.end - span.start if span.end is not None else None
            self._task = self._bar.add_task("simulating", total=total, note="making users")

    def __enter__(self) -> "Reporter":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def batch(self, batch: Batch) -> None:
        """A batch has been delivered, or skipped."""
        if batch.rendered:
            self.counts.update(batch.counts)
        self.reached = batch.until
        if self._bar:
            self._bar.update(self._task, completed=batch.until - self._span.start, note=self._note())
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + self._pause
            print(f"simulating: {self._note()}", file=sys.stderr, flush=True)

    def summary(self) -> str:
        """What has been delivered in all."""
        seconds = time.monotonic() - self._began
        total = self.counts.total()
        topics = ", ".join(f"{topic} {count:,}" for topic, count in sorted(self.counts.items()))
        rate = f"{total / max(seconds, 1e-9):,.0f} a second"
        return f"{total:,} events in {seconds:.1f} s ({rate}): {topics}"

    def _note(self) -> str:
        return f"at {as_iso(self.reached * 1000)}, {self.counts.total():,} events"
