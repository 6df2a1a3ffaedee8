"""Sealed hours, read: the objects that were compacted look to every reader as they did before.

A sealed hour of a topic has `raw/<topic>/date=<hour>/sealed.gz`, its manifest: the sealed file, and each object that is
in it, by name, size and generation. The file, `sealed/<topic>/date=<hour>/<id>.parquet`, has a row a line:

    object_name   string, the object's name in the lake
    line          string, the line's text, byte for byte

Only objects that are plain in every byte (`lake/reading.py`) are sealed; any other stays as it is, beside them.

An object counts once, whatever is there: what lies in the folder under a name takes the place of what is sealed under
it, so one that is written anew, or taken in late, is read beside the sealed ones. Manifests are replaced in one move,
the objects go after it, and a listing names the objects of a folder before its manifest: it never finds neither.
"""

import gzip
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from itertools import groupby

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from streaming_assets.lake.names import MANIFEST, RAW, parse_object
from streaming_assets.lake.reading import ObjectUnreadable, text_of
from streaming_assets.lake.store import Lake, LakeError, LakeObject, SealedLines, content_hash

YOUNGEST = timedelta(days=1)  # of an hour that may be sealed: writers of newer hours need not ask
MANIFEST_VERSION = 1
_FILES = 4  # sealed files that are held at once
_ATTEMPTS = 3  # to read lines whose hour is sealed anew meanwhile


class Part(msgspec.Struct, array_like=True, frozen=True):
    """An object in a sealed file: its name without the folder's, what the listing told of it, and its lines.

    `content` is a hash of its bytes, `listed_content` the listing's own, if it told one.
    """

    name: str
    size: int
    generation: int
    listed_content: str | None
    content: str
    rows: int


class Manifest(msgspec.Struct, frozen=True):
    """What is sealed of a topic's hour: `file` in the lake, its hash, and the objects in the order of their lines."""

    version: int
    file: str
    content: str
    parts: list[Part]

    def objects(self, folder: str) -> dict[str, LakeObject]:
        """The objects by name, as listings told of them, each with the place of its lines."""
        found, first = {}, 0
        for part in self.parts:
            lines = SealedLines(self.file, self.content, first, part.rows, part.content)
            name = folder + part.name
            found[name] = LakeObject(name, part.size, part.generation, part.listed_content, lines)
            first += part.rows
        return found

    def packed(self) -> bytes:
        """The manifest as it lies in the lake."""
        return gzip.compress(msgspec.json.encode(self), 6, mtime=0)


_MANIFESTS = msgspec.json.Decoder(Manifest)


class SealedFile:
    """A sealed file's bytes, held to the manifest's hash."""

    def __init__(self, lake: Lake, name: str, content: str) -> None:
        """Raises LakeError if it is absent, or not what was sealed."""
        self._data = lake.read(name)
        if content_hash(self._data) != content:
            raise LakeError(f"{lake.uri(name)}, the lines of a sealed hour, is damaged")

    @cached_property
    def _lines(self) -> pa.ChunkedArray:
        return pq.read_table(io.BytesIO(self._data), columns=["line"]).column("line")

    def text(self, part: SealedLines, limit: int | None = None) -> bytes:
        """An object's lines, or the first `limit` of them, without the last newline."""
        count = part.rows if limit is None else min(part.rows, limit)
        return "\n".join(self._lines.slice(part.first, count).to_pylist()).encode()


class SealedFiles:
    """Sealed files of a lake, each read once while its objects are asked for in order."""

    def __init__(self, lake: Lake) -> None:
        self.open = lru_cache(_FILES)(lambda name, content: SealedFile(lake, name, content))

    def of(self, part: SealedLines) -> SealedFile:
        """The file that an object lies in. Raises LakeError."""
        return self.open(part.file, part.file_content)


def read_manifest(lake: Lake, folder: str) -> Manifest | None:
    """The manifest of an hour's folder (which ends with `/`); None if nothing of it is sealed.

    Raises:
        LakeError: it can't be read, or is damaged.
    """
    return _manifest(lake, folder) if _lies_in(lake, folder + MANIFEST) else None


def _manifest(lake: Lake, folder: str) -> Manifest:
    data = lake.read(folder + MANIFEST)
    try:
        found = _MANIFESTS.decode(text_of(data))
    except (ObjectUnreadable, msgspec.DecodeError) as error:
        raise LakeError(f"{lake.uri(folder + MANIFEST)} is damaged: {error}") from error
    if found.version != MANIFEST_VERSION:
        raise LakeError(f"{lake.uri(folder + MANIFEST)} is of another version of this project")
    return found


def is_same(found: LakeObject, sealed: LakeObject | None) -> bool:
    """Whether an object that lies in the lake is the one that was sealed under its name."""
    return sealed is not None and (found.size, found.generation) == (sealed.size, sealed.generation)


class SealedLake:
    """A lake with the objects of sealed hours in it, under their names; `stored` is the lake as it lies there."""

    def __init__(self, stored: Lake) -> None:
        self.stored = stored
        self._files = SealedFiles(stored)

    @property
    def readers(self) -> int:
        return self.stored.readers

    def list(
        self, prefix: str, start: str = "", end: str = "", faults: dict[str, str] | None = None
    ) -> Iterator[LakeObject]:
        listed = self.stored.list(prefix, start, end, faults)
        if not prefix.startswith(f"{RAW}/"):
            yield from listed
            return
        bound = _folder_of(end)
        for folder, objects in groupby(listed, lambda found: _folder_of(found.name)):
            if folder == bound:
                bound = ""
            yield from self._merged(folder, [*objects], start, end, faults)
        if parse_object(end) and bound.startswith(prefix):
            yield from self._merged(bound, [], start, end, faults)

    def _merged(
        self, folder: str, objects: Iterable[LakeObject], start: str, end: str, faults: dict[str, str] | None
    ) -> Iterator[LakeObject]:
        """What a folder holds: what lies there, and what is sealed and does not."""
        there = {found.name: found for found in objects}
        listed = there.pop(folder + MANIFEST, None)
        sealed: dict[str, LakeObject] = {}
        try:
            if listed:
                sealed = _manifest(self.stored, folder).objects(folder)
            elif folder == _folder_of(end):  # the listing ended before the manifest's name
                found = read_manifest(self.stored, folder)
                sealed = found.objects(folder) if found else {}
        except LakeError as error:
            if faults is None:
                raise
            faults[folder] = str(error)
        for name in sorted(there.keys() | sealed.keys()):
            if start <= name and not (end and name >= end):
                here = there.get(name)
                yield sealed[name] if here is None or is_same(here, sealed.get(name)) else here

    def read(self, name: str) -> bytes:
        try:
            return self.stored.read(name)
        except LakeError as error:
            why = error
        for _ in range(_ATTEMPTS):
            found = self._sealed(name)
            if found is None or found.sealed is None or _lies_in(self.stored, name):
                break
            try:
                return gzip.compress(self._files.of(found.sealed).text(found.sealed), 1, mtime=0)
            except LakeError as error:
                why = error
        raise why

    def write(self, name: str, data: bytes) -> None:
        self.stored.write(name, data)

    def write_if_absent(self, name: str, data: bytes) -> bool:
        return self._sealed(name) is None and self.stored.write_if_absent(name, data)

    def replace(self, name: str, data: bytes, generation: int) -> bool:
        found = self._sealed(name)
        if found and found.generation == generation and self.stored.write_if_absent(name, data):
            return True  # its lines were in the sealed file alone
        return self.stored.replace(name, data, generation)

    def remove(self, name: str, generation: int) -> bool:
        return self.stored.remove(name, generation)

    def uri(self, name: str) -> str:
        return self.stored.uri(name)

    def _sealed(self, name: str) -> LakeObject | None:
        """The object as it was sealed, if it was; no request where its hour is too young for that."""
        parsed = parse_object(name)
        if parsed is None or parsed.hour > datetime.now(UTC) - YOUNGEST:
            return None
        folder = _folder_of(name)
        found = read_manifest(self.stored, folder)
        return found.objects(folder).get(name) if found else None


def _lies_in(lake: Lake, name: str) -> bool:
    return any(found.name == name for found in lake.list(_folder_of(name), name, f"{name}~"))


def _folder_of(name: str) -> str:
    return name[: name.rfind("/") + 1]
