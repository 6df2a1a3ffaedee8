"""One of several processes that share a simulation.

Every process walks its own users through every window of time. The windows go round: the process whose turn a window
is gets the steps of the others (numbers in shared memory), renders all of its events and writes them, or hands them to
the parent. So no process carries all of the events' text, and it is copied once at most.
"""

import multiprocessing
import shutil
import signal
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from streaming_assets.simulator.exchange import Inbox, Outbox
from streaming_assets.simulator.simulation import Plan, Share
from streaming_assets.simulator.writers import Deputy


@dataclass(frozen=True)
class Task:
    """What all processes are told.

    Attributes:
        processes: how many there are.
        ahead: how many windows the parent may have ordered and not received.
        folder: where the processes' exchanges are.
        deputy: makes the writer that they write by, each in its turn; without one the parent gets the lines.
    """

    plan: Plan
    topics: Sequence[str]
    line_end: str
    processes: int
    ahead: int
    folder: str
    deputy: Deputy | None


@dataclass(frozen=True)
class Links:
    """One process's ends of the pipes.

    Attributes:
        parent: orders (until, render) from the parent, letters with batches to it.
        senders: by process, where its letters with steps come from.
        receivers: by process, where letters with steps for it go.
        turn: something comes when everything before this process's next window has been written.
        next_turn: tells the process whose window is the next.
    """

    parent: Connection
    senders: Sequence[Connection]
    receivers: Sequence[Connection]
    turn: Connection
    next_turn: Connection


def serve(task: Task, rank: int, links: Links) -> None:
    """Work until the parent closes its pipe. What goes wrong is sent to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when it is over
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        _Worker(task, rank, links).work()
    except (EOFError, BrokenPipeError, ConnectionResetError):  # the parent or another process is gone
        parent = multiprocessing.parent_process()
        if parent is None or not parent.is_alive():
            shutil.rmtree(task.folder, ignore_errors=True)  # nobody else will
    except Exception as error:
        links.parent.send(error)


class _Worker:
    def __init__(self, task: Task, rank: int, links: Links) -> None:
        self._rank, self._links = rank, links
        self._share = Share(task.plan, task.topics, task.line_end, rank, task.processes)
        self._writer = task.deputy() if task.deputy else None
        folder = Path(task.folder)
        self._inbox = Inbox(folder)
        self._steps = Outbox(folder, f"steps-{rank}", task.ahead)
        self._batches = Outbox(folder, f"batches-{rank}", -(-task.ahead // task.processes))

    def work(self) -> None:
        """Walk as far as the parent has ordered, so that no process waits for another's steps; then finish windows."""
        mine: deque[tuple[int, bool]] = deque()
        window = 0
        while True:
            if mine and not self._links.parent.poll():
                self._finish(*mine.popleft())
                continue
            until, render = self._links.parent.recv()
            owner = window % len(self._links.receivers)
            self._links.receivers[owner].send(self._steps.put(self._share.advance(until)))
            if owner == self._rank:
                mine.append((until, render))
            window += 1

    def _finish(self, until: int, render: bool) -> None:
        parts = [self._inbox.get(sender.recv()) for sender in self._links.senders]
        batch = self._share.batch(until, parts, render)
        if self._writer:
            self._links.turn.recv_bytes()
            self._writer.write(batch.lines)
            self._links.next_turn.send_bytes(b"")
            batch = replace(batch, lines={})
        self._links.parent.send(self._batches.put(batch))
