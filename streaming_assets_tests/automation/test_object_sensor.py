"""Ticks of the object sensor on a real folder: what each asks for, reports and remembers."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin

from streaming_assets.assets.keys import prefix_key
from streaming_assets.automation import sensors
from streaming_assets.automation.arrivals import Cursor
from streaming_assets.automation.jobs import span_of, span_tags
from streaming_assets.automation.sensors import build_object_sensor
from streaming_assets.events import LAKE_TOPICS
from streaming_assets.lake.inventory import list_topics
from streaming_assets.lake.names import HOUR, ObjectName, floor_hour
from streaming_assets.lake.store import LakeError
from streaming_assets.partitions import key_of
from streaming_assets.resources.notifications import NoNotifications
from streaming_assets_tests.graph import Place, listen

NOW = floor_hour(
    datetime.now(UTC)
)  # a tick a moment later may be in the next hour; the tests stay clear of both


def ago(hours: int) -> datetime:
    return NOW - hours * HOUR


class Ticks:
    """Ticks of one sensor, each with the cursor that the one before left."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.sensor = build_object_sensor(place.settings)
        self.cursor: str | None = None

    def __call__(self) -> dg.SensorResult:
        with dg.build_sensor_context(
            self.place.instance,
            cursor=self.cursor,
            resources={
                "lake": self.place.lake,
                "warehouse": self.place.warehouse,
                "notifications": NoNotifications(),
            },
        ) as context:
            result = self.sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        return result


@dg.job
def hourly() -> None: ...


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with closing(Place(tmp_path, lookback_hours=48)) as place:
        yield place


@pytest.fixture
def tick(place: Place) -> Ticks:
    return Ticks(place)


def asked(result: dg.SensorResult) -> list[tuple[datetime, datetime]]:
    requests = result.run_requests or []
    spans = (span_of(dg.DagsterRun(job_name="hourly", run_id="1", tags=asked.tags)) for asked in requests)
    return [span for span in spans if span is not None]


def test_an_empty_lake_asks_for_nothing(tick: Ticks) -> None:
    result = tick()
    assert asked(result) == []
    assert result.skip_reason == dg.SkipReason("No object changed")


def test_the_first_tick_asks_once_for_each_span_and_the_next_for_nothing(place: Place, tick: Ticks) -> None:
    for hours, topic in [
        (9, "listen_events"),
        (8, "page_view_events"),
        (8, "user_info"),
        (3, "listen_events"),
    ]:
        place.put(topic, ago(hours), [listen(ago(hours))])
    first = tick()
    assert asked(first) == [(ago(9), ago(7)), (ago(3), ago(2))]
    reported = {(event.asset_key, event.partition) for event in first.asset_events}
    assert reported == {
        (prefix_key("listen_events"), key_of(ago(9))),
        (prefix_key("page_view_events"), key_of(ago(8))),
        (prefix_key("user_info"), key_of(ago(8))),
        (prefix_key("listen_events"), key_of(ago(3))),
    }
    again = tick()
    assert asked(again) == []
    assert again.asset_events == []


def test_an_arrival_tells_objects_and_bytes(place: Place, tick: Ticks) -> None:
    names = [place.put("listen_events", ago(3), [listen(ago(3))], offset) for offset in (0, 1)]
    (event,) = tick().asset_events
    size = sum(len(place.lake.read(str(name))) for name in names)
    assert isinstance(event, dg.AssetMaterialization)
    assert event.metadata["objects"] == dg.IntMetadataValue(2)
    assert event.metadata["bytes"] == dg.IntMetadataValue(size)


def test_one_object_more_asks_for_its_hour_alone(place: Place, tick: Ticks) -> None:
    for hours in (9, 8, 7):
        place.put("listen_events", ago(hours), [listen(ago(hours))])
    tick()
    place.put("listen_events", ago(8), [listen(ago(8), item=1)], offset=1)
    result = tick()
    assert asked(result) == [(ago(8), ago(7))]
    assert len(result.asset_events) == 1


def test_an_object_replaced_by_as_many_bytes_is_a_change(place: Place, tick: Ticks) -> None:
    name = place.put("listen_events", ago(5), [listen(ago(5), song="Hello")])
    first = tick()
    before = place.lake.read(str(name))
    place.put_bytes(name, before[::-1])
    assert len(place.lake.read(str(name))) == len(before)
    again = tick()
    assert asked(again) == [(ago(5), ago(4))]
    assert again.run_requests[0].run_key != first.run_requests[0].run_key  # else Dagster would skip it


def test_a_removed_object_is_a_change_as_long_as_others_are_left(place: Place, tick: Ticks) -> None:
    place.put("listen_events", ago(5), [listen(ago(5))])
    gone = place.put("listen_events", ago(5), [listen(ago(5), item=1)], offset=1)
    tick()
    (place.lake.root / str(gone)).unlink()
    assert asked(tick()) == [(ago(5), ago(4))]


@pytest.mark.parametrize("text", ["garbage", '{"version":0}', "[]"])
def test_a_cursor_that_is_none_asks_for_the_window_anew(place: Place, tick: Ticks, text: str) -> None:
    place.put("listen_events", ago(5), [listen(ago(5))])
    first = tick()
    tick.cursor = text
    again = tick()
    assert asked(again) == asked(first) == [(ago(5), ago(4))]
    assert again.run_requests[0].run_key == first.run_requests[0].run_key  # so Dagster starts no second run
    assert asked(tick()) == []


def test_the_window_is_the_look_back_and_no_more(place: Place, tick: Ticks) -> None:
    for hours in (50, 47):
        place.put("listen_events", ago(hours), [listen(ago(hours))])
    place.put("listen_events", NOW + 3 * HOUR, [listen(NOW)])
    assert asked(tick()) == [(ago(47), ago(46))]


def test_hours_before_the_first_partition_are_not_asked_for(tmp_path: Path) -> None:
    with closing(Place(tmp_path, first_hour=ago(10))) as place:
        for hours in (12, 11, 10):
            place.put("listen_events", ago(hours), [listen(ago(hours))])
        assert asked(Ticks(place)()) == [(ago(10), ago(9))]


def test_strays_and_other_topics_are_no_objects(place: Place, tick: Ticks) -> None:
    folder = f"raw/listen_events/date={ago(5):%Y-%m-%d %H}:00:00+00/"
    for name in (folder + "notes.txt", folder + "0000000000-1.gz.part", "raw/listen_events/README"):
        place.put_bytes(name, b"stray")
    place.put_bytes(ObjectName("other_events", ago(5), 0, 0), b"unknown")
    place.put_bytes(f"raw/listen_events/date=yesterday/0000000000-{0:020d}.gz", b"stray")
    assert asked(tick()) == []


def test_the_first_look_reports_but_does_not_repeat_what_the_tables_hold(place: Place, tick: Ticks) -> None:
    for hours in (5, 4, 3):
        place.put("listen_events", ago(hours), [listen(ago(hours))])
    span = (ago(5), ago(3))
    with place.warehouse.exclusive():
        place.warehouse.prepare()
        place.warehouse.record_objects(span, list_topics(place.lake, LAKE_TOPICS, *span).objects)
        place.warehouse.mark_processed(span)

    first = tick()

    assert asked(first) == [(ago(3), ago(2))]
    assert {event.partition for event in first.asset_events} == {key_of(ago(hours)) for hours in (5, 4, 3)}
    assert asked(tick()) == []


def test_the_first_look_does_not_wait_for_the_warehouse(place: Place, tick: Ticks) -> None:
    place.put("listen_events", ago(5), [listen(ago(5))])
    with place.warehouse.exclusive():
        assert asked(tick()) == [(ago(5), ago(4))]


def test_a_backlog_is_asked_for_in_pieces(place: Place, tick: Ticks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensors, "EVENTS_PER_TICK", 80)
    for topic in ("listen_events", "page_view_events", "user_info", "status_change_events"):
        for hours in range(1, 41):
            place.put_bytes(ObjectName(topic, ago(hours), 0, 0), b"")
    first, second, third = tick(), tick(), tick()
    assert len(first.asset_events) == len(second.asset_events) == 80
    assert asked(first) == [(ago(40), ago(20))]
    assert asked(second) == [(ago(20), ago(0))]
    assert asked(third) == []


def test_a_listing_that_fails_fails_the_tick_and_keeps_the_cursor(
    place: Place, tick: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put("listen_events", ago(5), [listen(ago(5))])
    tick()
    before = tick.cursor

    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("os.scandir", fail)
        with pytest.raises(LakeError, match=r"can't list .*/lake/raw/listen_events: Permission denied"):
            tick()
    assert tick.cursor == before
    assert asked(tick()) == []


@pytest.mark.parametrize("status", ["QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING"])
def test_an_hour_under_an_unfinished_run_waits_for_its_end(place: Place, tick: Ticks, status: str) -> None:
    origin = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "graph").get_job_origin("hourly")
    run = place.instance.create_run_for_job(
        hourly,
        status=dg.DagsterRunStatus(status),
        tags=span_tags((ago(9), ago(5))),
        remote_job_origin=origin,
    )
    for hours in (6, 3):
        place.put("listen_events", ago(hours), [listen(ago(hours))])
    assert asked(tick()) == [(ago(3), ago(2))]
    waiting = tick()
    assert asked(waiting) == []
    assert waiting.skip_reason == dg.SkipReason(
        "1 changed prefixes wait for the runs over their hours to end"
    )
    place.instance.report_run_failed(run)
    assert asked(tick()) == [(ago(6), ago(5))]


def test_the_run_of_a_single_partition_counts_as_well(place: Place, tick: Ticks) -> None:
    place.instance.create_run_for_job(
        hourly, status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": key_of(ago(6))}
    )
    place.put("listen_events", ago(6), [listen(ago(6))])
    assert asked(tick()) == []


def test_the_cursor_holds_the_window_alone(place: Place, tick: Ticks) -> None:
    old = Cursor({("listen_events", ago(24 * 30)): (1, 1, 1)}).to_json()
    tick.cursor = old
    place.put("listen_events", ago(5), [listen(ago(5))])
    tick()
    assert {at for _, at in Cursor.from_json(tick.cursor).seen} == {ago(5)}


def test_the_sensor_is_on_by_default_and_looks_often(place: Place) -> None:
    sensor = build_object_sensor(place.settings)
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    assert timedelta(seconds=sensor.minimum_interval_seconds or 0) <= timedelta(seconds=10)
