"""What the process manager prints when it ends its processes."""

import shlex
import signal
import sys
from collections.abc import Iterator

import pytest

from streaming_assets.local.manager import ServiceManager

# Ends on SIGTERM with a word.
TALKER = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit("lost the others"))
print("is up", flush=True)
signal.pause()
"""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The manager takes the process's signals; they are given back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_dagsters_last_words_are_printed_only_if_it_ends_first(capsys: pytest.CaptureFixture[str]) -> None:
    manager = ServiceManager()
    for name in ("sink", "dagster"):
        manager.add_process(name, shlex.join([sys.executable, "-c", TALKER]))
    manager.add_process("broker", "sleep 2; echo out of memory; exit 3")
    manager.loop()
    said = [line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()]
    assert manager.returncode == 3
    assert "broker  | out of memory" in said, "why it ended"
    assert {"sink    | is up", "dagster | is up", "sink    | lost the others"} <= set(said)
    assert "dagster | lost the others" not in said
    assert any(line.startswith("system  | dagster stopped") for line in said)
