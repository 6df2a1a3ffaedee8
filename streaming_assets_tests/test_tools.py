"""The cache of fetched programs: tests run in several processes, and all of them ask at once."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streaming_assets_tests import tools
from streaming_assets_tests.tools import fetch, kept, need

ASK = """
import sys, time
from pathlib import Path
from streaming_assets_tests.tools import kept

def make(folder):
    with open(sys.argv[2], "a") as made:
        made.write("made\\n")
    part = folder / "incoming"
    part.write_text("whole")
    time.sleep(0.5)
    part.rename(folder / "program")

print(kept(Path(sys.argv[1]), "1", make, "program").read_text())
"""


def test_one_process_fetches_and_the_others_wait(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ASK, tmp_path / "cache" / "tool", tmp_path / "made"]
    asking = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate(timeout=60)[0].strip() for process in asking] == ["whole"] * 4
    assert (tmp_path / "made").read_text() == "made\n"


def broken(folder: Path) -> None:
    (folder / "half").touch()
    fetch(sys.executable, "-c", "import sys; print('no network'); sys.exit(1)")


def test_what_was_not_finished_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "PAUSES", (0,))
    with pytest.raises(pytest.skip.Exception, match="no network"):
        kept(tmp_path / "tool", "1", broken, "half")
    program = kept(tmp_path / "tool", "1", lambda folder: (folder / "program").touch(), "program")
    assert sorted(path.name for path in program.parent.iterdir()) == [".version", "program"]


def test_it_is_tried_again_until_the_product_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "PAUSES", (0, 0))
    attempts = iter([broken, lambda folder: None, lambda folder: (folder / "program").touch()])
    assert kept(tmp_path / "tool", "1", lambda folder: next(attempts)(folder), "program").exists()
    assert next(attempts, None) is None


def test_a_fetch_that_ends_well_without_the_product_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "PAUSES", ())
    with pytest.raises(pytest.skip.Exception, match="nothing failed, but there is no program"):
        kept(tmp_path / "tool", "1", lambda folder: None, "program")


def test_another_version_replaces_what_is_there(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        (folder / str(time.monotonic_ns())).touch()

    first, again, other = (
        {path.name for path in kept(tmp_path / "tool", version, make, ".").iterdir()} - {".version"}
        for version in ("1", "1", "2")
    )
    assert first == again
    assert len(other) == 1
    assert other != first


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(pytest.skip.Exception, match="`no-such-program` is not installed"):
        need("no-such-program")
