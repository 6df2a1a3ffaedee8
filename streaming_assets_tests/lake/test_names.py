"""Object names, made and read."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming_assets.events import TOPICS
from streaming_assets.lake.names import (
    ObjectName,
    dead_letter_object,
    dead_letter_source,
    floor_hour,
    hour_prefix,
    hours_between,
    parse_folder,
    parse_object,
)

HOUR = datetime(2025, 4, 10, 14, tzinfo=UTC)
NAME = "raw/listen_events/date=2025-04-10 14:00:00+00/0000000002-00000000000000012345.gz"


def test_a_name_as_kafka_connect_writes_it() -> None:
    assert str(ObjectName("listen_events", HOUR, 2, 12345)) == NAME
    assert parse_object(NAME) == ObjectName("listen_events", HOUR, 2, 12345, None)


@given(
    topic=st.sampled_from(TOPICS),
    hour=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(floor_hour),
    partition=st.integers(0, 2**31 - 1),
    offset=st.integers(0, 2**63 - 1),
    stream_epoch=st.none() | st.from_regex(r"[A-Za-z0-9_-]{1,30}", fullmatch=True),
)
def test_names_can_be_read_back(
    topic: str, hour: datetime, partition: int, offset: int, stream_epoch: str | None
) -> None:
    name = ObjectName(topic, hour, partition, offset, stream_epoch)
    assert parse_object(str(name)) == name
    dead = dead_letter_object("connect_sink_gcs", topic, hour, partition, offset, stream_epoch)
    assert parse_object(str(dead)) == dead
    assert dead_letter_source(dead) == (topic, stream_epoch)


def test_a_dead_letter_of_kafka_connect_does_not_tell_its_source() -> None:
    assert dead_letter_source(ObjectName("connect_sink_gcs", HOUR, 0, 7)) is None


@pytest.mark.parametrize(
    "name",
    [
        "raw/listen_events/date=2025-04-10 14:00:00+00/notes.txt",
        "raw/listen_events/date=2025-04-10 14:00:00+00/2-12345.gz",
        "raw/listen_events/date=2025-04-10 14:30:00+00/0000000002-00000000000000012345.gz",
        "raw/listen_events/date=2025-13-10 14:00:00+00/0000000002-00000000000000012345.gz",
        "raw/listen_events/0000000002-00000000000000012345.gz",
        "raw/listen_events/date=2025-04-10 14:00:00+00/0000000002-00000000000000012345.a.b.gz",
        "other/listen_events/date=2025-04-10 14:00:00+00/0000000002-00000000000000012345.gz",
        "raw/flat_files/songs.parquet",
    ],
)
def test_what_is_no_event_object(name: str) -> None:
    assert parse_object(name) is None


def test_folder_and_hour() -> None:
    prefix = hour_prefix("user_info", HOUR.astimezone(timezone(timedelta(hours=5, minutes=30))))
    assert prefix == "raw/user_info/date=2025-04-10 14:00:00+00/"
    assert parse_folder(prefix.split("/")[2]) == HOUR


def test_hours_between_leaves_out_the_end() -> None:
    assert list(hours_between(HOUR, HOUR + timedelta(hours=2))) == [HOUR, HOUR + timedelta(hours=1)]
    assert list(hours_between(HOUR, HOUR)) == []
