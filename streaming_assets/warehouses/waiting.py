"""Waiting for a warehouse that another process holds, and saying in the run's log for whom."""

import re
import time
from collections.abc import Callable
from pathlib import Path

from dagster import get_dagster_logger

from streaming_assets.settings import env_name
from streaming_assets.warehouses.warehouse import WarehouseLocked

LOOK_SECONDS = 0.1  # between two attempts; one costs 4 ms of CPU
SILENCE_SECONDS = 1.0  # of waiting, before anything is said
TELL_SECONDS = 30.0  # between two words about the same wait

_HOLDER = re.compile(r"Conflicting lock is held in (?P<program>.*?) \(PID (?P<pid>\d+)\)")


class Wait:
    """One wait for the warehouse, over as many attempts as it takes.

    Args:
        what: is waited for, a path or a name.
        seconds: how long at most.
        look_seconds: between two attempts.
    """

    def __init__(self, what: Path | str, seconds: float, look_seconds: float = LOOK_SECONDS) -> None:
        self._what, self._seconds, self._look_seconds = what, seconds, look_seconds
        self._begun = time.monotonic()
        self._tell_at = SILENCE_SECONDS
        self._told = False

    def on(self, holder: Callable[[], str]) -> None:
        """Return when it is time for another attempt.

        Args:
            holder: names who has it now.

        Raises:
            WarehouseLocked: the time is up; the message says for whom it waited.
        """
        waited = time.monotonic() - self._begun
        if waited > self._seconds:
            raise WarehouseLocked(
                f"{self._what} is in use: {holder()}. End what holds it (a DuckDB shell, a notebook, another run), or "
                f"raise {env_name('warehouse_lock_timeout_seconds')}, now {self._seconds:g}"
            )
        if waited >= self._tell_at:
            self._tell_at = waited + TELL_SECONDS
            self._told = True
            get_dagster_logger().warning(
                f"{self._what} is in use: {holder()}. Waiting until it is free: {waited:.0f} s of at most "
                f"{self._seconds:g} s"
            )
        time.sleep(self._look_seconds)

    def over(self) -> None:
        """It was had; said if the wait was."""
        if self._told:
            get_dagster_logger().info(
                f"{self._what} is free after {time.monotonic() - self._begun:.0f} s; going on"
            )


def holder_of(refusal: str) -> str:
    """Who has the file open, from DuckDB's words for not opening it."""
    found = _HOLDER.search(refusal)
    return described(found["pid"], found["program"]) if found else refusal.splitlines()[0]


def described(pid: str, program: str = "") -> str:
    """A process by number and command line, where the system tells it."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        words = []
    command = " ".join(word.replace("\n", " ") for word in words).strip() or program
    return f"process {pid}" + (f" ({command[:120]})" if command else "")
