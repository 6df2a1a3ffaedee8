"""Hours sealed: an hour's small objects of a topic become one file beside a manifest (lake/sealed.py).

The order makes it one act for every reader. The sealed file is written and read back; the manifest takes its place in
one move, from when on both the objects and the file are there and count once; who reads by address is told; only then
the objects go, each if it is still the one that was sealed. A crash leaves objects beside a manifest that has them, or
a file that no manifest names: `prepare` of the same hour finds either, and `commit` ends it.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq

from streaming_assets.lake.inventory import InventoryRow, listed_row
from streaming_assets.lake.names import MANIFEST, hour_prefix, parse_object, sealed_prefix
from streaming_assets.lake.reading import ObjectUnreadable, count_plain_lines, text_of
from streaming_assets.lake.sealed import (
    MANIFEST_VERSION,
    Manifest,
    Part,
    SealedFile,
    SealedFiles,
    SealedLake,
    is_same,
    read_manifest,
)
from streaming_assets.lake.store import Lake, LakeError, LakeObject, content_hash

_SCHEMA = pa.schema([("object_name", pa.string()), ("line", pa.string())])
_BATCH_BYTES = 32 * 2**20  # of text in a row group
_LEVEL = 9  # of zstd: written once, read for years


@dataclass(frozen=True)
class Prepared:
    """A topic's hour that is ready to be sealed, or whose sealing broke off; nothing of it is in the lake yet.

    Attributes:
        folder: of its objects, with the slash.
        files: the folder of its sealed file.
        manifest: the new manifest, or the one that is there.
        data: the sealed file; None where the one that is there needs no other.
        former: generation of the manifest that is there; None if there is none.
        objects: how many objects that lie in the lake are in the manifest, so that they can go.
        size: their bytes.
    """

    folder: str
    files: str
    manifest: Manifest
    data: bytes | None
    former: int | None
    objects: int
    size: int


def prepare(lake: SealedLake, topic: str, hour: datetime) -> Prepared | None:
    """What sealing a topic's hour comes to; None where there is nothing to gain.

    Raises:
        LakeError: the lake can't be read, or what was sealed of it before is damaged; nothing was changed.
    """
    stored, folder = lake.stored, hour_prefix(topic, hour)
    listed = {found.name: found for found in stored.list(folder)}
    former = listed.pop(folder + MANIFEST, None)
    manifest = read_manifest(stored, folder) if former else None
    sealed = manifest.objects(folder) if manifest else {}
    kept = {name: found for name, found in sealed.items() if is_same(listed.get(name, found), found)}
    content = _Content(stored, folder)
    for name in sorted(kept.keys() | {name for name in listed if parse_object(name)}):
        if name in kept:
            content.take_sealed(kept[name])
        else:
            content.take(listed[name])
    parts = content.parts
    if manifest and {*sealed} == {*kept} and len(parts) == len(kept):
        new, data = manifest, None
    elif manifest is None and len(parts) < 2:
        return None
    else:
        data = content.packed()
        digest = content_hash(data)
        file = f"{sealed_prefix(topic, hour)}{digest.partition(':')[2]}.parquet"
        new = Manifest(MANIFEST_VERSION, file, digest, parts)
    going = [listed[folder + part.name] for part in parts if folder + part.name in listed]
    if data is None and not going and not _others(stored, sealed_prefix(topic, hour), new.file):
        return None
    return Prepared(
        folder,
        sealed_prefix(topic, hour),
        new,
        data,
        former.generation if former else None,
        len(going),
        sum(found.size for found in going),
    )


def commit(lake: SealedLake, prepared: Prepared, note: Callable[[list[InventoryRow]], None]) -> None:
    """Seal it. `note` is told of its objects, each with the address of its lines, before anything is removed.

    Raises:
        LakeError: the lake can't be written, does not hold the file as it was written, or somebody else seals it; no
            object was removed of which the lake has not the lines, and the next call goes on.
    """
    stored, manifest = lake.stored, prepared.manifest
    if prepared.data is not None:
        stored.write(manifest.file, prepared.data)
        name = prepared.folder + MANIFEST
        if not (
            stored.write_if_absent(name, manifest.packed())
            if prepared.former is None
            else stored.replace(name, manifest.packed(), prepared.former)
        ):
            raise LakeError(f"{stored.uri(name)} was written by somebody else meanwhile: seal it again")
    SealedFile(stored, manifest.file, manifest.content)
    sealed = manifest.objects(prepared.folder)
    note(_rows(stored, sealed))
    for found in _others(stored, prepared.files, manifest.file):
        stored.remove(found.name, found.generation)
    for found in [*stored.list(prepared.folder)]:
        if is_same(found, sealed.get(found.name)):
            stored.remove(found.name, found.generation)


def superseded(lake: SealedLake, topic: str, hour: datetime) -> list[str]:
    """Objects of a sealed hour whose sealed lines count no more, since others lie under their names."""
    folder = hour_prefix(topic, hour)
    manifest = read_manifest(lake.stored, folder)
    sealed = manifest.objects(folder) if manifest else {}
    return [
        found.name
        for found in lake.stored.list(folder)
        if found.name in sealed and not is_same(found, sealed[found.name])
    ]


class _Content:
    """The lines of a sealed file, taken up object by object; compressed as they come."""

    def __init__(self, lake: Lake, folder: str) -> None:
        self.parts: list[Part] = []
        self._lake, self._folder, self._files = lake, folder, SealedFiles(lake)
        self._sink = io.BytesIO()
        self._writer = pq.ParquetWriter(self._sink, _SCHEMA, compression="zstd", compression_level=_LEVEL)
        self._batch: list[tuple[str, list[str]]] = []
        self._bytes = 0

    def take(self, found: LakeObject) -> None:
        """An object that lies in the lake, if it is plain; any other is left there."""
        data = self._lake.read(found.name)
        try:
            rows = count_plain_lines(data)
            text = text_of(data) if rows is not None else b""
        except ObjectUnreadable:
            return
        if rows is not None:
            self._add(found, content_hash(data), rows, text)

    def take_sealed(self, found: LakeObject) -> None:
        """An object that was sealed before."""
        if part := found.sealed:
            self._add(found, part.content, part.rows, self._files.of(part).text(part))

    def packed(self) -> bytes:
        """The file of all that was taken."""
        self._flush()
        self._writer.close()
        return self._sink.getvalue()

    def _add(self, found: LakeObject, content: str, rows: int, text: bytes) -> None:
        lines = text.decode().removesuffix("\n").split("\n") if rows else []
        if len(lines) != rows:
            raise LakeError(f"{self._lake.uri(found.name)}: {len(lines)} lines, {rows} were counted")
        name = found.name.removeprefix(self._folder)
        self.parts.append(Part(name, found.size, found.generation, found.content, content, rows))
        self._batch.append((found.name, lines))
        self._bytes += len(text)
        if self._bytes >= _BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        names = [name for name, lines in self._batch for _ in lines]
        lines = [line for _, lines in self._batch for line in lines]
        self._writer.write_table(pa.table({"object_name": names, "line": lines}, schema=_SCHEMA))
        self._batch, self._bytes = [], 0


def _others(lake: Lake, folder: str, file: str) -> list[LakeObject]:
    """Sealed files of an hour that its manifest does not name."""
    return [found for found in lake.list(folder) if found.name != file]


def _rows(lake: Lake, sealed: Mapping[str, LakeObject]) -> list[InventoryRow]:
    return [listed_row(lake, name, found) for found in sealed.values() if (name := parse_object(found.name))]
