"""A lake in a folder of the local file system."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from streaming_assets.lake.names import MANIFEST, parse_folder
from streaming_assets.lake.store import LakeError, LakeObject

INCOMING = ".incoming"  # where objects are written before they are renamed into place
_serial = count()
# Errors that a place in the lake has by itself: no other errs for it, and trying again helps nothing.
_OF_THE_PLACE = {errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}


class FolderLake:
    """Objects are files below `root`; a write goes to a temporary file, is synced, and renamed."""

    readers = 1

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).expanduser().absolute()
        self._above = os.path.join(self.root, "")
        self._swept = False

    def list(
        self, prefix: str, start: str = "", end: str = "", faults: dict[str, str] | None = None
    ) -> Iterator[LakeObject]:
        yield from _Listing(start, end, faults).walk(self.root / prefix, prefix)

    def read(self, name: str) -> bytes:
        try:
            with open(self._above + name, "rb") as file:
                return file.read()
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

    def replace(self, name: str, data: bytes, generation: int) -> bool:
        def in_place_of_the_same(incoming: Path, final: Path) -> None:
            if _generation(final) != generation:
                raise FileExistsError
            os.replace(incoming, final)

        try:
            self._place(name, data, in_place_of_the_same)
        except FileExistsError:
            return False
        return True

    def remove(self, name: str, generation: int) -> bool:
        final = self.root / name
        try:
            if _generation(final) != generation:
                return False
            final.unlink()
        except OSError as error:
            raise LakeError(f"can't remove {final}: {error.strerror}") from error
        return True

    def uri(self, name: str) -> str:
        return self._above + name

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


@dataclass(frozen=True)
class _Listing:
    """A walk through folders, in the order of the objects' names; the arguments are those of `Lake.list`."""

    start: str
    end: str
    faults: dict[str, str] | None

    def walk(self, folder: Path, prefix: str) -> Iterator[LakeObject]:
        try:
            if folder.is_symlink() and _leads_back(folder):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            entries = self._entries(folder, prefix)
            if parse_folder(folder.name) and _has_unseen_manifest(folder, entries):
                entries = self._entries(folder, prefix)
        except (FileNotFoundError, NotADirectoryError) as error:
            if folder.is_symlink():
                self._tell(prefix, folder, error)
            return  # else it is not there, or was removed since its parent was listed
        except OSError as error:
            self._tell(prefix, folder, error)
            return
        for name, entry in entries:
            if self.end and name >= self.end:
                return
            if name.endswith("/"):
                # Skip a whole folder when even its last possible object sorts before `start`.
                if name >= self.start or self.start.startswith(name):
                    yield from self.walk(Path(entry.path), name)
            elif name >= self.start:
                yield from self._object(name, entry)

    def _entries(self, folder: Path, prefix: str) -> list[tuple[str, os.DirEntry[str]]]:
        with os.scandir(folder) as scan:
            return sorted((self._name_of(entry, prefix), entry) for entry in scan)

    def _name_of(self, entry: os.DirEntry[str], prefix: str) -> str:
        """A folder sorts as its objects do, by its name with the slash; so does a link that leads nowhere."""
        try:
            is_folder = entry.is_dir()
        except OSError:
            is_folder = False
        return f"{prefix}{entry.name}/" if is_folder else prefix + entry.name

    def _object(self, name: str, entry: os.DirEntry[str]) -> Iterator[LakeObject]:
        try:
            stat = entry.stat()
        except OSError as error:
            if entry.is_symlink() or not isinstance(error, FileNotFoundError):
                self._tell(name, Path(entry.path), error)
            return  # else it was removed since its folder was listed
        yield LakeObject(name, stat.st_size, stat.st_mtime_ns)

    def _tell(self, name: str, path: Path, error: OSError) -> None:
        why = f"can't list {path}: {error.strerror}"
        if self.faults is None or error.errno not in _OF_THE_PLACE:
            raise LakeError(why) from error
        self.faults[name] = why


def _generation(file: Path) -> int | None:
    """What a listing gives as the object's generation; None if there is none."""
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _has_unseen_manifest(folder: Path, entries: list[tuple[str, os.DirEntry[str]]]) -> bool:
    """Whether an hour was sealed while its folder was read: objects may have gone whose manifest was not seen."""
    return all(entry.name != MANIFEST for _, entry in entries) and os.path.exists(folder / MANIFEST)


def _leads_back(link: Path) -> bool:
    """Whether a link leads to a folder that it lies in."""
    return os.path.realpath(link) in map(os.path.realpath, link.parents)


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
