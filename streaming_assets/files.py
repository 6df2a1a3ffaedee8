"""Files that readers see whole, the former or the new; files that one process holds at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes that one's place when the block ends, and goes if the block fails.

    Raises:
        OSError: as writing does.
    """
    incoming = path.with_name(f"{path.name}.{os.getpid()}.incoming")
    try:
        yield incoming
        os.replace(incoming, path)
    finally:
        incoming.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """One process is in the block of a `path` at a time; the system lets the next in, however this one ends.

    Raises:
        BlockingIOError: another is, and `wait` is not wanted.
        OSError: the file, or its folder, can't be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as lock:
        flock(lock, LOCK_EX | (0 if wait else LOCK_NB))
        yield
