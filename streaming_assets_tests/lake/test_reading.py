"""Objects in pieces: which are plain, what is wrong with a line, what no reader can read."""

import gzip
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from streaming_assets.lake import reading
from streaming_assets.lake.reading import (
    MALFORMED,
    NOT_UTF8,
    TOO_LONG,
    Line,
    ObjectUnreadable,
    careful_lines,
    count_plain_lines,
    write_lines,
)

ROW = b'{"value": {"ts": 1}, "offset": 7}'
PLAIN = gzip.compress(ROW + b"\n" + ROW, mtime=0)
COMMENT = PLAIN[:3] + b"\x10" + PLAIN[4:10] + b"why\0" + PLAIN[10:]

# A text, and its careful lines: (text, fault, offset).
TEXTS: dict[str, tuple[bytes, list[tuple[str, str | None, str | None]]]] = {
    "blank lines": (ROW + b"\n\n \t\r\n" + ROW, [(ROW.decode(), None, None)] * 2),
    "carriage returns": (ROW + b"\r\n", [(ROW.decode() + "\r", None, None)]),
    "a lone carriage return": (b"cut\rin two\n", [("cut\rin two", MALFORMED, None)]),
    "a byte order mark": (b"\xef\xbb\xbf" + ROW, [(ROW.decode(), None, None)]),
    "only a byte order mark": (b"\xef\xbb\xbf", []),
    "no UTF-8": (
        b'{"value": {"a": "\xe9"}, "offset": 3}',
        [('{"value": {"a": "\\xe9"}, "offset": 3}', NOT_UTF8, "3")],
    ),
    "NULs": (b"\0\0\n", [("\0\0", MALFORMED, None)]),
    "trailing comma": (
        b'{"value": {"a": 1,}, "offset": 4}',
        [('{"value": {"a": 1,}, "offset": 4}', MALFORMED, "4")],
    ),
    "no number": (b'{"value": {"a": NaN}}', [('{"value": {"a": NaN}}', MALFORMED, None)]),
    "two offsets": (b'{"offset": 1, "offset": 2', [('{"offset": 1, "offset": 2', MALFORMED, None)]),
    "value is no object": (b'{"value": 5, "offset": 1}', [('{"value": 5, "offset": 1}', None, None)]),
    "no record": (b"[1]", [("[1]", None, None)]),
    "nested deeply": (b"[" * 5000 + b"]" * 5000, [("[" * 5000 + "]" * 5000, MALFORMED, None)]),
}
UNREADABLE = {
    "no gzip": (b"<html>", "it is no gzip"),
    "cut short": (PLAIN[:-12], "cut short"),
    "without its check": (PLAIN[:-8], "cut short"),
    "header cut": (PLAIN[:5], "cut short"),
    "damaged": (PLAIN[:14] + bytes([PLAIN[14] ^ 0xFF]) + PLAIN[15:], "damaged|cut short"),
    "wrong sum": (PLAIN[:-8] + bytes(8), "damaged"),
    "garbage behind": (PLAIN + b"garbage", "what follows its compressed data is no gzip"),
}


def test_plain_objects_are_counted() -> None:
    assert count_plain_lines(PLAIN) == 2
    assert count_plain_lines(gzip.compress(ROW + b"\n")) == 1
    assert count_plain_lines(gzip.compress(b"")) == 0
    assert count_plain_lines(b"") == 0
    assert count_plain_lines(gzip.compress(b'{"value": "bytes", "offset": 0}'), of_events=False) == 1


@pytest.mark.parametrize("kind", TEXTS)
def test_other_texts_are_read_line_by_line(kind: str) -> None:
    text, lines = TEXTS[kind]
    data = gzip.compress(text)
    assert count_plain_lines(data) is None
    assert list(careful_lines(data)) == [Line(*line) for line in lines]


@pytest.mark.parametrize(
    "data",
    [PLAIN + bytes(512), COMMENT, PLAIN + gzip.compress(b"\n" + ROW)],
    ids=["NULs behind", "a comment in the header", "two members"],
)
def test_gzip_that_readers_disagree_on_is_read_carefully(data: bytes) -> None:
    assert count_plain_lines(data) is None
    assert {line.text for line in careful_lines(data)} == {ROW.decode()}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_no_reader_can_read_is_told(kind: str) -> None:
    data, why = UNREADABLE[kind]
    with pytest.raises(ObjectUnreadable, match=why):
        list(careful_lines(data))
    if count_or_none(data) is not None:
        pytest.fail("taken for plain")


def count_or_none(data: bytes) -> int | None:
    try:
        return count_plain_lines(data)
    except ObjectUnreadable:
        return None


def test_a_line_that_is_too_long_is_one_faulty_line_and_its_neighbours_stand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading, "LONGEST_LINE", 1000)
    monkeypatch.setattr(reading, "KEPT_OF_A_LONG_LINE", 50)
    monkeypatch.setattr(reading, "PIECE", 64)
    long = b'{"offset": 5, "value": {"a": "' + b"x" * 2000 + b'"}}'
    data = gzip.compress(b"\n".join([ROW, long, ROW]))
    assert count_plain_lines(data) is None
    assert list(careful_lines(data)) == [
        Line(ROW.decode()),
        Line(long[:50].decode(), TOO_LONG, "5"),
        Line(ROW.decode()),
    ]


@pytest.mark.parametrize("size", [1, 7, 33, 34, 35, 64])
def test_pieces_cut_lines_anywhere(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(reading, "PIECE", size)
    assert count_plain_lines(gzip.compress(b"\n".join([ROW] * 9))) == 9
    assert [line.text for line in careful_lines(gzip.compress(b"\r\n".join([ROW] * 9)))] == [
        ROW.decode() + "\r"
    ] * 8 + [ROW.decode()]


def test_a_bomb_is_read_in_pieces() -> None:
    """200 MB of text in 200 KB: neither reader holds more of it than a piece and a line."""
    import tracemalloc

    bomb = gzip.compress(b"0" * 200_000_000)
    tracemalloc.start()
    assert count_plain_lines(bomb) is None
    (line,) = careful_lines(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert line.fault == TOO_LONG
    assert len(line.text) == reading.KEPT_OF_A_LONG_LINE
    assert peak < 100_000_000


def test_lines_go_to_a_file_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "lines" / "one.parquet"
    assert write_lines(path, "uri", careful_lines(gzip.compress(ROW + b"\nlost"))) == 2
    assert pq.read_table(path).to_pylist() == [
        {"uri": "uri", "line": ROW.decode(), "fault": None, "offset_text": None},
        {"uri": "uri", "line": "lost", "fault": MALFORMED, "offset_text": None},
    ]
    other = tmp_path / "lines" / "two.parquet"
    with pytest.raises(ObjectUnreadable):
        write_lines(other, "uri", careful_lines(PLAIN[:-8]))
    assert [found.name for found in (tmp_path / "lines").iterdir()] == ["one.parquet"]
