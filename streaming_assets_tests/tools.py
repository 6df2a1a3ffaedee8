"""Programs that tests use and the project does not: found, or fetched into a cache; else tests skip."""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

_FETCH_SECONDS = 180  # thrice that and the pauses are within a test's 600 s
PAUSES = (5, 30)  # s, before it is tried again
_WAYS_OUT = {
    "chromium": ": install Debian's package chromium",
    "promtool": ": it is in Debian's package prometheus",
    "docker-compose": ": the development extra brings it on Linux, x86-64",
}


def need(tool: str) -> str:
    """Path of a program, of the project's environment first; the test skips where there is none."""
    found = shutil.which(tool, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"`{tool}` is not installed{_WAYS_OUT.get(tool, '')}")
    return found


class FetchError(Exception):
    """What a test needs did not come; the message holds the last words of what should have fetched it."""


def fetch(*command: str | Path, environment: dict[str, str] | None = None) -> None:
    """Run what fetches or installs.

    Raises:
        FetchError: it failed, or was not done in time.
    """
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_FETCH_SECONDS, env=environment
        )
    except subprocess.TimeoutExpired as error:
        raise FetchError(f"`{name}` was not done within {_FETCH_SECONDS} s") from error
    if done.returncode:
        raise FetchError(f"`{name}` failed: {(done.stdout + done.stderr).strip()[-300:]}")


def environment(folder: Path, python: str, *packages: str | Path) -> None:
    """Make a Python environment in `folder`; `packages` are as `pip install` takes them."""
    fetch(need("uv"), "venv", "--quiet", "--python", python, folder)
    fetch(need("uv"), "pip", "install", "--quiet", "--python", folder / "bin" / "python", *packages)


def kept(folder: Path, version: str, make: Callable[[Path], None], product: str) -> Path:
    """`product` in `folder`, filled by `make` for this `version`; other processes' tests wait for the one that does.

    `make` gets the folder, empty, and fills it in place: a Python environment can't be moved. It is called again if
    it raises `FetchError` or ends without the product; after the last time the test skips. What it has not finished
    is made again by the next test, as is a folder of another version.
    """
    stamp = folder / ".version"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(f"{folder.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != version:
            _filled(folder, make, product)
            stamp.write_text(version)
    return folder / product


def _filled(folder: Path, make: Callable[[Path], None], product: str) -> None:
    why = ""
    for pause in (0, *PAUSES):
        time.sleep(pause)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            make(folder)
        except FetchError as error:
            why = str(error)
            continue
        if (folder / product).exists():
            return
        why = f"nothing failed, but there is no {product}"
    pytest.skip(f"what the test needs can't be fetched: {why}")
