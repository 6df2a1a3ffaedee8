"""`streaming-assets dashboards` as a process: it serves, says when it can't, and ends at once."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

pytestmark = pytest.mark.integration


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def started(home: Path, port: int) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(
        [sys.executable, "-m", "streaming_assets.cli", "dashboards", "--port", str(port)],
        env=os.environ | {"STREAMING_ASSETS_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_and_ends_on_a_signal(tmp_path: Path, port: int, with_signal: signal.Signals) -> None:
    with started(tmp_path, port) as process:
        assert process.stdout is not None
        assert f"http://127.0.0.1:{port}/music" in process.stdout.readline()
        assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=20).json()["status"] == "empty"
        assert requests.get(f"http://127.0.0.1:{port}/_dash-layout", timeout=20).status_code == 200
        start = time.monotonic()
        process.send_signal(with_signal)
        assert process.wait(10) == 0
        assert time.monotonic() - start < 3  # a second on an idle machine


def test_a_port_that_is_taken_is_named_with_the_way_out(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with started(tmp_path, port) as process:
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.strip() == (
        f"dashboards: port {port} of 127.0.0.1 is in use; end what listens there, or choose another with "
        "STREAMING_ASSETS_DASHBOARDS_PORT or --port"
    )
