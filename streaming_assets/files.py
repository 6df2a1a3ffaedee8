"""Files replaced in one move: whoever reads one sees the former or the new, whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
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
