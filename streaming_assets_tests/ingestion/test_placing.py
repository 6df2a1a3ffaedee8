"""Replays fold into the objects that are there: each row in one object, whatever was cut where."""

import gzip
import json
import logging
import os
import random
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming_assets.ingestion.buffer import Rows
from streaming_assets.ingestion.lines import data_line
from streaming_assets.ingestion.placing import place
from streaming_assets.lake.folder import FolderLake
from streaming_assets.lake.names import ObjectName, parse_object
from streaming_assets.lake.store import Lake, LakeObject
from streaming_assets.settings import PROJECT_ROOT

TEST_DATA = Path(os.environ.get("STREAMING_ASSETS_TEST_DATA", PROJECT_ROOT.parent / "shared" / "data"))
NAME = ObjectName("user_info", datetime(2025, 1, 1, tzinfo=UTC), 0, 0)
MS = 1_735_689_600_000


class MemoryLake(FolderLake):
    """A lake without a disk, for many short histories."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def read(self, name: str) -> bytes:
        return self.objects[name]

    def write(self, name: str, data: bytes) -> None:
        self.objects[name] = data

    def write_if_absent(self, name: str, data: bytes) -> bool:
        return self.objects.setdefault(name, data) is data

    def list(self, prefix: str, start: str = "", end: str = "") -> Iterator[LakeObject]:
        for name in sorted(self.objects):
            if name.startswith(prefix) and name >= start and (not end or name < end):
                yield LakeObject(name, len(self.objects[name]), 0)

    def uri(self, name: str) -> str:
        return name


def rows(start: int, stop: int, time_ms: int = MS) -> Rows:
    offsets = list(range(start, stop))
    return Rows(offsets, [data_line(b'{"n":%d}' % o, o, time_ms + o) for o in offsets])


def objects(lake: MemoryLake) -> dict[tuple[int, str | None], list[int]]:
    """Offsets in each object, by its start offset and stream_epoch."""
    found = {}
    for name, data in lake.objects.items():
        parsed = parse_object(name)
        assert parsed is not None
        lines = gzip.decompress(data).splitlines()
        found[parsed.start_offset, parsed.stream_epoch] = [json.loads(line)["offset"] for line in lines]
    return found


def test_rows_are_named_by_their_first_offset() -> None:
    lake = MemoryLake()
    placed = place(lake, NAME, rows(5, 8), None)
    assert objects(lake) == {(5, None): [5, 6, 7]}
    assert (placed.objects, placed.last_offset) == (1, 7)
    assert placed.bytes == sum(map(len, lake.objects.values()))


def test_a_longer_replay_writes_only_what_is_new() -> None:
    lake = MemoryLake()
    place(lake, NAME, rows(5, 8), None)
    placed = place(lake, NAME, rows(5, 11), None)
    assert objects(lake) == {(5, None): [5, 6, 7], (8, None): [8, 9, 10]}
    assert (placed.objects, placed.last_offset) == (1, 10)


def test_a_shorter_replay_writes_nothing_and_tells_how_far_the_lake_is() -> None:
    lake = MemoryLake()
    place(lake, NAME, rows(5, 11), None)
    before = dict(lake.objects)
    placed = place(lake, NAME, rows(5, 8), None)
    assert lake.objects == before
    assert (placed.objects, placed.bytes, placed.last_offset) == (0, 0, 10)


def test_a_restart_in_the_middle_of_an_object_goes_on_behind_it() -> None:
    lake = MemoryLake()
    place(lake, NAME, rows(0, 10), None)
    place(lake, NAME, rows(10, 20), 9)
    placed = place(lake, NAME, rows(15, 25), None)
    assert objects(lake) == {
        (0, None): [*range(10)],
        (10, None): [*range(10, 20)],
        (20, None): [*range(20, 25)],
    }
    assert placed.last_offset == 24


def test_an_earlier_topic_does_not_swallow_rows_of_a_new_one() -> None:
    lake = MemoryLake()
    place(lake, NAME, rows(0, 100), None)
    place(lake, NAME, rows(50, 60, MS + 60_000), None)
    assert objects(lake) == {(0, None): [*range(100)], (50, None): [*range(50, 60)]}


@pytest.mark.parametrize(
    "damage",
    [b"", b"no gzip", gzip.compress(b"no json", mtime=0), None],
    ids=["empty", "no gzip", "no JSON", "cut"],
)
def test_a_damaged_object_is_written_again(damage: bytes | None, caplog: pytest.LogCaptureFixture) -> None:
    lake = MemoryLake()
    place(lake, NAME, rows(0, 1000), None)
    (name,) = lake.objects
    lake.objects[name] = lake.objects[name][:200] if damage is None else damage
    with caplog.at_level(logging.WARNING):
        place(lake, NAME, rows(0, 1000), None)
    assert objects(lake) == {(0, None): list(range(1000))}
    assert name in caplog.text


def test_kafka_connects_own_objects_are_folded_into() -> None:
    lake = MemoryLake()
    lines = [
        b'{"offset":0,"value":{},"timestamp":"2025-01-01T00:00:00Z"}',  # no fraction for a whole second
        b'{"offset":1,"value":{},"timestamp":"2025-01-01T00:00:00.001Z"}',  # no newline after the last
    ]
    lake.write(str(NAME), gzip.compress(b"\n".join(lines)))
    place(lake, NAME, rows(0, 4), None)
    assert objects(lake) == {(0, None): [0, 1], (2, None): [2, 3]}


def test_rows_of_another_topic_of_that_name_are_kept_apart() -> None:
    lake = MemoryLake()
    place(lake, NAME, rows(0, 3), None)
    for _ in range(2):  # and a replay of them folds too
        place(lake, NAME, rows(0, 5, MS + 60_000), None)
    by_epoch = {stream_epoch: offsets for (_, stream_epoch), offsets in objects(lake).items()}
    (again,) = [stream_epoch for stream_epoch in by_epoch if stream_epoch]
    assert by_epoch == {None: [0, 1, 2], again: [0, 1, 2, 3, 4]}


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(2, 40))
def test_each_row_is_in_one_object_whatever_crashes(seed: int, hours: int, length: int) -> None:
    """Sinks that are killed again and again between writing and committing, and cut their flushes anywhere.

    Rows of several hours interleave; a flush starts at what was committed last and may end after any number of
    its objects. Each restart forgets all but what is in the lake and committed.
    """
    dice = random.Random(seed)
    hour_of = [dice.randrange(hours) for _ in range(length)]
    lake = MemoryLake()
    committed = 0
    reached: dict[int, int] = {}
    while committed < length:
        end = dice.randint(committed + 1, length)
        crashed = False
        for hour in dice.sample(range(hours), hours):
            offsets = [o for o in range(committed, end) if hour_of[o] == hour]
            if crashed := dice.random() < 0.3:
                break
            if offsets:
                name = replace(NAME, hour=NAME.hour + timedelta(hours=hour))
                mine = Rows(offsets, [data_line(b"{}", o, MS + o) for o in offsets])
                reached[hour] = place(lake, name, mine, reached.get(hour)).last_offset
        if crashed:
            reached = {}
        else:
            committed = end
    placed = sorted(offset for offsets in objects(lake).values() for offset in offsets)
    assert placed == list(range(length))


def test_objects_are_equal_for_equal_rows(tmp_path: Path) -> None:
    lakes: list[Lake] = [FolderLake(tmp_path / "one"), FolderLake(tmp_path / "two")]
    for lake in lakes:
        place(lake, NAME, rows(0, 100), None)
    assert lakes[0].read(str(NAME)) == lakes[1].read(str(NAME))


def test_rows_that_kafka_connect_has_written_are_not_written_again() -> None:
    archive = TEST_DATA / "aiven_sink_objects.tar.gz"
    if not archive.exists():
        pytest.skip(f"{archive.name} is not in STREAMING_ASSETS_TEST_DATA ({TEST_DATA})")
    lake = MemoryLake()
    with tarfile.open(archive) as tar:
        for member in tar:
            if (content := tar.extractfile(member)) is not None:
                lake.objects[member.name] = content.read()
    before = dict(lake.objects)
    for name, data in before.items():
        parsed = parse_object(name)
        assert parsed is not None, name
        found = [json.loads(line) for line in gzip.decompress(data).split(b"\n") if line]
        times = {row["offset"]: datetime.fromisoformat(row["timestamp"]) for row in found}
        lines = [data_line(b"{}", o, round(time.timestamp() * 1000)) for o, time in sorted(times.items())]
        placed = place(lake, parsed, Rows(sorted(times), lines), None)
        assert placed.objects == 0, name
        assert placed.last_offset >= max(times)
    assert lake.objects == before
    assert len(before) > 500
