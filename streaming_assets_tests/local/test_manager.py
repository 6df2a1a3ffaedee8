"""How the local system's services end, and what the console then says. Real processes."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from streaming_assets.local.manager import ServiceManager
from streaming_assets.local.plan import Service
from streaming_assets_tests.integration.sink_processes import wait_until

# Ends on SIGTERM with a word.
TALKER = """
import signal, sys
def end(*_):
    print("ERROR: lost the others", flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("is up", flush=True)
signal.pause()
"""
# Does not end on SIGTERM, nor does the process that it started.
STUBBORN = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
child.wait()
"""


def python(name: str, code: str) -> Service:
    return Service(name, (sys.executable, "-c", code))


def run(folder: Path, *services: Service) -> tuple[int, list[str]]:
    said: list[str] = []
    return ServiceManager(folder, os.environ, said.append).run(services), said


def test_one_that_dies_is_named_with_its_last_lines_and_its_file(tmp_path: Path) -> None:
    failing = "print('WARNING: memory is short', flush=True); print('out of memory'); raise SystemExit(3)"
    broker = f"import time; time.sleep(2); {failing}"
    status, said = run(tmp_path, python("sink", TALKER), python("dagster", TALKER), python("broker", broker))
    assert status == 3
    path = tmp_path / "broker.log"
    assert said == [
        f"broker: memory is short  [{path}]",
        "broker ended with status 3, so all is ended (the next start goes on). Its last lines:",
        "    WARNING: memory is short",
        "    out of memory",
        f"All of its output: {path}",
    ], "and nothing of what those that are ended complain of"
    for name in ("sink", "dagster"):
        lines = (tmp_path / f"{name}.log").read_text().splitlines()
        assert [line[20:] for line in lines] == ["is up", "ERROR: lost the others"]


def test_one_that_is_killed_says_by_which_signal_and_leaves_no_process(tmp_path: Path) -> None:
    code = "import os, signal, time\n" + STUBBORN.replace(
        "child.wait()", "os.kill(os.getpid(), signal.SIGKILL)"
    )
    status, said = run(tmp_path, python("dagster", code))
    assert status == signal.SIGKILL
    assert (
        said[0] == "dagster was ended by SIGKILL, so all is ended (the next start goes on). Its last lines:"
    )
    wait_until(lambda: _gone(int(said[1].split()[-1])), "what it started is gone", 10)


def test_one_that_ends_with_0_is_still_a_failure(tmp_path: Path) -> None:
    assert run(tmp_path, python("sink", "pass"))[0] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_of_them(tmp_path: Path, number: signal.Signals) -> None:
    _signal_when(tmp_path / "sink.log", [number])
    status, said = run(tmp_path, python("sink", TALKER), python("broker", TALKER))
    assert (status, said) == (0, [f"{number.name} received: ending all of it"])


def test_a_second_signal_waits_for_nobody(tmp_path: Path) -> None:
    begun = time.monotonic()
    _signal_when(tmp_path / "sink.log", [signal.SIGINT, signal.SIGINT])
    run(tmp_path, python("sink", STUBBORN))
    assert time.monotonic() - begun < 6
    child = int((tmp_path / "sink.log").read_text().split()[-1])
    wait_until(lambda: _gone(child), "what it started is gone", 10)


def _signal_when(log: Path, numbers: list[signal.Signals]) -> None:
    def send() -> None:
        wait_until(lambda: log.exists() and log.read_text(), "the service is up", 30)
        for number in numbers:
            time.sleep(0.5)
            os.kill(os.getpid(), number)

    threading.Thread(target=send, daemon=True).start()


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except FileNotFoundError:
        return True
