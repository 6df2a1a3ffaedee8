"""Large values from one process to another through mapped files: copied once, never through a pipe."""

import mmap
import os
import pickle
from pathlib import Path
from typing import Any, NamedTuple

_ALIGNMENT = 64  # bytes, of each buffer


class Letter(NamedTuple):
    """What goes through the pipe: the value without its buffers, and where in which file those lie."""

    head: bytes
    file: str
    spans: list[tuple[int, int]]


class Outbox:
    """Puts values into files below `folder`, in turn into `slots` of them: so many stay valid at a time."""

    def __init__(self, folder: Path, name: str, slots: int) -> None:
        self._folder, self._name = folder, name
        self._slots: list[tuple[str, mmap.mmap] | None] = [None] * slots
        self._next = 0

    def put(self, value: Any) -> Letter:
        """Copy the value's buffers into the next slot."""
        found: list[pickle.PickleBuffer] = []
        head = pickle.dumps(value, protocol=5, buffer_callback=found.append)
        spans, end = [], 0
        for buffer in found:
            size = buffer.raw().nbytes
            spans.append((end, end + size))
            end += -(-size // _ALIGNMENT) * _ALIGNMENT
        name, space = self._slot(end)
        for buffer, (start, stop) in zip(found, spans, strict=True):
            space[start:stop] = buffer.raw()
        return Letter(head, name, spans)

    def _slot(self, size: int) -> tuple[str, mmap.mmap]:
        number = self._next
        self._next = (number + 1) % len(self._slots)
        slot = self._slots[number]
        if slot is None or len(slot[1]) < size:
            room = max(size * 3 // 2, mmap.PAGESIZE)
            path = self._folder / f"{self._name}-{number}-{room}"  # what is still read stays as it is
            with open(path, "w+b") as file:
                os.truncate(path, room)
                mapped = mmap.mmap(file.fileno(), room)
            if slot is not None:
                (self._folder / slot[0]).unlink()
            slot = self._slots[number] = (path.name, mapped)
        return slot


class Inbox:
    """Reads what outboxes have put below `folder`. A value is valid until its slot is used again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._maps: dict[str, mmap.mmap] = {}

    def get(self, letter: Letter) -> Any:
        """The value, whose buffers lie in the file."""
        mapped = self._maps.get(letter.file)
        if mapped is None:
            with open(self._folder / letter.file, "rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._maps[letter.file] = mapped
        whole = memoryview(mapped)
        return pickle.loads(letter.head, buffers=[whole[start:stop] for start, stop in letter.spans])  # noqa: S301  # of our own processes
