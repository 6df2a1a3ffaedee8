"""Rows by the object that they will be part of."""

import time
from datetime import UTC, datetime

import pytest

from streaming_assets.ingestion.buffer import HOUR_MS, Buffer, Slot
from streaming_assets.lake.names import parse_object

FIRST = datetime(2025, 1, 1, tzinfo=UTC)
FIRST_MS = int(FIRST.timestamp() * 1000)
FIRST_INDEX = FIRST_MS // HOUR_MS


@pytest.fixture
def buffer() -> Buffer:
    return Buffer(FIRST)


def test_rows_go_by_topic_partition_and_hour(buffer: Buffer) -> None:
    assert buffer.add("user_info", 1, 7, FIRST_MS, b"{}")
    assert buffer.add("user_info", 1, 8, FIRST_MS + HOUR_MS - 1, b"{}")
    assert buffer.add("user_info", 1, 9, FIRST_MS + HOUR_MS, b"{}")
    assert buffer.add("user_info", 2, 7, FIRST_MS, b"{}")
    assert buffer.add("auth_events", 1, 7, FIRST_MS, b"{}")
    assert {slot: rows.offsets for slot, rows in buffer.slots.items()} == {
        Slot("user_info", 1, FIRST_INDEX, False): [7, 8],
        Slot("user_info", 1, FIRST_INDEX + 1, False): [9],
        Slot("user_info", 2, FIRST_INDEX, False): [7],
        Slot("auth_events", 1, FIRST_INDEX, False): [7],
    }


def test_a_dead_letter_has_a_slot_of_its_own(buffer: Buffer) -> None:
    assert not buffer.add("user_info", 1, 8, FIRST_MS, b"broken")
    (slot,) = buffer.slots
    assert slot == Slot("user_info", 1, FIRST_INDEX, True)
    name = parse_object(str(slot.object_name("epoch-1", "dead")))
    assert name is not None
    assert (name.topic, name.hour, name.stream_epoch) == ("dead", FIRST, "user_info-epoch-1")


@pytest.mark.parametrize("timestamp_ms", [-1, 0, FIRST_MS - 1])
def test_what_is_dated_before_the_first_hour_goes_there(buffer: Buffer, timestamp_ms: int) -> None:
    buffer.add("user_info", 0, 0, timestamp_ms, b"{}")
    assert [slot.start for slot in buffer.slots] == [FIRST]


@pytest.mark.parametrize("ahead", [2 * HOUR_MS, 2**62])
def test_what_is_dated_in_the_future_goes_into_the_next_hour(buffer: Buffer, ahead: int) -> None:
    """No partition of a later hour is there for years; of a clock that is a little ahead nothing moves."""
    before = time.time()
    buffer.add("user_info", 0, 0, int(before * 1000) + ahead, b"{}")
    (slot,) = buffer.slots
    assert int(before) // 3600 + 1 <= slot.hour <= int(time.time()) // 3600 + 1


def test_what_is_dated_a_moment_ahead_stays_in_its_hour(buffer: Buffer) -> None:
    ahead = int(time.time() * 1000) + 5000
    buffer.add("user_info", 0, 0, ahead, b"{}")
    assert [slot.hour for slot in buffer.slots] == [ahead // HOUR_MS]


def test_size_counts_lines_and_falls_as_they_go(buffer: Buffer) -> None:
    for partition in range(3):
        buffer.add("user_info", partition, 0, FIRST_MS, b'{"a":1}')
    lines = [line for rows in buffer.slots.values() for line in rows.lines]
    assert buffer.size == sum(map(len, lines))
    buffer.drop([("user_info", 0), ("user_info", 9)])
    assert buffer.size == len(lines[1]) + len(lines[2])
    buffer.remove(Slot("user_info", 1, FIRST_INDEX, False))
    buffer.remove(Slot("user_info", 2, FIRST_INDEX, False))
    assert buffer.size == 0
