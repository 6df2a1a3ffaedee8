"""Hours as partitions: their keys, the spans that they form, and which of them there are."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context
from hypothesis import given
from hypothesis import strategies as st

from streaming_assets.lake.names import HOUR, hour_prefix, hours_between
from streaming_assets.partitions import hour_of, hourly_partitions, key_of, spans, steps

START = datetime(2025, 1, 1, tzinfo=UTC)
hours = st.integers(0, 400).map(lambda count: START + count * HOUR)


def at(hour: int) -> datetime:
    return START + hour * HOUR


def test_the_first_partition_is_the_first_hour() -> None:
    assert hourly_partitions(START).get_first_partition_key() == "2025-01-01-00:00"
    later = datetime(2025, 3, 30, 2, tzinfo=UTC)  # does not exist in places with daylight saving time
    assert hourly_partitions(later).get_first_partition_key() == "2025-03-30-02:00"


def test_the_current_hour_is_a_partition_and_the_next_is_none() -> None:
    """Its objects are arriving: waiting for the hour to end would make its rows an hour late."""
    now = datetime(2025, 1, 2, 10, 59, 59, tzinfo=UTC)
    with partition_loading_context(effective_dt=now):
        assert hourly_partitions(START).get_last_partition_key() == "2025-01-02-10:00"
    with partition_loading_context(effective_dt=now + timedelta(seconds=1)):
        assert hourly_partitions(START).get_last_partition_key() == "2025-01-02-11:00"


def test_a_partitions_window_is_its_hour() -> None:
    window = hourly_partitions(START).time_window_for_partition_key("2025-01-01-05:00")
    assert (window.start, window.end) == (at(5), at(6))


def test_a_range_of_partitions_is_all_its_hours() -> None:
    day = dg.PartitionKeyRange("2025-01-01-00:00", "2025-01-01-23:00")
    keys = hourly_partitions(START).get_partition_keys_in_range(day)
    assert keys == [key_of(at(hour)) for hour in range(24)]


@given(hours)
def test_a_key_is_its_hour(hour: datetime) -> None:
    assert hour_of(key_of(hour)) == hour


def test_a_key_is_of_utc_whatever_the_hours_zone() -> None:
    assert key_of(datetime(2025, 1, 1, 3, tzinfo=timezone(timedelta(hours=2)))) == "2025-01-01-01:00"


def test_a_moment_belongs_to_the_hour_that_holds_it() -> None:
    assert key_of(datetime(2025, 1, 1, 3, 59, 59, tzinfo=UTC)) == "2025-01-01-03:00"


def test_keys_sort_as_their_hours_and_lake_folders_do() -> None:
    some = [at(hour) for hour in (0, 9, 10, 23, 24, 24 * 31, 24 * 365)]
    assert sorted(map(key_of, some)) == [key_of(hour) for hour in some]
    assert sorted(hour_prefix("t", hour) for hour in some) == [hour_prefix("t", hour) for hour in some]


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2025-01-01", "2025-01-01 05:00", "2025-13-01-00:00", "2025-01-01-05:30"]
)
def test_what_is_no_key_is_named_beside_one_that_is(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"is no partition key; one looks like \d{4}-\d\d-\d\d-\d\d:00"
    ) as caught:
        hour_of(text)
    assert repr(text) in str(caught.value)


def test_neighbouring_hours_form_a_span() -> None:
    assert spans([at(1), at(2), at(3), at(7), at(9), at(10)]) == [
        (at(1), at(4)),
        (at(7), at(8)),
        (at(9), at(11)),
    ]


def test_order_and_repetition_do_not_matter() -> None:
    assert spans([at(3), at(1), at(3), at(2)]) == [(at(1), at(4))]
    assert spans([]) == []


@given(st.sets(hours))
def test_spans_hold_just_the_hours_given(given_hours: set[datetime]) -> None:
    found = spans(given_hours)
    assert [hour for span in found for hour in hours_between(*span)] == sorted(given_hours)
    assert all(earlier[1] < later[0] for earlier, later in pairwise(found))


def test_a_long_span_is_walked_in_steps() -> None:
    assert steps([(at(0), at(5))], 2) == [(at(0), at(2)), (at(2), at(4)), (at(4), at(5))]
    assert steps([(at(0), at(2))], 24) == [(at(0), at(2))]


@given(hours, st.integers(1, 200), st.integers(1, 50))
def test_steps_are_the_span_without_gap_or_overlap(start: datetime, length: int, step: int) -> None:
    cut = steps([(start, start + length * HOUR)], step)
    assert [hour for piece in cut for hour in hours_between(*piece)] == list(
        hours_between(start, start + length * HOUR)
    )
    assert all(piece[1] - piece[0] <= step * HOUR for piece in cut)
    assert len(cut) == -(-length // step)
