"""The lake in a folder: the contract, durability, and what killed or failing writers leave."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from streaming_assets.lake.folder import INCOMING, FolderLake
from streaming_assets.lake.store import LakeError
from streaming_assets_tests.lake.contract import A, B, LakeContract


@pytest.fixture
def lake(tmp_path: Path) -> FolderLake:
    return FolderLake(tmp_path / "lake")


class TestFolder(LakeContract):
    pass


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_write_leaves_nothing_but_the_object(lake: FolderLake) -> None:
    lake.write(A, b"one")
    lake.write_if_absent(A, b"two")
    assert files_below(lake.root) == [A]


def test_a_full_disk_names_the_object_and_leaves_the_old_one(
    lake: FolderLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.write(A, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LakeError, match=r"00000000000000000000\.gz: No space left on device"):
        lake.write(A, b"new")
    assert files_below(lake.root) == [A]
    assert lake.read(A) == b"old"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_real_full_device_is_told(lake: FolderLake, monkeypatch: pytest.MonkeyPatch) -> None:
    real_open = open
    monkeypatch.setattr("builtins.open", lambda path, mode="r": real_open("/dev/full", mode))
    with pytest.raises(LakeError, match="No space left on device"):
        lake.write(A, b"x" * 10_000_000)


def test_a_file_where_the_root_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("no folder")
    for write in (FolderLake(tmp_path / "lake").write, FolderLake(tmp_path / "lake").write_if_absent):
        with pytest.raises(LakeError, match="lake is no folder"):
            write(A, b"")


def test_what_a_killed_writer_left_goes_with_the_next_write(lake: FolderLake) -> None:
    lake.write(A, b"")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    incoming = lake.root / INCOMING
    (incoming / f"{gone.pid}-0").write_bytes(b"half")
    (incoming / f"{os.getppid()}-0").write_bytes(b"being written by a living process")
    FolderLake(lake.root).write(B, b"")
    assert [path.name for path in incoming.iterdir()] == [f"{os.getppid()}-0"]


def test_stray_files_are_listed_under_their_names(lake: FolderLake) -> None:
    lake.write("raw/listen_events/notes.txt", b"hello")
    lake.write(A, b"")
    assert [entry.name for entry in lake.list("raw/listen_events/")] == [A, "raw/listen_events/notes.txt"]


OTHER_HOUR = "raw/listen_events/date=2025-01-01 01:00:00+00/"


def _link(path: Path, to: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(to)


def _forbid(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a folder without permission to whoever is not root."""
    path.mkdir(parents=True)
    real_scandir = os.scandir

    def scandir(place: Path) -> object:
        if Path(place) == path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real_scandir(place)

    monkeypatch.setattr(os, "scandir", scandir)


# What is done at a place, and by which name it is told why it can't be looked at.
FAULTS = {
    "no permission": (OTHER_HOUR, _forbid, "Permission denied"),
    "a link to itself": (OTHER_HOUR[:-1], lambda path, _: _link(path, path.name), "Too many levels"),
    "a link to above": (OTHER_HOUR, lambda path, _: _link(path, "../.."), "Too many levels"),
    "a loop within": (OTHER_HOUR + "again/", lambda path, _: _link(path, "."), "Too many levels"),
    "a link to nowhere": (OTHER_HOUR[:-1], lambda path, _: _link(path, "gone"), "No such file"),
    "an object that is a loop": (OTHER_HOUR + "a.gz", lambda path, _: _link(path, "a.gz"), "Too many levels"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_place_that_can_not_be_looked_at_is_told_and_harms_no_other(
    lake: FolderLake, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    name, make, why = FAULTS[kind]
    lake.write(A, b"")
    make(lake.root / name, monkeypatch)
    for prefix in ("raw/", "raw/listen_events/"):
        faults: dict[str, str] = {}
        assert [entry.name for entry in lake.list(prefix, faults=faults)] == [A]
        assert list(faults) == [name]
        assert f"can't list {lake.root / name}: {why}" in faults[name]
    faults = {}
    assert list(lake.list(OTHER_HOUR, faults=faults)) == []
    assert [told.rstrip("/") for told in faults] == [name.rstrip("/")]
    with pytest.raises(LakeError, match=why):
        list(lake.list("raw/"))
    assert len(list(lake.list("raw/", end=OTHER_HOUR[:-1]))) == 1, "what is not asked for is not looked at"


def test_a_fault_that_is_not_the_places_own_fails_the_listing(
    lake: FolderLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scandir(_: Path) -> object:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(LakeError, match="Too many open files"):
        list(lake.list("raw/", faults={}))


def test_links_to_folders_beside_are_followed(lake: FolderLake) -> None:
    lake.write(A, b"")
    _link(lake.root / OTHER_HOUR.rstrip("/"), str((lake.root / A).parent))
    assert len(list(lake.list("raw/"))) == 2


def test_a_folder_sorts_where_its_objects_do(lake: FolderLake) -> None:
    # As plain names `a` < `a.b`, but `a.b/x` < `a/x`, since "." sorts before "/".
    lake.write("raw/a/x", b"")
    lake.write("raw/a.b/x", b"")
    assert [entry.name for entry in lake.list("raw/")] == ["raw/a.b/x", "raw/a/x"]


def test_an_old_hour_is_not_opened(lake: FolderLake, monkeypatch: pytest.MonkeyPatch) -> None:
    for hour in range(24):
        lake.write(f"raw/t/date=2025-01-01 {hour:02d}:00:00+00/x", b"")
    opened: list[str] = []
    real_scandir = os.scandir

    def scandir(path: str) -> object:
        opened.append(os.path.basename(path))
        return real_scandir(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert len(list(lake.list("raw/t/", start="raw/t/date=2025-01-01 22"))) == 2
    assert opened == ["t", "date=2025-01-01 22:00:00+00", "date=2025-01-01 23:00:00+00"]
