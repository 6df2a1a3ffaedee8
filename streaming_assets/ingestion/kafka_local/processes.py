"""Processes that outlive the command that starts them: started, recognised again, stopped."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from streaming_assets.ingestion.kafka_local import KafkaLocalError

PORT_RELEASE_SECONDS = 3.0
LOG_TAIL_LINES = 12
_POLL_SECONDS = 0.1
# Below those that the system gives to outgoing connections: a service comes back to its port after it was down.
_PORTS = range(20_000, 32_000)


@dataclass(frozen=True)
class ProcessMark:
    """A process, named so that its id can't be mistaken when the system has given it to another.

    Attributes:
        pid: process id.
        started: the system's record of its start; equal only for the same process.
    """

    pid: int
    started: str


def spawn(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> ProcessMark:
    """Start `command` in a session of its own, its output appended to `log`.

    `environment` is added to this process's own.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    return ProcessMark(process.pid, _start_of(process.pid) or "")


def is_running(mark: ProcessMark) -> bool:
    """Whether that very process still runs."""
    with contextlib.suppress(ChildProcessError):  # our own dead child would stay as a zombie
        os.waitpid(mark.pid, os.WNOHANG)
    started = _start_of(mark.pid)
    return started is not None and started == mark.started


def stop(mark: ProcessMark, grace_seconds: float) -> None:
    """Ask the process to end, and kill it when it has not within `grace_seconds`."""
    for signal_number, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 10.0)):
        if not is_running(mark):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(mark.pid, signal_number)
        if wait_until(lambda: not is_running(mark), seconds):
            return
    raise KafkaLocalError(f"process {mark.pid} does not end; end it by hand")


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll `condition` until it holds; False if it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def wait_ready(name: str, mark: ProcessMark, ready: Callable[[], bool], log: Path, seconds: float) -> None:
    """Poll `ready` while the process runs.

    Raises:
        KafkaLocalError: it ended or was not ready in time; the message holds the end of its log.
    """
    if wait_until(lambda: not is_running(mark) or ready(), seconds) and is_running(mark):
        return
    what = f"was not ready within {seconds:.0f} s" if is_running(mark) else "ended while it started"
    raise KafkaLocalError(f"{name} {what}; the end of {log}:\n{tail(log)}")


def tail(log: Path) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])


def free_port(preferred: int = 0) -> int:
    """`preferred` if nothing listens there on the loopback address, else a free port."""
    # A process that was just killed may keep its sockets for a moment after it counts as gone.
    if preferred and wait_until(lambda: _is_free(preferred), PORT_RELEASE_SECONDS):
        return preferred
    for port in random.sample(_PORTS, 50):
        if _is_free(port):
            return port
    raise KafkaLocalError("no port is free on 127.0.0.1")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def _start_of(pid: int) -> str | None:
    """The system's own record of a live process's start; None if there is none or it is a zombie."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            # The command's name, in parentheses, may hold spaces: fields count from behind it.
            state, *rest = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if state == "Z" else rest[18]
    listed = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True)
    state, _, started = listed.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()
