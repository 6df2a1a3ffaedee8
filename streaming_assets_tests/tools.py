"""Programs that tests use and the project does not: found, or fetched into a cache; else tests skip."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from streaming_assets.settings import PROJECT_ROOT

CACHE = PROJECT_ROOT / ".local" / "cache"
_FETCH_SECONDS = 600
_WAYS_OUT = {
    "chromium": ": install Debian's package chromium",
    "docker-compose": ": the development extra brings it on Linux, x86-64",
}


def need(tool: str) -> str:
    """Path of a program, of the project's environment first; the test skips where there is none."""
    found = shutil.which(tool, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"`{tool}` is not installed{_WAYS_OUT.get(tool, '')}")
    return found


def fetch(*command: str | Path, environment: dict[str, str] | None = None) -> None:
    """Run what fetches or installs; the test skips with its last words where it fails."""
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_FETCH_SECONDS, env=environment
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"`{name}` has not fetched what the test needs within {_FETCH_SECONDS} s")
    if done.returncode:
        pytest.skip(f"`{name}` can't fetch what the test needs: {(done.stdout + done.stderr).strip()[-300:]}")


def environment(folder: Path, python: str, *packages: str | Path) -> None:
    """Make a Python environment in `folder`; `packages` are as `pip install` takes them."""
    fetch(need("uv"), "venv", "--quiet", "--python", python, folder)
    fetch(need("uv"), "pip", "install", "--quiet", "--python", folder / "bin" / "python", *packages)


def kept(folder: Path, version: str, make: Callable[[Path], None]) -> Path:
    """`folder` as `make` filled it for this `version`; tests of other processes wait for the one that fills it.

    `make` gets the folder, empty, and fills it in place: a Python environment can't be moved. What it has not finished
    is made again, as is a folder of another version.
    """
    stamp = folder / ".version"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(f"{folder.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != version:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            stamp.write_text(version)
    return folder
