"""Objects are counted, or their damage is told with their name."""

import gzip
import threading
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from streaming_assets.lake.folder import FolderLake
from streaming_assets.lake.inventory import Found, list_hours, read_rows
from streaming_assets.lake.names import HOUR, ObjectName

NAME = ObjectName("listen_events", datetime(2025, 3, 28, 22, tzinfo=UTC), 0, 0)
LINES = gzip.compress(b'{"value": {"ts": 1}, "offset": 0}\n' * 50)


def _damaged(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :]


class CountingLake(FolderLake):
    """Tells how many reads went on at once at most; each waits for another one a moment, if one may come."""

    def __init__(self, root: Path, readers: int) -> None:
        super().__init__(root)
        self.readers = readers
        self.most = self._reading = 0
        self._lock = threading.Lock()
        self._two = threading.Event()

    def read(self, name: str) -> bytes:
        with self._lock:
            self._reading += 1
            self.most = max(self.most, self._reading)
            if self._reading > 1:
                self._two.set()
        if self.readers > 1:
            self._two.wait(10)
        data = super().read(name)
        with self._lock:
            self._reading -= 1
        return data


@pytest.mark.parametrize("readers", [1, 8])
def test_small_objects_are_read_at_once_only_where_a_read_waits(tmp_path: Path, readers: int) -> None:
    lake = CountingLake(tmp_path, readers)
    for number in range(600):
        lake.write(str(ObjectName("listen_events", NAME.hour, 0, number)), LINES)
    listed = list_hours(lake, "listen_events", NAME.hour, NAME.hour + HOUR).objects
    assert [row.rows for row in read_rows(lake, listed, {}, None)] == [50] * 600
    assert (lake.most > 1) == (readers > 1)


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (LINES, 50),
        (gzip.compress(b"a\n\n \t\nb"), 2),
        (gzip.compress(b""), 0),
        (b"", 0),
        (gzip.compress(b"a\rb\r\nc\r\r\n\rd\r"), 3),
        (gzip.compress(b"\x0b\n\x00\n\x1c\x85 \x0c\n".decode("latin-1").encode()), 3),
    ],
    ids=["lines", "blank lines", "no line", "empty", "carriage returns", "other control characters"],
)
def test_lines_that_are_not_blank_are_counted(tmp_path: Path, data: bytes, rows: int) -> None:
    (row,) = _read(tmp_path, data)
    assert (row.rows, row.error) == (rows, None)


@pytest.mark.parametrize(
    "data",
    [b"no gzip", LINES[:40], _damaged(LINES, 11), _damaged(LINES, len(LINES) - 6)],
    ids=["no gzip", "truncated", "damaged inside", "damaged check"],
)
def test_damage_is_told_with_the_name(tmp_path: Path, data: bytes) -> None:
    (row,) = _read(tmp_path, data)
    assert row.rows is None
    assert str(NAME) in (row.error or "")


def test_lines_that_the_warehouse_can_not_read_itself_go_to_a_file_once(tmp_path: Path) -> None:
    data = gzip.compress(b'{"value": {"ts": 1}, "offset": 0}\nlost')
    (row,) = _read(tmp_path, data)
    assert row.rows == 2
    assert row.lines_uri is not None
    path = Path(row.lines_uri)
    assert pq.read_table(path).num_rows == 2
    before = path.stat().st_mtime_ns

    version = (row.uri, row.size, row.generation)
    (again,) = _read(tmp_path, None, {version: Found(2, row.content or "", row.lines_uri)})
    assert (again, path.stat().st_mtime_ns) == (row, before), "what is known is not read again"
    path.unlink()
    (anew,) = _read(tmp_path, None, {version: Found(2, row.content or "", row.lines_uri)})
    assert anew == row
    assert path.exists(), "a file that went is written again"


@pytest.mark.parametrize("hours", [1, 2])
def test_only_the_hours_asked_for_are_listed(tmp_path: Path, hours: int) -> None:
    lake = FolderLake(tmp_path)
    names = [ObjectName(NAME.topic, NAME.hour + number * HOUR, 0, number) for number in (-1, 0, 1, 2)]
    for name in names:
        lake.write(str(name), LINES)
    listed = list_hours(lake, NAME.topic, NAME.hour, NAME.hour + hours * HOUR)
    assert [row.name for row in listed.objects] == names[1 : 1 + hours]


def _read(folder: Path, data: bytes | None, known: dict | None = None):
    lake = FolderLake(folder)
    if data is not None:
        lake.write(str(NAME), data)
    objects = list_hours(lake, NAME.topic, NAME.hour, NAME.hour + HOUR).objects
    return list(read_rows(lake, objects, known or {}, folder / "lines"))
