"""A folder of local state that can't be used: each command that needs it says so before it begins, in one line."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streaming_assets.home import check_home
from streaming_assets.settings import SettingsError

COMMANDS = [
    ["dev"],
    ["broker"],
    ["sink"],
    ["kafka", "up"],
    ["backfill", "2025-03-01T00:00Z", "2025-03-01T01:00Z"],
    ["reconcile"],
]


def test_a_folder_that_can_be_written_is_made_and_left_empty(tmp_path: Path) -> None:
    check_home(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_it_is_for_this_account_alone_and_an_open_one_is_closed_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = os.umask(0o022)
    try:
        check_home(tmp_path / "new")
        (tmp_path / "former").mkdir()
    finally:
        os.umask(before)
    assert mode(tmp_path / "new") == 0o700
    assert caplog.messages == []
    assert mode(tmp_path / "former") == 0o755
    for _ in range(2):
        check_home(tmp_path / "former")
        assert mode(tmp_path / "former") == 0o700
    assert caplog.messages == [
        f"{tmp_path}/former was open to every account of this machine; it is now to yours alone (0700)"
    ]


def test_one_that_was_opened_to_a_group_stays_so(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o750)
    check_home(tmp_path / "shared")
    assert mode(tmp_path / "shared") == 0o750


def mode(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


@pytest.fixture(params=["a file", "below a file", "read-only", "full"])
def unusable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A home, and why it is none."""
    home = tmp_path / "home"
    if request.param in ("a file", "below a file"):
        home.touch()
        yield (home, "File exists") if request.param == "a file" else (home / "below", "Not a directory")
        return
    home.mkdir()
    options = "size=1m" + (",ro" if request.param == "read-only" else "")
    if (
        not shutil.which("mount")
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(home)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("no file system can be mounted here")
    yield home, "Read-only file system" if request.param == "read-only" else "No space left on device"
    subprocess.run(["umount", "--lazy", str(home)], check=True)


@pytest.mark.integration
def test_each_command_names_the_folder_and_the_reason(unusable: tuple[Path, str]) -> None:
    home, reason = unusable
    with pytest.raises(SettingsError, match=reason):
        check_home(home)
    for command in COMMANDS:
        result = subprocess.run(
            [sys.executable, "-m", "streaming_assets.cli", *command],
            env={**os.environ, "STREAMING_ASSETS_HOME": str(home)},
            cwd=home.parent if home.parent.is_dir() else home.parent.parent,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert result.returncode == 2, (command, result.stderr)
        said = result.stdout + result.stderr
        assert f": STREAMING_ASSETS_HOME={home} can't hold the local state: " in said
        assert reason in said
        assert len(said.splitlines()) == 1, (command, said)
