"""A simulation's batches, from this process or from several that share the work."""

import multiprocessing
import os
import tempfile
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from streaming_assets.simulator.exchange import Inbox
from streaming_assets.simulator.simulation import Batch, Plan, Share
from streaming_assets.simulator.worker import Links, Task, serve
from streaming_assets.simulator.writers import Deputy


class ProcessDied(RuntimeError):
    """A simulating process ended before its work was done."""


class Source(Protocol):
    """Where batches come from: asked for in order, received in the same order.

    Attributes:
        ahead: how many batches may be asked for before the first is received.
        writes: batches are written before they are received, so that each one asked for counts.
    """

    ahead: int
    writes: bool

    def ask(self, until: int, render: bool) -> None:
        """Ask for the events before `until` (seconds since 1970) that come after those asked for before."""
        ...

    def receive(self) -> Batch:
        """The batch asked for longest ago; its lines are valid until the next is asked for."""
        ...

    def close(self) -> None:
        """End the processes, if any."""
        ...


def open_source(
    plan: Plan, topics: Sequence[str], line_end: str, processes: int, deputy: Deputy | None = None
) -> Source:
    """The simulation in this process, or in several others, which write by `deputy` if there is one."""
    if processes == 1:
        return OneProcess(Share(plan, topics, line_end))
    return SeveralProcesses(plan, topics, line_end, processes, deputy)


class OneProcess:
    """The simulation in this process, which works when a batch is received."""

    ahead = 1
    writes = False

    def __init__(self, share: Share) -> None:
        self._share = share
        self._asked: deque[tuple[int, bool]] = deque()

    def ask(self, until: int, render: bool) -> None:
        self._asked.append((until, render))

    def receive(self) -> Batch:
        until, render = self._asked.popleft()
        return self._share.batch(until, [self._share.advance(until)], render)

    def close(self) -> None:
        pass


class SeveralProcesses:
    """The simulation in processes of its own, which work ahead of what is received."""

    def __init__(
        self, plan: Plan, topics: Sequence[str], line_end: str, processes: int, deputy: Deputy | None
    ) -> None:
        self.ahead, self.writes = 2 * processes, deputy is not None
        self._folder = tempfile.TemporaryDirectory(dir=_shared_memory(), prefix="simulator-")
        self._inbox = Inbox(Path(self._folder.name))
        self._received = 0
        context = multiprocessing.get_context("spawn")
        ranks = range(processes)
        orders = [context.Pipe() for _ in ranks]
        letters = [[context.Pipe(duplex=False) for _ in ranks] for _ in ranks]  # [to][from]
        turns = [context.Pipe(duplex=False) for _ in ranks]
        task = Task(plan, topics, line_end, processes, self.ahead, self._folder.name, deputy)
        self.workers = []
        for rank in ranks:
            links = Links(
                parent=orders[rank][1],
                senders=[letters[rank][peer][0] for peer in ranks],
                receivers=[letters[peer][rank][1] for peer in ranks],
                turn=turns[rank][0],
                next_turn=turns[(rank + 1) % processes][1],
            )
            process = context.Process(target=serve, args=(task, rank, links), daemon=True)
            process.start()
            self.workers.append(process)
        turns[0][1].send_bytes(b"")
        self._pipes: list[Connection] = [ours for ours, _ in orders]
        # Only who uses an end may have it open: so the others see when that process is gone.
        for pair in (*turns, *(pair for row in letters for pair in row)):
            for end in pair:
                end.close()
        for _, theirs in orders:
            theirs.close()

    def ask(self, until: int, render: bool) -> None:
        try:
            for pipe in self._pipes:
                pipe.send((until, render))
        except BrokenPipeError:
            raise self._fault() from None

    def receive(self) -> Batch:
        pipe = self._pipes[self._received % len(self._pipes)]
        try:
            answer = pipe.recv()
        except (EOFError, ConnectionResetError):
            raise self._fault() from None
        if isinstance(answer, Exception):
            raise answer
        self._received += 1
        return self._inbox.get(answer)

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self.workers:
            process.join(timeout=10)
            if process.is_alive():
                process.kill()
        self._folder.cleanup()

    def _fault(self) -> Exception:
        """Why a process is gone: its own fault, or that of another one that it needed."""
        for pipe in self._pipes:
            try:
                while pipe.poll():
                    answer = pipe.recv()
                    if isinstance(answer, Exception):
                        return answer
            except (EOFError, OSError):
                continue
        return ProcessDied("a simulating process has died")


def _shared_memory() -> str | None:
    """A folder in memory, where there is one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  # names there are drawn
