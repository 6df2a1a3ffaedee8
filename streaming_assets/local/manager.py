"""Runs the services of the local system together, until one ends or a signal comes."""

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from streaming_assets.local.journal import Journal
from streaming_assets.local.plan import Service
from streaming_assets.settings import PROJECT_ROOT

END_SECONDS = 8.0  # to end when told, before SIGKILL
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class _Running:
    service: Service
    process: subprocess.Popen[bytes]
    journal: Journal
    reader: threading.Thread


class ServiceManager:
    """Starts services, each in a process group of its own, with its output in a file of `folder`.

    Args:
        folder: where the files are.
        environment: of the services.
        echo: prints a line on the console.
        as_json: whether the files have JSON lines.
    """

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        echo: Callable[[str], None],
        as_json: bool = False,
    ) -> None:
        self._as_json = as_json
        self._folder, self._environment, self._echo = folder, environment, echo
        self._happened: queue.SimpleQueue[_Running | signal.Signals] = queue.SimpleQueue()
        self._running: list[_Running] = []
        self._ending = False

    def run(self, services: Iterable[Service]) -> int:
        """Run them until one ends, or SIGINT or SIGTERM comes; then end the others.

        Returns:
            0 after a signal; after a service's own end its exit status, but never 0.
        """
        with _signals_to(self._happened):
            try:
                for service in services:
                    self._start(service)
                first = self._happened.get()
                if isinstance(first, signal.Signals):
                    self._echo(f"{first.name} received: ending all of it")
                    return 0
                self._tell_end(first)
                return abs(first.process.returncode) or 1
            finally:
                self._ending = True
                self._end_all()

    def _start(self, service: Service) -> None:
        journal = Journal(self._folder, service.name, self._as_json)
        process = subprocess.Popen(
            service.command,
            env=dict(self._environment),
            cwd=PROJECT_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C of the terminal reaches this process alone, which then ends the services
        )
        assert process.stdout is not None  # it is piped
        reader = threading.Thread(target=self._read, args=(service, journal, process.stdout), daemon=True)
        running = _Running(service, process, journal, reader)
        self._running.append(running)
        reader.start()
        threading.Thread(target=self._wait, args=(running,), daemon=True).start()

    def _read(self, service: Service, journal: Journal, output: IO[bytes]) -> None:
        for line in output:
            shown = journal.add(line.decode(errors="replace"), datetime.now())
            if not self._ending:  # processes that are ended complain of each other's end
                for text in shown:
                    self._echo(f"{service.name}: {text}  [{journal.path}]")

    def _wait(self, running: _Running) -> None:
        # Its output may stay open for longer, in processes that it started.
        running.process.wait()
        self._happened.put(running)

    def _tell_end(self, ended: _Running) -> None:
        ended.reader.join(1)
        status = ended.process.returncode
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        self._echo(f"{ended.service.name} {how}, so all is ended (the next start goes on). Its last lines:")
        for line in list(ended.journal.last):
            self._echo(f"    {line}")
        self._echo(f"All of its output: {ended.journal.path}")

    def _end_all(self) -> None:
        for running in self._running:
            _signal_group(running, signal.SIGTERM)
        deadline = time.monotonic() + END_SECONDS
        while any(map(_group_lives, self._running)) and time.monotonic() < deadline and not self._hurried():
            time.sleep(0.05)
        for running in self._running:
            _signal_group(running, signal.SIGKILL)
        for running in self._running:
            running.process.wait()
            running.reader.join(2)
            running.journal.close()

    def _hurried(self) -> bool:
        """Whether a second signal came, since the end began."""
        with suppress(queue.Empty):
            while True:
                if isinstance(self._happened.get_nowait(), signal.Signals):
                    return True
        return False


def _signal_group(running: _Running, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(running.process.pid, number)


def _group_lives(running: _Running) -> bool:
    try:
        os.killpg(running.process.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


@contextmanager
def _signals_to(happened: "queue.SimpleQueue[_Running | signal.Signals]") -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, lambda number, _frame: happened.put(signal.Signals(number)))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
