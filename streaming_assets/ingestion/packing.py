"""Gzip: how the lake's objects are packed, and how recordings are unpacked."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, cast

from isal import isal_zlib

# What reading a damaged or cut-off gzip stream raises. The library's own stub mistypes its error class.
DAMAGED: tuple[type[Exception], ...] = (EOFError, zlib.error, cast(type[Exception], isal_zlib.error))

CHUNK = 65_536  # bytes of a file read at once
PIECE = 1024 * 1024  # bytes that are unpacked at once, however small their packed form is
LINES = 1000  # packed at once


def compress(lines: Sequence[bytes]) -> bytes:
    """Gzip, level 1, of all lines together; equal lines give equal bytes, since no time of day goes in."""
    packer = isal_zlib.compressobj(1, wbits=31)
    # Joined some at a time: a second copy of all of them would cost as much memory as the buffer.
    packed = [packer.compress(b"".join(lines[at : at + LINES])) for at in range(0, len(lines), LINES)]
    return b"".join(packed) + packer.flush()


def unpacked(file: IO[bytes], on_bytes: Callable[[int], None]) -> Iterator[bytes]:
    """The content of a file, in pieces of at most `PIECE` bytes, or `CHUNK` where it is not packed.

    Gzip, of one or several members, is told apart by its first bytes.

    Args:
        file: at its start.
        on_bytes: told how many bytes of the file have been taken since the last call.

    Raises:
        One of `DAMAGED`, after all that could be unpacked before the damage.
    """
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    member = None  # the one that is being unpacked
    while chunk := file.read(CHUNK):
        on_bytes(len(chunk))
        if not packed:
            yield chunk
            continue
        while chunk:
            member = member or isal_zlib.decompressobj(wbits=31)
            yield from _pieces(member, chunk)
            chunk = member.unused_data
            if member.eof:
                member = None
    if member:
        raise EOFError("it ends in the middle")


def _pieces(member: Any, chunk: bytes) -> Iterator[bytes]:
    """All that can be unpacked of a gzip member once it has `chunk` too."""
    while True:
        piece = member.decompress(chunk, PIECE)
        yield piece
        chunk = member.unconsumed_tail
        # A full piece may have left something behind, though all that came in is taken.
        if member.eof or not (chunk or len(piece) == PIECE):
            return
