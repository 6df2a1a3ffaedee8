"""What a tick takes of the changed hours, and how a span of hours is asked of a job."""

from datetime import datetime, timedelta

import dagster as dg
import pytest
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG
from hypothesis import given
from hypothesis import strategies as st

from streaming_assets.automation.jobs import checked_span, span_of, span_tags
from streaming_assets.automation.sensors import EVENTS_PER_TICK, ask_again, choose, request
from streaming_assets.events import LAKE_TYPES
from streaming_assets.lake.names import HOUR
from streaming_assets.partitions import spans
from streaming_assets_tests.graph import FIRST, hour

TOPICS = [event_type.topic for event_type in LAKE_TYPES]
NOW = hour(100) + timedelta(minutes=59)


def news(*numbers: int, topics: list[str] = TOPICS) -> dict:
    return {(topic, hour(number)): (1, 10, number) for number in numbers for topic in topics}


def test_a_tick_takes_all_that_is_new() -> None:
    assert choose(news(0, 1, 5), busy=[]) == news(0, 1, 5)
    assert choose({}, busy=[(hour(0), hour(9))]) == {}


def test_hours_that_a_run_covers_wait() -> None:
    assert choose(news(0, 1, 2, 3), busy=[(hour(1), hour(3))]) == news(0, 3)


def test_no_more_is_taken_than_a_tick_can_report() -> None:
    taken = choose(news(*range(60)), busy=[])
    assert taken == news(*range(EVENTS_PER_TICK // len(TOPICS))), "whole hours, the oldest first"


def test_a_long_backlog_is_worked_off_whole_tick_by_tick() -> None:
    waiting, ticks = news(*range(60)), 0
    while waiting:
        taken = choose(waiting, busy=[])
        assert 0 < len(taken) <= EVENTS_PER_TICK
        waiting = {key: value for key, value in waiting.items() if key not in taken}
        ticks += 1
    assert ticks == -(-60 // (EVENTS_PER_TICK // len(TOPICS)))


def test_one_hour_is_taken_however_many_topics_it_has() -> None:
    many = {(f"topic-{number}", hour(0)): (1, 1, 1) for number in range(EVENTS_PER_TICK + 1)}
    assert choose(many, busy=[]) == many


def test_a_request_names_the_span_and_the_state_of_its_objects() -> None:
    taken = news(0, 1, 7)
    first = request((hour(0), hour(2)), taken)
    assert first.tags == {
        ASSET_PARTITION_RANGE_START_TAG: "2025-03-01-00:00",
        ASSET_PARTITION_RANGE_END_TAG: "2025-03-01-01:00",
    }
    assert first.run_key is not None
    assert first.run_key.startswith("2025-03-01-00:00+2h-")


def test_the_run_key_is_the_same_for_the_same_objects_alone() -> None:
    span, taken = (hour(0), hour(2)), news(0, 1, 7)
    key = request(span, taken).run_key
    assert request(span, dict(reversed(list(taken.items())))).run_key == key
    assert request(span, news(0, 1)).run_key == key, "other hours do not matter"
    differing = [
        taken | {(TOPICS[0], hour(1)): (2, 10, 1)},
        taken | {(TOPICS[0], hour(1)): (1, 11, 1)},
        taken | {(TOPICS[0], hour(1)): (1, 10, 2)},
        news(0, 1, topics=TOPICS[1:]),
    ]
    keys = {request(span, other).run_key for other in differing} | {
        request((hour(0), hour(1)), taken).run_key
    }
    assert len(keys) == 5
    assert key not in keys


@given(st.sets(st.integers(0, 80)))
def test_each_hour_taken_is_in_one_request(numbers: set[int]) -> None:
    taken = choose(news(*numbers), busy=[])
    found = [request(span, taken) for span in spans(at for _, at in taken)]
    covered = [span for asked in found if (span := tags_span(asked.tags)) is not None]
    assert sum((end - start) // HOUR for start, end in covered) == len({at for _, at in taken})


def tags_span(tags: dict[str, str]) -> tuple[datetime, datetime] | None:
    return span_of(dg.DagsterRun(job_name="hourly", run_id="1", tags=tags))


def test_a_span_is_read_back_from_its_tags() -> None:
    for span in [(hour(0), hour(1)), (hour(0), hour(48))]:
        assert tags_span(span_tags(span)) == span
    assert tags_span({"dagster/partition": "2025-03-01-02:00"}) == (hour(2), hour(3))
    assert tags_span({}) is None


def test_unreadable_hours_are_left_out_of_what_is_asked_again() -> None:
    whole = (hour(0), hour(5))
    assert ask_again(whole, {hour(2)}, has_failed_step=True) == [(hour(0), hour(2)), (hour(3), hour(5))]
    assert ask_again(whole, {hour(0), hour(4)}, has_failed_step=True) == [(hour(1), hour(4))]
    assert ask_again((hour(2), hour(3)), {hour(2)}, has_failed_step=True) == []


def test_a_run_whose_process_died_is_asked_again_and_one_with_a_failed_step_is_not() -> None:
    assert ask_again((hour(0), hour(5)), set(), has_failed_step=False) == [(hour(0), hour(5))]
    assert ask_again((hour(0), hour(5)), set(), has_failed_step=True) == []


def test_a_range_within_the_partitions_is_taken() -> None:
    assert checked_span((FIRST, hour(1)), FIRST, NOW) == (FIRST, hour(1))
    assert checked_span((hour(0), hour(101)), FIRST, NOW) == (hour(0), hour(101)), "the current hour counts"


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (hour(3), hour(3), r"range is empty: START 2025-03-01T03:00Z, END \(exclusive\) 2025-03-01T03:00Z"),
        (hour(4), hour(3), "range is empty"),
        (hour(0) + timedelta(minutes=1), hour(3), "00:01:00.*is no whole hour"),
        (hour(0), hour(3) + timedelta(seconds=1), "03:00:01.*is no whole hour"),
        (hour(-1), hour(3), "2025-02-28T23:00Z is before the first partition, 2025-03-01T00:00Z"),
        (hour(0), hour(102), "2025-03-05T06:00Z is in the future: the newest hour is 2025-03-05T04:00Z"),
    ],
)
def test_a_range_that_is_none_is_refused_by_name(start: datetime, end: datetime, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checked_span((start, end), FIRST, NOW)
