"""A run's sign of life tells the living from the dead, and never takes one that ends well for dead."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from streaming_assets.dagster_runtime.signs_of_life import Sign, forget, left_behind, sign_held, sign_of

HOLDER = """
import sys, time
from pathlib import Path
from streaming_assets.dagster_runtime.signs_of_life import sign_held
with sign_held(Path(sys.argv[1]), "a-run"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_sign_is_there_as_long_as_it_is_held(tmp_path: Path) -> None:
    assert sign_of(tmp_path / "running", "a-run") == (Sign.ABSENT, "")
    with sign_held(tmp_path / "running", "a-run"):
        assert sign_of(tmp_path / "running", "a-run")[0] is Sign.HELD
        assert sign_of(tmp_path / "running", "other")[0] is Sign.ABSENT
    assert sign_of(tmp_path / "running", "a-run")[0] is Sign.ABSENT
    assert list((tmp_path / "running").iterdir()) == []


@pytest.mark.integration
def test_a_killed_process_leaves_its_sign_behind_by_which_it_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert sign_of(tmp_path, "a-run")[0] is Sign.HELD
        assert left_behind(tmp_path) == []
        process.kill()
    sign, words = sign_of(tmp_path, "a-run")
    assert sign is Sign.LEFT
    assert words.startswith(f"process {process.pid} on ")
    assert left_behind(tmp_path) == ["a-run"]
    forget(tmp_path, "a-run")
    assert sign_of(tmp_path, "a-run")[0] is Sign.ABSENT


def test_whoever_looks_while_runs_begin_and_end_sees_no_dead_one(tmp_path: Path) -> None:
    seen: set[Sign] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.add(sign_of(tmp_path, "a-run")[0])

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    for _ in range(2000):
        with sign_held(tmp_path, "a-run"):
            pass
    done.set()
    for looker in lookers:
        looker.join()
    assert Sign.LEFT not in seen
    assert seen == {Sign.HELD, Sign.ABSENT}
