"""The text of a reference source: a file or an https:// address, plain or gzip, in UTF-8 or ISO-8859-1.

A source is held in memory whole before anything is made of it, so half a download is never used.
"""

import codecs
import gzip
import io
import logging
import re
import time
import zlib
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

MAX_BYTES = 512 * 1024 * 1024  # of the file, and of what it unpacks to
TIMEOUT = 30  # seconds without a byte
PROGRESS_INTERVAL = 5  # seconds
_CHUNK = 1024 * 1024
_CONTROL = re.compile("[\x80-\x9f]")

_log = logging.getLogger(__name__)


class ReferenceSourceError(Exception):
    """A reference source can't be used; the message names it, what is wrong, and the way out."""


def read_text(source: str) -> str:
    """The text of `source`, a path or an https:// address.

    Raises:
        ReferenceSourceError: it can't be had whole, is too large, or is no text.
    """
    if "://" in source and not source.startswith("https://"):
        raise ReferenceSourceError(f"{source}: give an https:// address, a path, or 'bundled'")
    data = _download(source) if source.startswith("https://") else _read_file(source)
    return _decode(source, _unpack(source, data))


def _read_file(source: str) -> bytes:
    path = Path(source).expanduser()
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _too_large(source)
        return path.read_bytes()
    except OSError as error:
        raise ReferenceSourceError(f"{source} can't be read: {error.strerror}") from error


def _download(source: str) -> bytes:
    try:
        with urlopen(
            Request(source, headers={"User-Agent": "streaming-assets"}), timeout=TIMEOUT
        ) as response:
            if not response.url.startswith("https://"):
                raise ReferenceSourceError(f"{source} leads to {response.url}, which is not https://")
            return _receive(source, response, int(response.headers.get("Content-Length", 0)))
    except (OSError, HTTPException) as error:
        reason = error.reason if type(error) is URLError else error  # its subclass has the status too
        raise ReferenceSourceError(
            f"{source} can't be downloaded: {reason}; try again, or name a file or 'bundled'"
        ) from error


def _receive(source: str, response, length: int) -> bytes:
    if length > MAX_BYTES:
        raise _too_large(source)
    received = bytearray()
    said = time.monotonic()
    while chunk := response.read(_CHUNK):
        received += chunk
        if len(received) > MAX_BYTES:
            raise _too_large(source)
        if time.monotonic() - said > PROGRESS_INTERVAL:
            said = time.monotonic()
            _log.info(
                "%s: %.1f of %s MB", source, len(received) / 1e6, f"{length / 1e6:.1f}" if length else "?"
            )
    if len(received) < length:
        raise ReferenceSourceError(
            f"{source} ended after {len(received)} of {length} bytes; try again, or name a file or 'bundled'"
        )
    return bytes(received)


def _unpack(source: str, data: bytes) -> bytes:
    if data.startswith(b"PK\x03\x04"):
        raise ReferenceSourceError(f"{source} is a zip archive; unpack it and name the text file in it")
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        unpacked = gzip.GzipFile(fileobj=io.BytesIO(data)).read(MAX_BYTES + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise ReferenceSourceError(f"{source} is no whole gzip file: {error}; fetch it again") from error
    if len(unpacked) > MAX_BYTES:
        raise _too_large(source)
    return unpacked


def _decode(source: str, data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in data:
        raise ReferenceSourceError(f"{source} is no text in UTF-8 or ISO-8859-1; convert it to UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
    text = data.decode("iso-8859-1")
    # Any bytes are ISO-8859-1. But what it has between 0x80 and 0x9f are control characters, which no title
    # holds: those bytes are of another encoding, or of UTF-8 that was damaged.
    if _CONTROL.search(text):
        raise ReferenceSourceError(
            f"{source}, line {line}: neither UTF-8 nor ISO-8859-1; convert the file to UTF-8"
        )
    return text


def _too_large(source: str) -> ReferenceSourceError:
    return ReferenceSourceError(f"{source} is larger than {MAX_BYTES // 1_000_000} MB; is it the right file?")
