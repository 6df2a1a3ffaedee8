"""Processes known by a mark in their environment, so also those that a started process has started in its turn."""

import os
import re
import signal
from contextlib import suppress
from pathlib import Path

from streaming_assets_tests.integration.sink_processes import wait_until

MARK = "STARTED_BY_TEST"  # the variable that holds it


def marked(mark: str, pattern: str = "") -> list[int]:
    """Process ids of those with this mark, whose command line matches."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            environment = (folder / "environ").read_bytes()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"{MARK}={mark}".encode() in environment and re.search(pattern, command):
            found.append(int(folder.name))
    return found


def kill(pid: int) -> None:
    """SIGKILL; nothing if it is gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def end_marked(mark: str) -> None:
    """Kill all with this mark; one that is told to end may still write a file or start a process."""

    def is_ended() -> bool:
        for pid in marked(mark):
            kill(pid)
        return not marked(mark)

    wait_until(is_ended, "no process is left", 30)
