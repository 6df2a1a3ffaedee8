"""Events into files: `TOPIC.json`, or one a day, JSON lines as the original writes them."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from io import FileIO
from itertools import pairwise
from pathlib import Path

import numpy as np

from streaming_assets.simulator import arrow
from streaming_assets.simulator.render import Lines
from streaming_assets.simulator.writers import WriteError

_DAY = 86_400_000  # milliseconds
_PIECE = 1 << 20  # bytes a write; the kernel takes several times as long for one of 8 MB as for eight of 1 MB


class FilesWriter:
    """Writes below `folder`.

    Args:
        topics: each gets a file, even if it has no event.
        append: go on at the end of existing files, instead of replacing them.
        daily: a file a day, `TOPIC_YYYY-MM-DD.json`; an event is in the file of its own day.
    """

    line_end = "\n"

    def __init__(self, folder: Path, topics: Sequence[str], append: bool, daily: bool) -> None:
        # Who begins a day's file replaces an old one, and only a single writer knows that it is the first.
        self.deputy = None if daily else partial(FilesWriter, folder, (), append=True, daily=False)
        self._folder, self._mode, self._daily = folder, "ab" if append else "wb", daily
        self._open: dict[str, tuple[str, FileIO]] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not daily:
                for topic in topics:
                    self._file(topic, "")
        except OSError as error:
            raise WriteError(f"can't write to {folder}: {error.strerror}") from error

    def skip(self, counts: Mapping[str, int]) -> None:
        """Files do not number their lines."""

    def write(self, lines: Mapping[str, Lines]) -> None:
        """Write each topic's lines to its file."""
        try:
            for topic, part in lines.items():
                if self._daily:
                    self._write_days(topic, part)
                else:
                    _write(self._file(topic, ""), arrow.contiguous(part.text))
        except OSError as error:
            raise WriteError(f"can't write to {self._folder}: {error.strerror}") from error

    def close(self) -> None:
        """Close the files."""
        with ExitStack() as stack:
            for _, file in self._open.values():
                stack.enter_context(file)

    def _write_days(self, topic: str, part: Lines) -> None:
        days = part.time // _DAY
        cuts = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(days)]
        for first, last in pairwise(cuts):
            if last > first:
                day = np.datetime64(int(days[first]), "D")
                _write(self._file(topic, f"_{day}"), arrow.contiguous(part.text[first:last]))

    def _file(self, topic: str, suffix: str) -> FileIO:
        current = self._open.get(topic)
        if current is None or current[0] != suffix:
            if current is not None:
                current[1].close()
            path = self._folder / f"{topic}{suffix}.json"
            # Unbuffered, so that a reader beside it sees what has happened.
            current = suffix, FileIO(path, self._mode)
            self._open[topic] = current
        return current[1]


def _write(file: FileIO, data: memoryview) -> None:
    while data:
        data = data[file.write(data[:_PIECE]) :]
