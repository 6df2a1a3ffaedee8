"""The interface that a lake offers."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


class LakeError(Exception):
    """The lake can't be read or written; the message names the object or folder."""


@dataclass(frozen=True)
class LakeObject:
    """One object: `name` relative to the lake's root, `size` in bytes; each write changes `generation`.

    `content` is a hash of its bytes, where a listing tells one without reading (a bucket does).
    """

    name: str
    size: int
    generation: int
    content: str | None = None


class Lake(Protocol):
    """A folder or a bucket. Names are relative to the root, with `/`; a write is seen whole or not at all."""

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

    def uri(self, name: str) -> str:
        """The object's address for the warehouse: an absolute path or `gs://...`."""
        ...


def content_hash(data: bytes) -> str:
    """The hash of an object's bytes, for a lake whose listing tells none."""
    return f"blake2b:{hashlib.blake2b(data, digest_size=16).hexdigest()}"
