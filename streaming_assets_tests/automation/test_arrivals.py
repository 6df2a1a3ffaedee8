"""Which hours changed: fingerprints, their comparison, and the cursor that remembers them."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming_assets.automation.arrivals import Cursor, Fingerprint, changed, fingerprints, shrunk
from streaming_assets.events import LAKE_TYPES
from streaming_assets.lake.inventory import InventoryRow
from streaming_assets.lake.names import HOUR, ObjectName
from streaming_assets_tests.graph import hour

LISTENS, VIEWS = "listen_events", "page_view_events"
_keys = st.tuples(st.sampled_from([LISTENS, VIEWS, "user_info"]), st.integers(0, 100).map(hour))
_prints = st.builds(Fingerprint, st.integers(0, 2**63), st.integers(0, 2**63), st.text())
_texts = st.dictionaries(st.integers(0, 100).map(hour), st.text())
_cursors = st.builds(
    Cursor,
    seen=st.dictionaries(_keys, _prints),
    series=st.text(),
    serial=st.integers(0, 2**63),
    generation=st.none() | st.text(),
    stamp=st.none() | st.text(),
    mended=_texts,
    lost=_texts,
)


def printed(*numbers: int) -> Fingerprint:
    return Fingerprint(numbers[0], numbers[0], str(numbers[0]))


def row(topic: str, at: datetime, offset: int = 0, size: int = 10, generation: int = 1) -> InventoryRow:
    return InventoryRow(ObjectName(topic, at, 0, offset), "somewhere", size, generation)


def test_a_fingerprint_counts_objects_and_bytes_of_each_topics_hour() -> None:
    rows = [row(LISTENS, hour(0), 0, 10, 7), row(LISTENS, hour(0), 5, 20, 3), row(VIEWS, hour(0), 0, 1, 1)]
    found = fingerprints([*rows, row(LISTENS, hour(1), 9, 4, 2)])
    assert {key: value[:2] for key, value in found.items()} == {
        (LISTENS, hour(0)): (2, 30),
        (VIEWS, hour(0)): (1, 1),
        (LISTENS, hour(1)): (1, 4),
    }
    assert fingerprints([]) == {}


def test_the_order_of_a_listing_is_no_change_nor_is_a_new_generation_of_a_known_content() -> None:
    rows = [row(LISTENS, hour(0), offset) for offset in range(3)]
    assert fingerprints(rows) == fingerprints(rows[::-1])
    hashed = [replace(row, content="crc32c:a") for row in rows]
    assert fingerprints(hashed) == fingerprints([replace(row, generation=9) for row in hashed])
    assert fingerprints(hashed) != fingerprints([replace(row, content="crc32c:b") for row in hashed])


def test_hours_that_have_fewer_objects_than_before_are_told() -> None:
    before = {(LISTENS, hour(at)): Fingerprint(2, 20, "a") for at in range(4)}
    now = {
        (LISTENS, hour(0)): Fingerprint(2, 10, "b"),
        (LISTENS, hour(1)): Fingerprint(3, 10, "b"),
        (LISTENS, hour(2)): Fingerprint(1, 90, "b"),
    }
    assert shrunk(now, before) == {hour(2), hour(3)}


@pytest.mark.parametrize(
    "now",
    [
        [row(LISTENS, hour(0), 0), row(LISTENS, hour(0), 1)],  # one more object
        [row(LISTENS, hour(0), 0, size=11)],  # it grew
        [row(LISTENS, hour(0), 0, generation=2)],  # written anew with as many bytes
    ],
)
def test_an_hour_changes_with_its_objects(now: list[InventoryRow]) -> None:
    before = fingerprints([row(LISTENS, hour(0)), row(VIEWS, hour(0))])
    found = fingerprints([*now, row(VIEWS, hour(0))])
    assert list(changed(found, before)) == [(LISTENS, hour(0))]


def test_what_stays_the_same_is_no_change() -> None:
    found = fingerprints([row(LISTENS, hour(0))])
    assert changed(found, found) == {}


def test_changes_come_oldest_first() -> None:
    found = fingerprints([row(VIEWS, hour(1)), row(LISTENS, hour(2)), row(LISTENS, hour(1))])
    assert list(changed(found, {})) == [(LISTENS, hour(1)), (VIEWS, hour(1)), (LISTENS, hour(2))]


@given(_cursors)
def test_a_cursor_survives_its_text(cursor: Cursor) -> None:
    assert Cursor.from_json(cursor.to_json()) == cursor


GOOD = json.loads(Cursor({(LISTENS, hour(0)): Fingerprint(1, 2, "a")}).to_json())


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "garbage",
        "{",
        "null",
        "[]",
        "7",
        '"text"',
        "{}",
        json.dumps(GOOD | {"version": 1}),
        json.dumps({"version": 2}),
        json.dumps(GOOD | {"hours": []}),
        json.dumps(GOOD | {"hours": {"yesterday": {LISTENS: [1, 2, "a"]}}}),
        json.dumps(GOOD | {"hours": {"2025-03-01-00:00": [LISTENS]}}),
        json.dumps(GOOD | {"hours": {"2025-03-01-00:00": {LISTENS: [1, 2]}}}),
        json.dumps(GOOD | {"hours": {"2025-03-01-00:00": {LISTENS: [1, "x", "a"]}}}),
        json.dumps(GOOD | {"hours": {"2025-03-01-00:00": {LISTENS: None}}}),
        json.dumps(GOOD | {"hours": {"2025-03-01-00:00": {LISTENS: [1, float("inf"), "a"]}}}),
        json.dumps(GOOD | {"mended": ["2025-03-01-00:00"]}),
        json.dumps({name: value for name, value in GOOD.items() if name != "serial"}),
        "[" * 100_000,
    ],
)
def test_a_cursor_that_is_none_starts_over(text: str | None) -> None:
    assert Cursor.from_json(text) == Cursor()


@given(st.text())
def test_no_text_breaks_the_cursor(text: str) -> None:
    assert isinstance(Cursor.from_json(text), Cursor)


def test_the_cursor_forgets_hours_before_the_window() -> None:
    seen = {(LISTENS, hour(0)): printed(1), (LISTENS, hour(1)): printed(2)}
    cursor = Cursor(seen, mended={hour(0): "a", hour(1): "b"}, lost={hour(0): "c", hour(2): "d"})
    after = cursor.after({(LISTENS, hour(2)): printed(3), (LISTENS, hour(1)): printed(4)}, hour(1))
    assert after.seen == {(LISTENS, hour(1)): printed(4), (LISTENS, hour(2)): printed(3)}
    assert (after.mended, after.lost) == ({hour(1): "b"}, {hour(2): "d"})


def test_the_cursor_stays_small_however_long_it_runs() -> None:
    """A month of hours, each with all topics, under the default window of 48 h."""
    cursor = Cursor()
    for number in range(24 * 30):
        taken = {(e.topic, hour(number)): Fingerprint(1_000, 10**9, "0123456789abcdef") for e in LAKE_TYPES}
        cursor = Cursor.from_json(cursor.after(taken, hour(number) - timedelta(hours=48)).to_json())
    assert len(cursor.seen) == 49 * len(LAKE_TYPES)
    assert len(cursor.to_json()) < 20_000
    assert min(at for _, at in cursor.seen) == hour(24 * 30 - 1) - 48 * HOUR
