"""Gzip, as the lake's objects are packed."""

import zlib
from typing import cast

from isal import isal_zlib

# What reading a damaged or cut-off gzip stream raises. The library's own stub mistypes its error class.
DAMAGED: tuple[type[Exception], ...] = (EOFError, zlib.error, cast(type[Exception], isal_zlib.error))


def compress(data: bytes) -> bytes:
    """Gzip, level 1; equal data gives equal bytes, since no time of day goes in."""
    packer = isal_zlib.compressobj(1, wbits=31)
    return packer.compress(data) + packer.flush()
