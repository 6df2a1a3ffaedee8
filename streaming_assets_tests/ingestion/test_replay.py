"""Recorded events into the lake, and reading recordings."""

import gzip
import json
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streaming_assets.ingestion.replay import (
    ReplayCounts,
    ReplayError,
    check_topic,
    read_lines,
    replay_life,
    replay_to_lake,
)
from streaming_assets.lake.folder import FolderLake
from streaming_assets.lake.names import dead_letter_source, parse_object
from streaming_assets.lake.store import Lake

NOT_BEFORE = datetime(2025, 4, 1, 6, 30, tzinfo=UTC)
HOUR = datetime(2025, 4, 1, 6, tzinfo=UTC)


def ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def event(moment: datetime, **fields: object) -> bytes:
    return json.dumps({"ts": ms(moment), **fields}).encode()


@pytest.fixture
def lake(tmp_path: Path) -> FolderLake:
    return FolderLake(tmp_path / "lake")


def replay(lake: Lake, *lines: bytes, life: str = "replay-1") -> ReplayCounts:
    counts = ReplayCounts()
    replay_to_lake("user_info", lines, lake, life, NOT_BEFORE, "dead", counts)
    return counts


def raw_lines(lake: FolderLake) -> dict[datetime, list[bytes]]:
    found: dict[datetime, list[bytes]] = {}
    for entry in lake.list("raw/user_info/"):
        name = parse_object(entry.name)
        assert name is not None
        found.setdefault(name.hour, []).extend(gzip.decompress(lake.read(entry.name)).splitlines())
    return found


def test_events_go_under_the_hour_of_their_time(lake: FolderLake) -> None:
    one, two = NOT_BEFORE + timedelta(minutes=29), NOT_BEFORE + timedelta(hours=5)
    counts = replay(lake, event(one, a=1), event(two, a=2))
    assert raw_lines(lake) == {
        HOUR: [b'{"value":%b,"offset":0,"timestamp":"2025-04-01T06:59:00.000Z"}' % event(one, a=1)],
        HOUR + timedelta(hours=5): [
            b'{"value":%b,"offset":1,"timestamp":"2025-04-01T11:30:00.000Z"}' % event(two, a=2)
        ],
    }
    assert (counts.records, counts.faulty, counts.moved, counts.objects) == (2, 0, 0, 2)
    assert {parse_object(entry.name).life for entry in lake.list("raw/")} == {"replay-1"}  # type: ignore[union-attr]


def test_earlier_events_and_those_without_a_time_lose_nothing(lake: FolderLake) -> None:
    later = NOT_BEFORE + timedelta(hours=2)
    lines = [
        event(NOT_BEFORE - timedelta(days=90)),  # before the floor: its hour
        b'{"no":"ts"}',  # the floor, as no line came before it with a time
        event(later),
        b'{"ts":"text"}',  # where the line before it went
        b'{"ts":99999999999999999}',
        b'{"ts":true}',
    ]
    counts = replay(lake, *lines)
    offsets = {
        hour: [json.loads(line)["offset"] for line in found] for hour, found in raw_lines(lake).items()
    }
    assert offsets == {HOUR: [0, 1], HOUR + timedelta(hours=2): [2, 3, 4, 5]}
    assert (counts.records, counts.moved, counts.faulty) == (6, 5, 0)
    times = [json.loads(line)["timestamp"] for line in raw_lines(lake)[HOUR]]
    assert times == ["2025-04-01T06:30:00.000Z"] * 2


def test_a_line_that_is_no_object_is_delivered_as_it_came_and_counted(lake: FolderLake) -> None:
    counts = replay(lake, event(NOT_BEFORE), b'{"ts":17', b"[1,2]", "größe".encode())
    assert raw_lines(lake)[HOUR][1:] == [
        b'{"value":{"ts":17,"offset":1,"timestamp":"2025-04-01T06:30:00.000Z"}',
        b'{"value":[1,2],"offset":2,"timestamp":"2025-04-01T06:30:00.000Z"}',
        b'{"value":%b,"offset":3,"timestamp":"2025-04-01T06:30:00.000Z"}' % "größe".encode(),
    ]
    assert (counts.records, counts.faulty) == (4, 3)


@pytest.mark.parametrize("line", [b'{"a":"\xff\xfe"}', b"nul \x00 byte"])
def test_what_is_no_text_becomes_a_dead_letter(lake: FolderLake, line: bytes) -> None:
    replay(lake, event(NOT_BEFORE), line)
    (entry,) = lake.list("raw/dead/")
    name = parse_object(entry.name)
    assert name is not None
    assert (name.hour, name.start_offset) == (HOUR, 1)
    assert dead_letter_source(name) == ("user_info", "replay-1")


def test_repeating_a_replay_changes_nothing(lake: FolderLake) -> None:
    lines = [event(NOT_BEFORE + timedelta(minutes=7 * n)) for n in range(50)]
    first = replay(lake, *lines)
    before = list(lake.list("raw/"))
    again = replay(lake, *lines)
    assert list(lake.list("raw/")) == before  # generations too
    assert len(before) == first.objects == again.objects == 7


def test_a_life_depends_on_topic_content_and_floor_alone(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"{}\n")
    (tmp_path / "copy").write_bytes(b"{}\n")
    (tmp_path / "b").write_bytes(b"{} \n")
    life = replay_life("user_info", [tmp_path / "a"], NOT_BEFORE)
    assert life == replay_life("user_info", [tmp_path / "copy"], NOT_BEFORE)
    others = {
        replay_life("user_info", [tmp_path / "b"], NOT_BEFORE),
        replay_life("auth_events", [tmp_path / "a"], NOT_BEFORE),
        replay_life("user_info", [tmp_path / "a"], HOUR),
        replay_life("user_info", [tmp_path / "a", tmp_path / "copy"], NOT_BEFORE),
    }
    assert len(others | {life}) == 5


def test_buffers_are_written_as_they_fill(lake: FolderLake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming_assets.ingestion.replay.BUFFER_BYTES", 1000)
    counts = replay(lake, *[event(NOT_BEFORE, pad="x" * 100) for _ in range(50)])
    assert counts.objects > 5
    (lines,) = raw_lines(lake).values()
    assert [json.loads(line)["offset"] for line in lines] == list(range(50))


CONTENT = b'{"a":"\xe2\x80\xa8"}\r\n\n{"b":2}\nlast without newline'
LINES = [b'{"a":"\xe2\x80\xa8"}', b'{"b":2}', b"last without newline"]


@pytest.mark.parametrize(
    "pack",
    [
        pytest.param(lambda content: content, id="plain"),
        pytest.param(gzip.compress, id="gzip"),
        pytest.param(
            lambda content: gzip.compress(content[:9]) + gzip.compress(content[9:]), id="two members"
        ),
    ],
)
@pytest.mark.parametrize("chunk", [1, 7, 65_536])
def test_lines_of_plain_and_gzip_files(
    tmp_path: Path, pack: Callable[[bytes], bytes], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streaming_assets.ingestion.packing.CHUNK", chunk)
    path = tmp_path / "events"  # told apart by content, not by name
    path.write_bytes(pack(CONTENT))
    seen: list[int] = []
    assert list(read_lines(path, seen.append)) == LINES
    assert sum(seen) == path.stat().st_size


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert list(read_lines(tmp_path / "empty")) == []


@pytest.mark.parametrize("garbage", [b"", b"\xff" * 1000], ids=["cut", "garbage"])
def test_a_damaged_gzip_file_is_named_after_all_before_it_is_delivered(
    lake: FolderLake, tmp_path: Path, garbage: bytes
) -> None:
    data = gzip.compress(b"\n".join(event(NOT_BEFORE, n=n) for n in range(20_000)))
    half = data[: len(data) // 2]
    whole_lines = zlib.decompressobj(wbits=31).decompress(half).split(b"\n")[:-1]
    path = tmp_path / "events.json.gz"
    path.write_bytes(half + garbage)
    with pytest.raises(ReplayError, match=r"events\.json\.gz: the gzip data is cut off or damaged"):
        replay_to_lake("user_info", read_lines(path), lake, "replay-1", NOT_BEFORE, "dead", ReplayCounts())
    (found,) = raw_lines(lake).values()
    values = [line.removeprefix(b'{"value":').rpartition(b',"offset"')[0] for line in found]
    assert values[: len(whole_lines)] == whole_lines


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match="absent"):
        list(read_lines(tmp_path / "absent"))
    with pytest.raises(ReplayError, match="absent"):
        replay_life("user_info", [tmp_path / "absent"], NOT_BEFORE)
    with pytest.raises(ReplayError, match="directory"):
        replay_life("user_info", [tmp_path], NOT_BEFORE)


def test_an_unknown_topic_is_refused_with_those_there_are() -> None:
    with pytest.raises(ReplayError, match=r"'listens' is no topic.*listen_events, page_view_events"):
        check_topic("listens")
