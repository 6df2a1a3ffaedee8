"""The emulator `local-bigquery`, a process: REST as BigQuery has it, statements translated to DuckDB's.

It needs a newer Python than the project and packages of its own, so it has an environment of its own: made once, in the
checkout's cache. Where that can't be, tests skip and say why.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from streaming_assets.ingestion.kafka_local.processes import free_port
from streaming_assets.testing import CACHE
from streaming_assets_tests.tools import environment, fetch, kept

REQUIREMENTS = Path(__file__).with_name("emulator_requirements.txt")
_CACHE = CACHE / "bigquery"
_PYTHON = "3.13"
# DuckDB looks for extensions in the home folder; there they come out of packages.
_EXTENSIONS = (
    "from duckdb_extensions import import_extension as add; [*map(add, ('icu', 'ducklake', 'spatial'))]"
)
_WITH_EXTENSIONS = os.environ | {"HOME": str(_CACHE)}
_START_SECONDS = 60


@contextmanager
def emulator(folder: Path, project: str) -> Iterator[str]:
    """While this lasts, an emulator that keeps its data in a folder; its address.

    Raises:
        AssertionError: it does not answer in time; the message ends with what it said.
    """
    program = kept(_CACHE / "emulator", REQUIREMENTS.read_text(), _install, "bin/local-bigquery")
    port, other = free_port(), free_port()
    command = [program, "serve", "--host", "127.0.0.1", "--port", str(port), "--grpc-port", str(other)]
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [*command, "--project", project, "--data-dir", folder],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=_WITH_EXTENSIONS,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _await(f"{url}/bigquery/v2/projects/{project}/datasets", process, log)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(url: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if requests.get(url, timeout=20).ok:
                return
            break
        except requests.ConnectionError:
            time.sleep(0.2)
    raise AssertionError(f"the emulator does not answer: {log.read_text()[-2000:]}")


def _install(home: Path) -> None:
    environment(home, _interpreter(), "--require-hashes", "-r", REQUIREMENTS)
    fetch(home / "bin" / "python", "-c", _EXTENSIONS, environment=_WITH_EXTENSIONS)


def _interpreter() -> str:
    """The path of the Python itself: in PATH there may be a shim of pyenv's, which starts the version it is told."""
    name = f"python{_PYTHON}"
    command = [name, "-c", "import sys; print(sys.executable)"]
    environment = os.environ | {"PYENV_VERSION": _PYTHON}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    except FileNotFoundError:
        pytest.skip(f"the emulator needs {name}, which is not there")
    if done.returncode:
        pytest.skip(f"the emulator needs {name}, which does not start: {done.stderr[-300:]}")
    return done.stdout.strip()
