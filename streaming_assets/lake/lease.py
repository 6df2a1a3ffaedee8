"""A lease: what one process at a time may hold, as an object of the lake that says who has it and until when.

It is for machines that share a bucket and no file. Each step of it replaces the generation of the object that was seen,
or nothing, so of two processes at most one gets on. Who holds it renews it; who is dead does not, and is followed once
the time is over.
"""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from uuid import uuid4

from streaming_assets.lake.store import Lake, LakeError

SECONDS = 60.0  # for which one renewal is good
BEATS = 4  # renewals in that time
SKEW_SECONDS = 15.0  # by which the clocks of two machines may differ


class LeaseLost(Exception):
    """It is somebody else's, or may be: nothing more must be written. The message names the lease."""


@dataclass(frozen=True)
class _Term:
    """What the object says: whose it is, in words and by a token of one holding, and until when, s since 1970."""

    holder: str
    token: str
    until: float


class Lease:
    """One holding of the lease `name`, an object of `lake`.

    Attributes:
        inherited: whether whoever had it before never gave it back.
    """

    def __init__(self, lake: Lake, name: str, seconds: float | None = None) -> None:
        """`seconds` is what one renewal is good for, `SECONDS` unless given."""
        self._lake, self._name = lake, name
        self._seconds = SECONDS if seconds is None else seconds
        self._token = uuid4().hex
        self._good_until = 0.0  # on the monotonic clock
        self.inherited = False

    def take(self) -> str | None:
        """Take it, unless somebody holds it.

        Returns:
            None if it is held from now on; else who holds it.

        Raises:
            LakeError: the lake can't be read or written, or the object is no lease.
        """
        begun = time.monotonic()
        found = self._found()
        if found is None:
            had = self._lake.write_if_absent(self._name, self._term())
        else:
            generation, term = found
            if time.time() < term.until + SKEW_SECONDS:
                left = f"{term.until - time.time():.0f} s"
                return f"{term.holder}, whose lease {self._lake.uri(self._name)} ends in {left}"
            had = self._lake.replace(self._name, self._term(), generation)
        if not (had or self._is_ours()):
            return "another process, which was faster"
        self._good_until, self.inherited = begun + self._seconds, found is not None
        return None

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Within, what was taken is renewed; at the end it is given back.

        Once it is lost, the block is interrupted, as by Ctrl-C, where it runs in the main thread; elsewhere `check`
        tells.

        Raises:
            LeaseLost: it was lost; what the block wrote after that may be mixed with what another wrote.
        """
        done = threading.Event()
        threads = [threading.Thread(target=self._renew_until, args=(done,), daemon=True)]
        if threading.current_thread() is threading.main_thread():
            threads.append(threading.Thread(target=self._interrupt_when_lost, args=(done,), daemon=True))
        for thread in threads:
            thread.start()
        try:
            try:
                yield
            finally:
                done.set()
                for thread in threads:
                    thread.join()
            self.check()
        except BaseException as error:
            if not isinstance(error, LeaseLost) and not self._left():
                raise self._lost() from error
            raise
        finally:
            self._give_back()

    def check(self) -> None:
        """To be called before a write. Raises LeaseLost."""
        if not self._left():
            raise self._lost()

    def _left(self) -> float:
        return max(0.0, self._good_until - time.monotonic())

    def _lost(self) -> LeaseLost:
        return LeaseLost(
            f"{self._lake.uri(self._name)} was lost: another process took it, or it could not be renewed for "
            f"{self._seconds:g} s. Nothing more is written; run these hours again"
        )

    def renew(self) -> None:
        """Put off its end, or find that it was lost, which `check` tells. Raises LakeError."""
        begun = time.monotonic()
        found = self._found()
        if found is None or found[1].token != self._token:
            self._good_until = 0.0
        elif self._lake.replace(self._name, self._term(), found[0]) or self._is_ours():
            self._good_until = begun + self._seconds

    def _renew_until(self, done: threading.Event) -> None:
        while self._left() and not done.wait(self._seconds / BEATS):
            with suppress(LakeError):  # the next beat may get through
                self.renew()

    def _interrupt_when_lost(self, done: threading.Event) -> None:
        while left := self._left():
            if done.wait(min(left, self._seconds / BEATS / 4)):
                return
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def _give_back(self) -> None:
        with suppress(LakeError):  # else it ends by itself
            found = self._found()
            if found is not None and found[1].token == self._token:
                self._lake.remove(self._name, found[0])

    def _term(self) -> bytes:
        holder = f"process {os.getpid()} on {socket.gethostname()}"
        return json.dumps(asdict(_Term(holder, self._token, time.time() + self._seconds))).encode()

    def _is_ours(self) -> bool:
        """A write that was repeated, since its answer did not arrive, is refused though the first was done."""
        found = self._found()
        return found is not None and found[1].token == self._token

    def _found(self) -> tuple[int, _Term] | None:
        """The object's generation and what it says, or what a later one does: a write in place of it then fails."""
        generation = self._generation()
        if generation is None:
            return None
        try:
            return generation, _Term(**json.loads(self._lake.read(self._name)))
        except LakeError:
            if self._generation() == generation:
                raise
            return self._found()
        except (ValueError, TypeError) as error:
            raise LakeError(f"{self._lake.uri(self._name)} is no lease: remove it ({error})") from error

    def _generation(self) -> int | None:
        folder = self._name.rpartition("/")[0] + "/"
        listed = self._lake.list(folder, start=self._name, end=f"{self._name}\0")
        return next((entry.generation for entry in listed), None)
