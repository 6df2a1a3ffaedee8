"""The sink's state: counts, lag, and what outlives a restart."""

import json
from pathlib import Path

from streaming_assets.ingestion.sink_state import LOST_RANGES, PartitionState, SinkState


def test_the_file_says_what_the_sink_did(tmp_path: Path) -> None:
    state = SinkState(tmp_path / "home" / "sink.json", stream_epoch="epoch-1", records=7, dead_letters=2)
    state.partitions["user_info", 1] = PartitionState("user_info", 1, position=9, committed=5, end=12)
    state.partitions["user_info", 0] = PartitionState("user_info", 0)
    state.add_lost("user_info", "epoch-1", 1, 3, 4)
    state.write()
    document = json.loads(state.path.read_text())
    assert document["partitions"] == [
        {"topic": "user_info", "partition": 0, "position": None, "committed": None, "end": None, "lag": 0},
        {"topic": "user_info", "partition": 1, "position": 9, "committed": 5, "end": 12, "lag": 7},
    ]
    assert (document["records"], document["dead_letters"], document["lost"], document["lag"]) == (7, 2, 2, 7)
    (lost,) = document["lost_ranges"]
    assert (lost["stream_epoch"], lost["first"], lost["last"]) == ("epoch-1", 3, 4)
    assert [path.name for path in state.path.parent.iterdir()] == ["sink.json"]
    assert "7 records" in str(state)
    assert "2 lost" in str(state)


def test_lost_ranges_outlive_the_sink_and_stay_few(tmp_path: Path) -> None:
    state = SinkState(tmp_path / "sink.json")
    for number in range(LOST_RANGES + 5):
        state.add_lost("user_info", None, 0, 2 * number, 2 * number)
    state.write()
    again = SinkState(tmp_path / "sink.json")
    assert [lost.first for lost in again.lost_ranges] == [2 * n for n in range(5, LOST_RANGES + 5)]
    assert again.lost == 0  # counts are this sink's own


def test_the_next_sink_knows_how_far_this_one_was(tmp_path: Path) -> None:
    state = SinkState(tmp_path / "sink.json", stream_epoch="epoch-1")
    state.partitions["user_info", 1] = PartitionState("user_info", 1, position=9, committed=5, end=12)
    state.write()
    again = SinkState(tmp_path / "sink.json")
    assert (again.stream_epoch, again.partitions) == ("epoch-1", state.partitions)
    assert (again.records, again.lost_ranges) == (0, [])


def test_another_file_in_its_place_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "sink.json").write_text('{"lost_ranges": [{"unknown": 1}]}')
    assert SinkState(tmp_path / "sink.json").lost_ranges == []
