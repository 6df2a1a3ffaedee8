"""A lake in a folder of the local file system."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

from streaming_assets.lake.store import LakeError, LakeObject

INCOMING = ".incoming"  # where objects are written before they are renamed into place
_serial = count()


class FolderLake:
    """Objects are files below `root`; a write goes to a temporary file, is synced, and renamed."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).expanduser().absolute()
        self._swept = False

    def list(self, prefix: str, start: str = "", end: str = "") -> Iterator[LakeObject]:
        folder = self.root / prefix
        if not folder.is_dir():
            return
        yield from self._walk(folder, prefix, start, end)

    def _walk(self, folder: Path, prefix: str, start: str, end: str) -> Iterator[LakeObject]:
        try:
            with os.scandir(folder) as scan:
                # A folder sorts as its objects do, by its name with the slash.
                entries = sorted(
                    (entry.name + "/" if entry.is_dir() else entry.name, entry) for entry in scan
                )
        except FileNotFoundError:
            return  # removed since its parent was listed
        except OSError as error:
            raise LakeError(f"can't list {folder}: {error.strerror}") from error
        for entry_name, entry in entries:
            name = prefix + entry_name
            if end and name >= end:
                return
            if entry_name.endswith("/"):
                # Skip a whole folder when even its last possible object sorts before `start`.
                if name >= start or start.startswith(name):
                    yield from self._walk(Path(entry.path), name, start, end)
            elif name >= start:
                try:
                    stat = entry.stat()
                except FileNotFoundError:
                    continue
                yield LakeObject(name, stat.st_size, stat.st_mtime_ns)

    def read(self, name: str) -> bytes:
        try:
            return (self.root / name).read_bytes()
        except OSError as error:
            raise LakeError(f"can't read {self.uri(name)}: {error.strerror}") from error

    def write(self, name: str, data: bytes) -> None:
        self._place(name, data, os.replace)

    def write_if_absent(self, name: str, data: bytes) -> bool:
        try:
            self._place(name, data, os.link)
        except FileExistsError:
            return False
        return True

    def uri(self, name: str) -> str:
        return str(self.root / name)

    def _place(self, name: str, data: bytes, into_place: Callable[[Path, Path], None]) -> None:
        final = self.root / name
        incoming = self.root / INCOMING / f"{os.getpid()}-{next(_serial)}"
        try:
            _make_folder(incoming.parent)
            _make_folder(final.parent)
            self._remove_leftovers()
            with open(incoming, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            into_place(incoming, final)
            _sync_folder(final.parent)
        except FileExistsError:
            raise
        except OSError as error:
            raise LakeError(f"can't write {final}: {error.strerror}") from error
        finally:
            with suppress(OSError):  # it may not be there, or never have been
                incoming.unlink()

    def _remove_leftovers(self) -> None:
        """Once an instance: remove what writers that are gone were writing when they were killed."""
        if self._swept:
            return
        self._swept = True
        for leftover in (self.root / INCOMING).iterdir():
            writer = leftover.name.partition("-")[0]
            if writer.isdecimal() and not _is_alive(int(writer)):
                leftover.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, durably: each new one is synced into its parent."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        try:
            folder.mkdir()
        except FileExistsError:
            if not folder.is_dir():  # else another writer was faster
                raise NotADirectoryError(errno.ENOTDIR, f"{folder} is no folder") from None
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True
