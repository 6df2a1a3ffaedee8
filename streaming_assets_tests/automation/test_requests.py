"""What a tick takes of the changed hours, and how a span of hours is asked of a job."""

from datetime import datetime, timedelta

import dagster as dg
import pytest
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG
from hypothesis import given
from hypothesis import strategies as st

from streaming_assets.automation.arrivals import Fingerprint
from streaming_assets.automation.jobs import checked_span
from streaming_assets.automation.sensors import EVENTS_PER_TICK, choose, request
from streaming_assets.dagster_runtime.runs import span_of, span_tags
from streaming_assets.events import LAKE_TYPES
from streaming_assets.lake.names import HOUR
from streaming_assets.partitions import Span, spans
from streaming_assets_tests.graph import FIRST, hour

TOPICS = [event_type.topic for event_type in LAKE_TYPES]
NOW = hour(100) + timedelta(minutes=59)


def news(*numbers: int, topics: list[str] = TOPICS) -> dict:
    return {(topic, hour(number)): Fingerprint(1, 10, str(number)) for number in numbers for topic in topics}


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
    many = {(f"topic-{number}", hour(0)): Fingerprint(1, 1, "a") for number in range(EVENTS_PER_TICK + 1)}
    assert choose(many, busy=[]) == many


def test_a_request_names_the_span_and_who_asked() -> None:
    first = request((hour(0), hour(2)), "cursor-0")
    assert first.tags == {
        ASSET_PARTITION_RANGE_START_TAG: "2025-03-01-00:00",
        ASSET_PARTITION_RANGE_END_TAG: "2025-03-01-01:00",
        "hours": "2025-03-01 00:00 to 02:00 UTC, 2 h",
        "dagster/priority": "10",
    }
    assert first.run_key == "2025-03-01-00:00+2h-cursor-0"
    keys = {
        request(span, asked).run_key
        for span in [(hour(0), hour(2)), (hour(0), hour(1)), (hour(1), hour(2))]
        for asked in ("cursor-0", "cursor-1", "other-0")
    }
    assert len(keys) == 9


@given(st.sets(st.integers(0, 80)))
def test_each_hour_taken_is_in_one_request(numbers: set[int]) -> None:
    taken = choose(news(*numbers), busy=[])
    found = [request(span, "a-1") for span in spans(at for _, at in taken)]
    covered = [span for asked in found if (span := tags_span(asked.tags)) is not None]
    assert sum((end - start) // HOUR for start, end in covered) == len({at for _, at in taken})


def tags_span(tags: dict[str, str]) -> tuple[datetime, datetime] | None:
    return span_of(dg.DagsterRun(job_name="hourly", run_id="1", tags=tags))


def test_a_span_is_read_back_from_its_tags() -> None:
    for span in [(hour(0), hour(1)), (hour(0), hour(48))]:
        assert tags_span(span_tags(span)) == span
    assert tags_span({"dagster/partition": "2025-03-01-02:00"}) == (hour(2), hour(3))
    assert tags_span({}) is None


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


@pytest.mark.parametrize(
    ("span", "shown"),
    [
        ((hour(14), hour(16)), "2025-03-01 14:00 to 16:00 UTC, 2 h"),
        ((hour(23), hour(24)), "2025-03-01 23:00 to 2025-03-02 00:00 UTC, 1 h"),
        ((hour(0), hour(8760)), "2025-03-01 00:00 to 2026-03-01 00:00 UTC, 8,760 h"),
    ],
)
def test_the_list_of_runs_shows_the_hours(span: Span, shown: str) -> None:
    assert span_tags(span)["hours"] == shown
