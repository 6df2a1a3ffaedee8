"""What died with a stream epoch of the embedded broker: told by what the sink knew, less what the lake holds."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from streaming_assets.ingestion.broker_file import read_ends, write_ends
from streaming_assets.ingestion.buffer import Buffer
from streaming_assets.ingestion.placing import place
from streaming_assets.ingestion.sink_state import PartitionState, SinkState
from streaming_assets.ingestion.stream_epochs import note_died
from streaming_assets.lake.folder import FolderLake
from streaming_assets.lake.names import HOUR

BEGUN = datetime(2025, 3, 1, 22, 30, tzinfo=UTC)
EPOCH = f"embedded-{BEGUN:%Y%m%dT%H%M%S}-abc"
LETTERS = "connect_sink_gcs"


@pytest.fixture
def lake(tmp_path: Path) -> FolderLake:
    return FolderLake(tmp_path / "lake")


def put(lake: FolderLake, offsets: range, hours: int = 0, value: bytes = b"{}", **other: object) -> None:
    """Rows of user_info[0] in the lake, appended so many hours after the stream epoch began."""
    source = {"topic": "user_info", "partition": 0, "stream_epoch": EPOCH} | other
    buffer = Buffer(datetime(2025, 1, 1, tzinfo=UTC))
    ms = int((BEGUN + hours * HOUR).timestamp() * 1000)
    for offset in offsets:
        buffer.add(str(source["topic"]), int(str(source["partition"])), offset, ms, value)
    for slot, rows in buffer.slots.items():
        place(lake, slot.object_name(str(source["stream_epoch"]), LETTERS), rows, None)


def died(tmp_path: Path, lake: FolderLake, **known: int | None) -> list[tuple[int, int]]:
    state = SinkState(tmp_path / "sink.json", stream_epoch=EPOCH)
    state.partitions["user_info", 0] = PartitionState("user_info", 0, **known)
    note_died(state, "embedded-20250302T000000-new", lake, LETTERS)
    assert (state.stream_epoch, state.partitions) == (None, {})
    assert {(lost.topic, lost.stream_epoch, lost.partition) for lost in state.lost_ranges} <= {
        ("user_info", EPOCH, 0)
    }
    assert state.lost == sum(lost.last - lost.first + 1 for lost in state.lost_ranges)
    return [(lost.first, lost.last) for lost in state.lost_ranges]


@pytest.mark.parametrize(
    ("known", "lost"),
    [
        ({"position": 9, "committed": 9, "end": 9}, []),
        ({"position": 9, "committed": 5, "end": None}, [(5, 8)]),
        ({"position": 9, "committed": 5, "end": 12}, [(5, 11)]),
        ({"position": 0, "committed": None, "end": 7}, [(5, 6)]),
        ({}, []),
    ],
)
def test_what_was_known_and_not_committed_died(
    tmp_path: Path, lake: FolderLake, known: dict[str, int | None], lost: list[tuple[int, int]]
) -> None:
    put(lake, range(5))
    assert died(tmp_path, lake, **known) == lost


def test_what_was_written_and_not_committed_is_there(tmp_path: Path, lake: FolderLake) -> None:
    put(lake, range(5))
    put(lake, range(5, 8))
    put(lake, range(9, 11), hours=2)
    put(lake, range(8, 9), value=b"no JSON")
    assert died(tmp_path, lake, position=14, committed=5, end=14) == [(11, 13)]


@pytest.mark.parametrize(
    "other", [{"stream_epoch": EPOCH + "d"}, {"partition": 1}, {"topic": "listen_events"}]
)
def test_rows_of_other_coordinates_are_others(tmp_path: Path, lake: FolderLake, other: dict) -> None:
    put(lake, range(10), **other)
    put(lake, range(10), value=b"no JSON", **other)
    put(lake, range(6, 8))
    assert died(tmp_path, lake, position=9, committed=5, end=9) == [(5, 5), (8, 8)]


def test_a_damaged_object_holds_nothing(tmp_path: Path, lake: FolderLake) -> None:
    put(lake, range(5, 9))
    (path,) = [path for path in lake.root.rglob("*.gz") if path.is_file()]
    path.write_bytes(path.read_bytes()[:-9])
    assert died(tmp_path, lake, position=9, committed=5, end=9) == [(5, 8)]


def test_what_the_broker_wrote_down_counts_too_and_once(tmp_path: Path, lake: FolderLake) -> None:
    put(lake, range(5))
    write_ends(tmp_path, EPOCH, {"user_info": [9, 0], "listen_events": [0, 2]})
    write_ends(tmp_path, "embedded-20250301T230000-unseen", {"user_info": [3]})
    write_ends(tmp_path, "current", {"user_info": [7]})
    state = SinkState(tmp_path / "sink.json", stream_epoch=EPOCH)
    state.partitions["user_info", 0] = PartitionState("user_info", 0, position=6, committed=5, end=6)
    for _ in range(2):
        note_died(state, "current", lake, LETTERS)
        lost = sorted(
            (one.stream_epoch, one.topic, one.partition, one.first, one.last) for one in state.lost_ranges
        )
        assert lost == [
            (EPOCH, "listen_events", 1, 0, 1),
            (EPOCH, "user_info", 0, 5, 8),
            ("embedded-20250301T230000-unseen", "user_info", 0, 0, 2),
        ]
    assert list(read_ends(tmp_path)) == ["current"]
    assert SinkState(tmp_path / "sink.json").lost_ranges == state.lost_ranges


def test_an_epoch_on_the_same_broker_goes_on(tmp_path: Path, lake: FolderLake) -> None:
    state = SinkState(tmp_path / "sink.json", stream_epoch=EPOCH)
    state.partitions["user_info", 0] = PartitionState("user_info", 0, position=6, committed=5, end=6)
    note_died(state, EPOCH, lake, LETTERS)
    assert (state.stream_epoch, state.lost_ranges) == (EPOCH, [])
    assert state.partitions
