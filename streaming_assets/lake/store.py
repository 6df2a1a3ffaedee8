"""The interface that a lake offers."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class SealedLines:
    """Where the lines of an object lie whose hour is sealed (lake/sealed.py).

    Attributes:
        file: name of the sealed file in the lake.
        file_content: hash of that file's bytes.
        first: row of the file that is its first line.
        rows: how many lines it had.
        content: hash of the bytes that it had.
    """

    file: str
    file_content: str
    first: int
    rows: int
    content: str


class LakeError(Exception):
    """The lake can't be read or written; the message names the object or folder."""


@dataclass(frozen=True)
class LakeObject:
    """One object: `name` relative to the lake's root, `size` in bytes; each write changes `generation`.

    `content` is a hash of its bytes, where a listing tells one without reading (a bucket does). `sealed` is where its
    lines lie, once its hour is sealed.
    """

    name: str
    size: int
    generation: int
    content: str | None = None
    sealed: SealedLines | None = None


class Lake(Protocol):
    """A folder or a bucket. Names are relative to the root, with `/`; a write is seen whole or not at all.

    Attributes:
        readers: how many threads read small objects fastest: several where each read waits for a network; one where
            none does, since what is left is Python's own work, for which threads would only fight.
    """

    @property
    def readers(self) -> int: ...

    def list(
        self, prefix: str, start: str = "", end: str = "", faults: dict[str, str] | None = None
    ) -> Iterator[LakeObject]:
        """The objects under `prefix` (which ends with `/`), in the order of their names (by code point).

        Args:
            prefix: such as `raw/listen_events/`.
            start: first name that counts, inclusive; empty for all.
            end: name from which on nothing counts; empty for all.
            faults: takes, by its name (that of a folder ends with `/`), each place of its own that can't be looked at,
                and why; without it such a place fails the listing. A bucket has none.

        Raises:
            LakeError: the listing failed; an absent prefix is an empty listing, not an error.
        """
        ...

    def read(self, name: str) -> bytes:
        """The object's bytes. Raises LakeError, naming it, if it is absent or unreadable."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Put the object in place, atomically and durably, replacing one of the same name."""
        ...

    def write_if_absent(self, name: str, data: bytes) -> bool:
        """Like `write`, but False and no change if the object exists."""
        ...

    def replace(self, name: str, data: bytes, generation: int) -> bool:
        """Like `write`, but False and no change unless the object is still the one of that generation."""
        ...

    def remove(self, name: str, generation: int) -> bool:
        """Remove the object; False and no change unless it is still the one of that generation."""
        ...

    def uri(self, name: str) -> str:
        """The object's address for the warehouse: an absolute path or `gs://...`."""
        ...


def content_hash(data: bytes) -> str:
    """The hash of an object's bytes, for a lake whose listing tells none."""
    return f"blake2b:{hashlib.blake2b(data, digest_size=16).hexdigest()}"
