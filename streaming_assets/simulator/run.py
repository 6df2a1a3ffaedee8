"""Runs a simulation from its start: cuts time into windows, keeps to real time if asked, hands batches on."""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Event

from streaming_assets.simulator.clock import DAY
from streaming_assets.simulator.processes import Source
from streaming_assets.simulator.simulation import Batch

STEPS_PER_WINDOW = 32_000  # a batch of some 25 MB; fewer steps cost more each, and so does more memory
_FIRST_SPAN = 60  # seconds
_LONGEST_SPAN = 28 * DAY


@dataclass(frozen=True)
class Span:
    """What of a simulation is wanted; seconds since 1970.

    Attributes:
        start: where the simulation starts.
        deliver_from: only events from here on are rendered; those before are counted.
        end: exclusive; None for a run without end.
        real_time: no event is delivered before the clock has reached it.
    """

    start: int
    deliver_from: int
    end: int | None
    real_time: bool


def batches(source: Source, span: Span, stop: Event) -> Iterator[Batch]:
    """The simulation's batches in order, until its end or until `stop` is set.

    The first holds the user_info of the time before the start.
    """
    windows = _Windows(span, stop)
    ahead = 1 if span.real_time else source.ahead
    asked: deque[int] = deque()
    for until in windows:
        source.ask(until, render=span.deliver_from <= span.start or until > span.deliver_from)
        asked.append(until)
        if len(asked) >= ahead:
            yield windows.measured(source.receive(), len(asked))
            asked.popleft()
    while asked and (source.writes or not stop.is_set()):
        yield source.receive()
        asked.popleft()


class _Windows:
    """The ends of windows of about the same number of steps each."""

    def __init__(self, span: Span, stop: Event) -> None:
        self._span, self._stop = span, stop
        self._seconds = _FIRST_SPAN
        self._last = span.start

    def __iter__(self) -> Iterator[int]:
        span = self._span
        yield span.start
        at = span.start
        while (span.end is None or at < span.end) and not self._stop.is_set():
            until = at + self._seconds
            if at < span.deliver_from:
                until = min(until, span.deliver_from)
            if span.end is not None:
                until = min(until, span.end)
            if span.real_time:
                if not self._wait(at + 1):
                    return
                until = max(at + 1, min(until, int(time.time())))
            yield until
            at = until

    def measured(self, batch: Batch, asked: int) -> Batch:
        """Learn from a batch how long the next windows should be."""
        seconds = max(batch.until - self._last, 1)
        self._last = batch.until
        if batch.until > self._span.start:
            wanted = seconds * STEPS_PER_WINDOW // max(batch.steps, 1)
            most = 4 * seconds if asked == 1 else 2 * seconds
            self._seconds = max(1, min(wanted, most, _LONGEST_SPAN))
        return batch

    def _wait(self, moment: int) -> bool:
        """Whether the clock reached `moment` before the stop."""
        while (left := moment - time.time()) > 0:
            if self._stop.wait(min(left, 1.0)):
                return False
        return True
