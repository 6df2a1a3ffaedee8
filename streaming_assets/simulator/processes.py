"""Several processes, each with its share of the users, that give the same events as one."""

import multiprocessing
import os
import shutil
import signal
import tempfile
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from streaming_assets.simulator.mailbox import Inbox, Outbox
from streaming_assets.simulator.render import Lines
from streaming_assets.simulator.simulation import Batch, Plan, Share

_AHEAD = 3  # batches that a process may be asked for before the first is received


class ProcessDied(RuntimeError):
    """A simulating process ended before its work was done."""


class Source(Protocol):
    """Where batches come from: asked for in order, received in the same order."""

    ahead: int  # how many batches may be asked for before the first is received

    def ask(self, until: int, render: bool) -> None:
        """Ask for the events before `until` (seconds since 1970) that come after those asked for before."""
        ...

    def receive(self) -> Batch:
        """The batch asked for longest ago."""
        ...

    def close(self) -> None:
        """End the processes, if any."""
        ...


def open_source(plan: Plan, topics: Sequence[str], line_end: str, processes: int) -> Source:
    """The simulation in this process, or in several others."""
    if processes == 1:
        return OneProcess(Share(plan, topics, line_end))
    return SeveralProcesses(plan, topics, line_end, processes)


class OneProcess:
    """The simulation in this process, which works when a batch is received."""

    ahead = 1

    def __init__(self, share: Share) -> None:
        self._share = share
        self._asked: deque[tuple[int, bool]] = deque()

    def ask(self, until: int, render: bool) -> None:
        self._asked.append((until, render))

    def receive(self) -> Batch:
        return self._share.advance(*self._asked.popleft())

    def close(self) -> None:
        pass


class SeveralProcesses:
    """The simulation in processes of its own, which work ahead of what is received."""

    ahead = _AHEAD

    def __init__(self, plan: Plan, topics: Sequence[str], line_end: str, processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._folder = tempfile.TemporaryDirectory(dir=_shared_memory(), prefix="simulator-")
        self._inbox = Inbox(Path(self._folder.name))
        self._pipes: list[Connection] = []
        self.workers = []
        for rank in range(processes):
            ours, theirs = context.Pipe()
            arguments = (theirs, self._folder.name, plan, topics, line_end, rank, processes)
            process = context.Process(target=_serve, args=arguments, daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self.workers.append(process)

    def ask(self, until: int, render: bool) -> None:
        try:
            for pipe in self._pipes:
                pipe.send((until, render))
        except BrokenPipeError:
            raise ProcessDied("a simulating process has died") from None

    def receive(self) -> Batch:
        try:
            answers = [pipe.recv() for pipe in self._pipes]
        except EOFError:
            raise ProcessDied("a simulating process has died") from None
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return merge([self._inbox.get(answer) for answer in answers])

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self.workers:
            process.join(timeout=10)
            if process.is_alive():
                process.kill()
        self._folder.cleanup()


def _serve(
    pipe: Connection, folder: str, plan: Plan, topics: Sequence[str], line_end: str, rank: int, of: int
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when it is over
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        share = Share(plan, topics, line_end, rank, of)
        outbox = Outbox(Path(folder), str(rank), _AHEAD + 1)
        while True:
            pipe.send(outbox.put(share.advance(*pipe.recv())))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        shutil.rmtree(folder, ignore_errors=True)  # the parent has closed the pipe, or is gone
    except Exception as error:
        pipe.send(error)


def _shared_memory() -> str | None:
    """A folder in memory, where there is one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def merge(batches: Sequence[Batch]) -> Batch:
    """The batches of all shares over one window as one, in the order that a single process has."""
    topics = batches[0].counts
    lines = {}
    for topic in topics:
        parts = [batch.lines[topic] for batch in batches if topic in batch.lines]
        if parts:
            lines[topic] = _merge_lines(parts)
    return Batch(
        until=batches[0].until,
        rendered=batches[0].rendered,
        lines=lines,
        counts={topic: sum(batch.counts[topic] for batch in batches) for topic in topics},
        steps=sum(batch.steps for batch in batches),
    )


def _merge_lines(parts: Sequence[Lines]) -> Lines:
    if len(parts) == 1:
        return parts[0]
    rank = np.concatenate([part.rank for part in parts])
    order = np.argsort(rank, kind="stable")
    text = pa.concat_arrays([part.text for part in parts]).take(pa.array(order))
    return Lines(np.concatenate([part.time for part in parts])[order], rank[order], text)
