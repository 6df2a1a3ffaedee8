"""A run's sign of life: a locked file, held by the process that executes the run, whatever started it.

The system releases the lock however the process ends, so the file tells the living from the dead on the machine
(and the volume) that it is on. It knows nothing of Dagster.
"""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path


class Sign(Enum):
    """HELD: the process lives. LEFT: it is gone, and left the file behind. ABSENT: there is nothing to tell from."""

    HELD = "held"
    LEFT = "left"
    ABSENT = "absent"


def folder_of_signs(instance_root: str) -> Path:
    """Where the signs of an instance's runs are, by `DagsterInstance.root_directory`."""
    return Path(instance_root) / "running"


@contextmanager
def sign_held(folder: Path, run_id: str) -> Iterator[None]:
    """Give the sign of life of a run that this process executes.

    Raises:
        OSError: the file can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, incoming = folder / run_id, folder / f".{run_id}.{os.getpid()}"
    with open(incoming, "w") as sign:
        fcntl.flock(sign, fcntl.LOCK_EX)
        sign.write(f"process {os.getpid()} on {socket.gethostname()}")
        sign.flush()
        os.replace(incoming, path)  # so nobody ever sees it without its lock
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def sign_of(folder: Path, run_id: str) -> tuple[Sign, str]:
    """The sign of a run, and which process gave it, in words."""
    path = folder / run_id
    try:
        with open(path) as sign:
            process = sign.read()
            try:
                fcntl.flock(sign, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return Sign.HELD, process
            # One that ended well takes the file with it; perhaps just now.
            is_there = os.fstat(sign.fileno()).st_ino == path.stat().st_ino
            return (Sign.LEFT if is_there else Sign.ABSENT), process
    except FileNotFoundError:
        return Sign.ABSENT, ""


def forget(folder: Path, run_id: str) -> None:
    """Remove what a run left behind that is known to have ended."""
    with suppress(FileNotFoundError):
        (folder / run_id).unlink()


def left_behind(folder: Path) -> list[str]:
    """The runs whose processes are gone and left their signs."""
    if not folder.is_dir():
        return []
    runs = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    return [run_id for run_id in runs if sign_of(folder, run_id)[0] is Sign.LEFT]
