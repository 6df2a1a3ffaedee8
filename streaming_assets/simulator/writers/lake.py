"""Events straight into the lake, as if each had been ingested at its event time.

Objects keep the lake's contract: one partition, real gzip, lines `{"value":...,"offset":n,"timestamp":"..."}`,
offsets that run on over the hours, and a stream epoch of the simulation's own in the name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pyarrow as pa
from isal import igzip

from streaming_assets.lake.names import ObjectName
from streaming_assets.lake.store import Lake, LakeError
from streaming_assets.simulator import arrow
from streaming_assets.simulator.render import Lines
from streaming_assets.simulator.simulation import Plan
from streaming_assets.simulator.writers import WriteError

_HOUR = 3_600_000  # milliseconds
ROWS_PER_OBJECT = 250_000  # an hour with more has several objects; some 120 MB before compression
_PARTITION = 0


def stream_epoch(plan: Plan) -> str:
    """The name of a simulation's stream epoch: the same for the same events only."""
    start = datetime.fromtimestamp(plan.start_second, UTC)
    return f"sim-{plan.seed}-{start:%Y%m%dT%H%M%S}-{plan.digest()}"


@dataclass
class _Hour:
    """One topic's hour that is being filled."""

    number: int = -1  # hours since 1970
    rows: int = 0
    parts: list[memoryview] = field(default_factory=list)


class LakeWriter:
    """Writes to `lake`; events dated before `start` (ms since 1970) count as ingested then."""

    line_end = ""
    deputy = None  # an object has the lines of many batches

    def __init__(self, lake: Lake, stream_epoch: str, start: int) -> None:
        self._lake, self._epoch, self._start = lake, stream_epoch, start
        self._offsets: dict[str, int] = {}  # of the next event of each topic
        self._hours: dict[str, _Hour] = {}
        self._seconds = arrow.texts(f"{s // 60:02d}:{s % 60:02d}" for s in range(3600))

    def skip(self, counts: Mapping[str, int]) -> None:
        """Number the events to come as if those had been written."""
        for topic, count in counts.items():
            self._offsets[topic] = self._offsets.get(topic, 0) + count

    def write(self, lines: Mapping[str, Lines]) -> None:
        """Keep each topic's lines until their hour, or an object's worth of rows, is complete."""
        for topic, part in lines.items():
            stamp = np.maximum(part.time, self._start)
            number = stamp // _HOUR
            cuts = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(number)]
            for first, last in pairwise(cuts):
                self._add(topic, int(number[first]), stamp[first:last], part.text[first:last])

    def close(self) -> None:
        """Write the hours that are still being filled."""
        for topic, hour in self._hours.items():
            self._put(topic, hour)

    def _add(self, topic: str, number: int, stamp: np.ndarray, text: pa.StringArray) -> None:
        hour = self._hours.setdefault(topic, _Hour())
        while len(text):
            if hour.number != number or hour.rows >= ROWS_PER_OBJECT:
                self._put(topic, hour)
                hour.number = number
            room = ROWS_PER_OBJECT - hour.rows
            hour.parts.append(self._records(topic, number, stamp[:room], text[:room]))
            hour.rows += len(text[:room])
            stamp, text = stamp[room:], text[room:]

    def _records(self, topic: str, number: int, stamp: np.ndarray, text: pa.StringArray) -> memoryview:
        offset = self._offsets.get(topic, 0)
        self._offsets[topic] = offset + len(text)
        hour = datetime.fromtimestamp(number * 3600, UTC)
        offsets = arrow.digits(np.arange(offset, offset + len(text)))
        seconds = self._seconds.take(arrow.numbers((stamp - number * _HOUR) // 1000))
        head, tail = f',"timestamp":"{hour:%Y-%m-%dT%H}:', f'.{self._start % 1000:03d}Z"}}\n'
        return arrow.contiguous(arrow.join('{"value":', text, ',"offset":', offsets, head, seconds, tail))

    def _put(self, topic: str, hour: _Hour) -> None:
        if hour.rows:
            start_offset = self._offsets[topic] - hour.rows
            moment = datetime.fromtimestamp(hour.number * 3600, UTC)
            name = str(ObjectName(topic, moment, _PARTITION, start_offset, self._epoch))
            try:
                self._lake.write(name, igzip.compress(b"".join(hour.parts), 1, mtime=0))
            except LakeError as error:
                raise WriteError(str(error)) from error
        hour.rows = 0
        hour.parts.clear()
