"""What a process does when it is interrupted (Ctrl-C, Dagster's Terminate) while a library holds the main thread."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def first_interrupt_as_keyboard_interrupt() -> Iterator[None]:
    """Within, the first signal to end raises KeyboardInterrupt; a later one changes nothing, so clean-up is whole.

    Dagster raises an exception of its own on a signal, which libraries don't know: dbt, for one, would leave its
    threads at work. Outside of the main thread, where no signal arrives, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupted = False

    def interrupt(*_: Any) -> None:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            raise KeyboardInterrupt

    former = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
