"""The soak with each victim once. `make soak-crashes` is the long one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from streaming_assets.settings import PROJECT_ROOT
from streaming_assets_tests.soak.kills import SHARES

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]


def test_after_a_kill_of_each_process_the_tables_hold_what_was_acknowledged(tmp_path: Path) -> None:
    soak = subprocess.Popen(
        [
            *(sys.executable, "-m", "streaming_assets_tests.soak", "--kills", str(len(SHARES))),
            *("--folder", str(tmp_path / "soak")),
        ],
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said, _ = soak.communicate(timeout=1000)
    finally:
        if soak.poll() is None:
            soak.send_signal(signal.SIGTERM)
            soak.wait(120)
    logs = "".join(path.read_text()[-3000:] for path in (tmp_path / "soak" / "logs").glob("*.log"))
    assert soak.returncode == 0, f"{said}\n{logs}"
    for victim in SHARES:
        assert f"{victim} 1" in said
    assert "| differences | none |" in said
    assert not any(_is_of(pid, tmp_path) for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))))


def _is_of(pid: int, folder: Path) -> bool:
    try:
        return str(folder).encode() in Path(f"/proc/{pid}/environ").read_bytes() and pid != os.getpid()
    except OSError:
        return False
