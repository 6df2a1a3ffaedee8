"""Recorded events into the lake, and reading recordings."""

import base64
import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streaming_assets.events import EventField, EventType
from streaming_assets.ingestion import replay as replay_module
from streaming_assets.ingestion.replay import (
    Recording,
    ReplayCounts,
    ReplayError,
    check_topic,
    event_time,
    replay_epoch,
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


def replay(lake: Lake, *lines: bytes, stream_epoch: str = "replay-1") -> ReplayCounts:
    counts = ReplayCounts()
    replay_to_lake("user_info", lines, lake, stream_epoch, NOT_BEFORE, "dead", counts)
    return counts


def raw_lines(lake: FolderLake, topic: str = "user_info") -> dict[datetime, list[bytes]]:
    found: dict[datetime, list[bytes]] = {}
    for entry in lake.list(f"raw/{topic}/"):
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
    assert {parse_object(entry.name).stream_epoch for entry in lake.list("raw/")} == {"replay-1"}  # type: ignore[union-attr]


def test_the_time_is_the_one_that_the_contract_names() -> None:
    at = EventField("meta.at", "string", column="at", required=True, time="iso_8601")
    order = EventType("orders", (at,), identity=("meta.at",), event_time="meta.at")
    told = {
        b'{"meta": {"at": "2025-04-01T06:30:00Z"}}': ms(NOT_BEFORE),
        b'{"meta": {"at": "2025-04-01T08:30:00.5+02:00"}}': ms(NOT_BEFORE) + 500,
        b'{"meta": {"at": "2025-04-01 06:30"}}': ms(NOT_BEFORE),
        b'{"meta": {"at": 1743489000000}, "ts": 1}': None,
        b'{"meta": {"at": "soon"}}': None,
        b'{"meta": "2025-04-01T06:30:00Z"}': None,
        b"{}": None,
    }
    assert {line: event_time(line, order) for line in told} == told
    timeless = replace(order, event_time=None)
    assert event_time(b'{"ts": 1743489000000}', timeless) is None


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


@pytest.mark.parametrize(
    "ts",
    [
        ms(datetime(9999, 12, 31, 23, 30, tzinfo=UTC)),
        10**18,
        2**63,
        10**30,
        -1,
        -(2**63),
        None,
    ],
    ids=["year 9999", "nanoseconds", "2^63", "10^30", "negative", "-2^63", "in two hours"],
)
def test_a_time_that_no_hour_of_the_lake_can_have_moves_the_event_to_the_hour_before_it(
    lake: FolderLake, ts: int | None
) -> None:
    ts = ms(datetime.now(UTC)) + 2 * 3_600_000 if ts is None else ts
    later = NOT_BEFORE + timedelta(hours=2)
    odd = json.dumps({"ts": ts}).encode()
    counts = replay(lake, event(later), odd, event(later + timedelta(hours=1)))
    assert {hour: len(found) for hour, found in raw_lines(lake).items()} == {
        HOUR + timedelta(hours=2): 2,
        HOUR + timedelta(hours=3): 1,
    }
    assert b'{"value":%b,"offset":1,' % odd in raw_lines(lake)[HOUR + timedelta(hours=2)][1], "as it came"
    assert (counts.records, counts.moved) == (3, 1)


def test_an_event_of_this_moment_is_in_its_hour(lake: FolderLake) -> None:
    now = datetime.now(UTC)
    assert replay(lake, event(now)).moved == 0
    assert list(raw_lines(lake)) == [now.replace(minute=0, second=0, microsecond=0)]


BAD = [
    b'{"ts":17',
    b"[1,2]",
    "größe".encode(),
    b'{"a":"\xff\xfe"}',
    b"nul \x00 byte",
    b'{"ts":1743489000000,}',
    b'{"ts":1743489000000,"a":NaN}',
    b'\xef\xbb\xbf{"ts":1743489000000}',
    b'{"a":1},"offset":0,"timestamp":"2020-01-01T00:00:00.000Z","b":{}',  # would write a line of its own
]


def test_a_line_that_is_no_object_is_a_dead_letter_with_its_bytes(lake: FolderLake) -> None:
    counts = replay(lake, event(NOT_BEFORE), *BAD)
    assert len(raw_lines(lake)[HOUR]) == 1
    letters = [json.loads(line) for line in raw_lines(lake, "dead")[HOUR]]
    assert [base64.b64decode(letter["value"]) for letter in letters] == BAD
    assert [letter["offset"] for letter in letters] == list(range(1, len(BAD) + 1))
    assert (counts.records, counts.faulty) == (len(BAD) + 1, len(BAD))
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


def test_an_epoch_depends_on_topic_content_and_floor_alone(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"{}\n")
    (tmp_path / "copy").write_bytes(b"{}\n")
    (tmp_path / "b").write_bytes(b"{} \n")
    stream_epoch = replay_epoch("user_info", [tmp_path / "a"], NOT_BEFORE)
    assert stream_epoch == replay_epoch("user_info", [tmp_path / "copy"], NOT_BEFORE)
    others = {
        replay_epoch("user_info", [tmp_path / "b"], NOT_BEFORE),
        replay_epoch("auth_events", [tmp_path / "a"], NOT_BEFORE),
        replay_epoch("user_info", [tmp_path / "a"], HOUR),
        replay_epoch("user_info", [tmp_path / "a", tmp_path / "copy"], NOT_BEFORE),
    }
    assert len(others | {stream_epoch}) == 5


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
@pytest.mark.parametrize("piece", [1, 5, 1_048_576])
@pytest.mark.parametrize("chunk", [1, 7, 65_536])
def test_lines_of_plain_and_gzip_files(
    tmp_path: Path, pack: Callable[[bytes], bytes], chunk: int, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streaming_assets.ingestion.packing.PIECE", piece)
    monkeypatch.setattr("streaming_assets.ingestion.packing.CHUNK", chunk)
    path = tmp_path / "events"  # told apart by content, not by name
    path.write_bytes(pack(CONTENT))
    seen: list[int] = []
    assert list(Recording([path], seen.append)) == LINES
    assert sum(seen) == path.stat().st_size


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert list(Recording([tmp_path / "empty"])) == []


def test_a_small_file_of_an_endless_line_costs_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_module, "LONGEST_LINE", 2 * 1024 * 1024)
    size = 200 * 1024 * 1024
    packer = zlib.compressobj(9, wbits=31)
    packed = packer.compress(b"{}\n") + b"".join(packer.compress(b"x" * (size // 100)) for _ in range(100))
    path = tmp_path / "bomb.gz"
    path.write_bytes(packed + packer.compress(b'\n{"last":1}\n') + packer.flush())
    assert path.stat().st_size < 300_000
    named: list[tuple[str, int]] = []
    recording = Recording([path], on_long=lambda size: named.append((recording.place, size)))
    tracemalloc.start()
    try:
        assert list(recording) == [b"{}", b'{"last":1}']
        assert tracemalloc.get_traced_memory()[1] < 20 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert named == [(f"{path}, line 2", size)]


def test_places_count_all_lines_of_each_file(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(b"{}\n\n\r\n{}\n")
    recording = Recording([tmp_path / "one", tmp_path / "two"])
    assert [(line, recording.place) for line in recording] == [
        (b"{}", f"{tmp_path / name}, line {number}") for name in ("one", "two") for number in (1, 4)
    ]


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
        replay_to_lake("user_info", Recording([path]), lake, "replay-1", NOT_BEFORE, "dead", ReplayCounts())
    (found,) = raw_lines(lake).values()
    values = [line.removeprefix(b'{"value":').rpartition(b',"offset"')[0] for line in found]
    assert values[: len(whole_lines)] == whole_lines


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match="absent"):
        list(Recording([tmp_path / "absent"]))
    with pytest.raises(ReplayError, match="absent"):
        replay_epoch("user_info", [tmp_path / "absent"], NOT_BEFORE)
    with pytest.raises(ReplayError, match="directory"):
        replay_epoch("user_info", [tmp_path], NOT_BEFORE)


def test_an_unknown_topic_is_refused_with_those_there_are() -> None:
    with pytest.raises(ReplayError, match=r"'listens' is no topic.*listen_events, page_view_events"):
        check_topic("listens")
