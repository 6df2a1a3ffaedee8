"""Objects read: whether the warehouse's fast way takes one as it is, and if not, its lines one by one.

The fast way decompresses a whole object and parses its lines as JSON, much faster than Python can. It must never meet
what it would refuse (it refuses all objects of a read together, and names none) or take otherwise than this reader: so
each object is looked through once, in pieces, and only one that is plain in every byte is left to it. Of any other the
lines are written to a file, each with what is wrong with it as a line, and the warehouse takes them from there.

A line ends at a line feed, with or without a carriage return before it; blank lines are none. JSON is that of RFC 8259.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from isal import igzip_lib

from streaming_assets.files import replaced

# Bytes of text held at once; a buffer of that size costs 30 us, which small objects do without.
PIECE = 8 * 2**20
SMALL_PIECE, GROWS = 64 * 2**10, 16  # bytes; times that text is usually longer than its gzip at most
LONGEST_LINE = 16 * 2**20  # bytes; DuckDB reads no longer one
KEPT_OF_A_LONG_LINE = 64 * 2**10  # bytes; the rest stays in the lake
BATCH = 5_000  # lines

MALFORMED = "malformed JSON"
NOT_UTF8 = "no UTF-8"
TOO_LONG = f"line longer than {LONGEST_LINE // 2**20} MiB"

_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r"
_MAGIC = b"\x1f\x8b\x08"
_FILE_NAME = 0x08  # of a gzip header's flags the one that every reader knows
OFFSET = re.compile(rb'"offset"\s*:\s*(-?[0-9]{1,19})\b')
_LINES = pa.schema(
    [("uri", pa.string()), ("line", pa.string()), ("fault", pa.string()), ("offset_text", pa.string())]
)


class ObjectUnreadable(Exception):
    """No reader can read the object: it is no gzip, or cut short, or damaged."""


class _Value(msgspec.Struct, gc=False):
    pass


class _Record(msgspec.Struct, gc=False):
    value: _Value


class _Letter(msgspec.Struct, gc=False):
    value: msgspec.Raw = msgspec.Raw(b"null")


_RECORDS = msgspec.json.Decoder(_Record)
_ANY = msgspec.json.Decoder(_Letter)
_GRAMMAR = msgspec.json.Decoder(msgspec.Raw)
_DAMAGED: Any = igzip_lib.IsalError
_REFUSED: Any = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


@dataclass(frozen=True)
class Line:
    """A line: its text, what is wrong with it as a line (None if nothing), and the offset that a faulty one shows."""

    text: str
    fault: str | None = None
    offset: str | None = None


def count_plain_lines(data: bytes, of_events: bool = True) -> int | None:
    """Lines of a gzip object that the fast way takes as they are; None if it must not be given this object.

    Args:
        data: the object.
        of_events: whether each line is to be a record whose value is an object.

    Raises:
        ObjectUnreadable: no reader can read it.
    """
    if not data:
        return 0
    if data[3:4] and data[3] & ~_FILE_NAME:
        return None
    decoder = _RECORDS if of_events else _ANY
    lines, first, rest = 0, True, b""
    for piece in _pieces(data, whole=True):
        if piece is None:
            return None
        text = rest + piece
        cut = text.rfind(b"\n") + 1
        rest = text[cut:]
        if len(rest) > LONGEST_LINE or (first and text.startswith(_BOM)):
            return None
        found = _plain(text[:cut], decoder)
        if found is None:
            return None
        lines, first = lines + found, False
    found = _plain(rest, decoder)
    return None if found is None else lines + found


def careful_lines(data: bytes) -> Iterator[Line]:
    """The lines of a gzip object, whatever they hold.

    Raises:
        ObjectUnreadable: no reader can read it.
    """
    first = True
    for line, size in _split(data):
        text = line.removeprefix(_BOM) if first else line
        first = False
        if text.strip(_BLANK):
            yield _careful(text, size)


def text_of(data: bytes) -> bytes:
    """All that a gzip object holds. Raises ObjectUnreadable."""
    return b"".join(piece or b"" for piece in _pieces(data))


def write_lines(path: Path, uri: str, lines: Iterator[Line]) -> int:
    """Write lines as a parquet file of columns uri, line, fault, offset_text; returns how many.

    Raises:
        ObjectUnreadable: as the lines are read; then there is no file.
        OSError: the file can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with replaced(path) as incoming, pq.ParquetWriter(incoming, _LINES, compression="zstd") as writer:
        batch: list[dict[str, Any]] = []
        for line in lines:
            batch.append({"uri": uri, "line": line.text, "fault": line.fault, "offset_text": line.offset})
            count += 1
            if len(batch) == BATCH:
                writer.write_table(pa.Table.from_pylist(batch, schema=_LINES))
                batch.clear()
        writer.write_table(pa.Table.from_pylist(batch, schema=_LINES))
    return count


def _plain(text: bytes, decoder: msgspec.json.Decoder) -> int | None:
    """Lines of a text that is plain in every byte; else None."""
    if b"\r" in text or b"\0" in text:
        return None
    try:
        if not text.isascii():
            text.decode()
        found = len(decoder.decode_lines(text))
    except _REFUSED:
        return None
    wanted = text.count(b"\n") + (not text.endswith(b"\n") if text else 0)
    return found if found == wanted else None


def _careful(line: bytes, size: int) -> Line:
    if size > LONGEST_LINE:
        return Line(line[:KEPT_OF_A_LONG_LINE].decode(errors="backslashreplace"), TOO_LONG, _offset_of(line))
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return Line(line.decode(errors="backslashreplace"), NOT_UTF8, _offset_of(line))
    try:
        _GRAMMAR.decode(line)
    except _REFUSED:
        return Line(text, MALFORMED, _offset_of(line))
    return Line(text)


def _offset_of(line: bytes) -> str | None:
    """The offset that a faulty line shows, where it shows just one."""
    found = OFFSET.findall(line)
    return found[0].decode() if len(found) == 1 else None


def _split(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Lines with their sizes; of one that is too long, no more than its beginning."""
    kept, size = b"", 0
    for piece in _pieces(data):
        *whole, rest = (piece or b"").split(b"\n")
        for line in whole:
            yield kept + line if size <= LONGEST_LINE else kept, size + len(line)
            kept, size = b"", 0
        size += len(rest)
        kept = kept + rest if size <= LONGEST_LINE else (kept + rest)[:KEPT_OF_A_LONG_LINE]
    if size:
        yield kept, size


def _pieces(data: bytes, whole: bool = False) -> Iterator[bytes | None]:
    """The text of a gzip object in pieces; with `whole`, None in place of what follows its first member."""
    refusal = "it is no gzip"
    size = min(PIECE, max(SMALL_PIECE, GROWS * len(data)))
    while data:
        if not data.startswith(_MAGIC):
            raise ObjectUnreadable(refusal)
        member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        while not member.eof:
            try:
                piece = member.decompress(data, size)
            except _DAMAGED as error:
                raise ObjectUnreadable(f"its compressed data is damaged ({error})") from None
            data = b""
            if piece:
                yield piece
            elif not member.eof:
                raise ObjectUnreadable("it is cut short")
        if whole and member.unused_data:
            yield None
            return
        data = member.unused_data.lstrip(b"\0")
        refusal = "what follows its compressed data is no gzip"
