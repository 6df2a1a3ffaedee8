"""Ticks of the object sensor on a real folder: what each asks for, reports and remembers."""

import gzip
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin

from streaming_assets.assets.keys import prefix_key
from streaming_assets.automation import arrivals, sensors
from streaming_assets.automation.arrivals import Cursor, Fingerprint
from streaming_assets.automation.jobs import HOURLY, LIVE
from streaming_assets.automation.sensors import build_object_sensor
from streaming_assets.dagster_runtime.runs import span_of, span_tags
from streaming_assets.lake.inventory import HourListing, list_topics
from streaming_assets.lake.names import HOUR, ObjectName, floor_hour, hour_prefix, hours_between
from streaming_assets.lake.notifications import NoNotifications
from streaming_assets.lake.store import Lake, LakeError
from streaming_assets.partitions import Span, key_of
from streaming_assets_tests.graph import Place, in_lake, listen

NOW = floor_hour(datetime.now(UTC))


class Clock(datetime):
    """Stands still, however long after this module's import a test runs."""

    @classmethod
    def now(cls, tz: object = None) -> datetime:
        return NOW + HOUR / 2


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


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensors, "datetime", Clock)


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


def test_an_hour_that_lost_an_object_is_not_asked_for_even_if_others_come(place: Place, tick: Ticks) -> None:
    place.put("listen_events", ago(5), [listen(ago(5))])
    gone = place.put("listen_events", ago(5), [listen(ago(5), item=1)], offset=1)
    tick()
    place.take_in((ago(5), ago(4)))
    (place.lake.stored.root / str(gone)).unlink()
    assert asked(tick()) == []
    with place.warehouse.exclusive():  # the tables can't be asked
        place.put("page_view_events", ago(5), [listen(ago(5))])
        assert asked(tick()) == []
    place.put("listen_events", ago(5), [listen(ago(5), item=2)], offset=2)
    assert asked(tick()) == []
    place.put_bytes(gone, gzip.compress(in_lake(listen(ago(5), item=1), 1).encode()))
    assert asked(tick()) == [(ago(5), ago(4))], "put back, and two more came"


@pytest.mark.parametrize("text", ["garbage", '{"version":0}', "[]"])
def test_a_cursor_that_is_none_asks_for_the_window_anew(place: Place, tick: Ticks, text: str) -> None:
    place.put("listen_events", ago(5), [listen(ago(5))])
    first = tick()
    tick.cursor = text
    again = tick()
    assert asked(again) == asked(first) == [(ago(5), ago(4))]
    assert again.run_requests[0].run_key != first.run_requests[0].run_key  # else Dagster would skip it
    assert asked(tick()) == []


def test_objects_that_change_and_change_back_are_asked_for_each_time(place: Place, tick: Ticks) -> None:
    name = place.put("listen_events", ago(5), [listen(ago(5))])
    path, first = place.lake.stored.root / str(name), tick()
    states = [(path.read_bytes(), path.stat().st_mtime_ns), (b"other", 10**18)]
    keys = {first.run_requests[0].run_key}
    for data, time in (states[1], states[0], states[1]):
        path.write_bytes(data)
        os.utime(path, ns=(time, time))
        result = tick()
        assert asked(result) == [(ago(5), ago(4))]
        keys.add(result.run_requests[0].run_key)
    assert len(keys) == 4


def test_a_tick_that_is_repeated_asks_under_the_same_key(place: Place, tick: Ticks) -> None:
    tick()
    before = tick.cursor
    place.put("listen_events", ago(5), [listen(ago(5))])
    first = tick()
    tick.cursor = before
    assert tick().run_requests[0].run_key == first.run_requests[0].run_key, "so Dagster starts no second run"


def test_a_warehouse_that_is_gone_has_the_whole_lake_run_at_once(place: Place, tick: Ticks) -> None:
    for hours in (100, 99, 5):
        place.put("listen_events", ago(hours), [listen(ago(hours))])
    place.take_in((ago(100), ago(4)))
    assert asked(tick()) == [], "all is held"
    place.warehouse.path.unlink()
    place.put("listen_events", ago(3), [listen(ago(3))])
    result = tick()
    assert asked(result) == [(ago(100), ago(2))], (
        "one run, beyond the window too, so that no day is published in part"
    )
    assert not any("dagster/priority" in request.tags for request in result.run_requests or []), (
        "live hours go before it"
    )
    assert asked(tick()) == []


def test_another_warehouse_in_its_place_is_noticed_too(place: Place, tick: Ticks) -> None:
    place.put("listen_events", ago(100), [listen(ago(100))])
    place.put("listen_events", ago(5), [listen(ago(5))])
    place.take_in((ago(100), ago(4)))
    tick()
    place.warehouse.path.unlink()
    place.take_in((ago(5), ago(4)))
    assert asked(tick()) == [(ago(100), ago(4))]
    assert asked(tick()) == []


def test_hours_that_the_tables_lost_are_asked_for_once(place: Place, tick: Ticks) -> None:
    for hours in (6, 5):
        place.put("listen_events", ago(hours), [listen(ago(hours))])
    tick()
    place.take_in((ago(6), ago(4)))
    assert asked(tick()) == []
    place.warehouse.execute("delete from fact_listen_events")
    first = tick()
    assert asked(first) == [(ago(6), ago(4))]
    place.warehouse.execute(
        "create table other as select 1 as one"
    )  # the file changes, and nothing is better
    assert asked(tick()) == [], "once: a run that does not help is no reason for the next"
    place.take_in((ago(6), ago(4)))
    assert asked(tick()) == []
    place.warehouse.execute("delete from fact_listen_events")
    assert asked(tick()) == [(ago(6), ago(4))], "it was held in between"


@pytest.mark.parametrize("status", ["FAILURE", "CANCELED"])
def test_hours_whose_last_run_failed_or_was_cancelled_are_left_to_others(
    place: Place, tick: Ticks, status: str
) -> None:
    place.put("listen_events", ago(5), [listen(ago(5))])
    tick()
    place.take_in((ago(5), ago(4)))
    assert asked(tick()) == []
    place.instance.create_run_for_job(
        hourly, status=dg.DagsterRunStatus(status), tags=span_tags((ago(6), ago(4))) | HOURLY
    )
    place.warehouse.execute("delete from fact_listen_events")
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


def test_a_folder_that_can_not_be_listed_is_its_hours_fault_alone(
    place: Place, tick: Ticks, capfd: pytest.CaptureFixture[str]
) -> None:
    folders = [
        place.lake.stored.root / hour_prefix("listen_events", ago(hours)).rstrip("/") for hours in (5, 3)
    ]
    place.put("listen_events", ago(4), [listen(ago(4))])
    place.put("listen_events", ago(3), [listen(ago(3))])
    folders[0].symlink_to(folders[0].name)
    assert asked(tick()) == [(ago(5), ago(2))]
    why = f"can't list {folders[0]}: Too many levels of symbolic links"
    assert capfd.readouterr().err.count(f"{key_of(ago(5))}: {why}") == 1
    shutil.rmtree(folders[1])
    folders[1].symlink_to(folders[1].name)
    with place.warehouse.exclusive():  # the tables can't be asked
        assert asked(tick()) == [], "what can't be seen is not gone"
    folders[0].unlink()
    place.put("listen_events", ago(5), [listen(ago(5))])
    assert asked(tick()) == [(ago(5), ago(4)), (ago(3), ago(2))], "the tables never held any of them"


def test_the_first_look_reports_but_does_not_repeat_what_the_tables_hold(place: Place, tick: Ticks) -> None:
    for hours in (5, 4, 3):
        place.put("listen_events", ago(hours), [listen(ago(hours))])
    span = (ago(5), ago(3))
    place.take_in(span)

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


def test_a_window_of_many_objects_is_looked_at_in_turn_and_nothing_is_missed(
    place: Place, tick: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two sensors over the same lake, the one that sees little at a time asks for the same, some ticks later."""
    monkeypatch.setattr(arrivals, "OBJECTS_PER_TICK", 4)
    for hours in range(12):
        place.put("listen_events", ago(hours), [listen(ago(hours))])
    assert asked(tick()) == [(ago(11), NOW + HOUR)], "nothing is known of them yet"
    place.take_in((ago(11), NOW + HOUR))
    looked_at: list[tuple[Span, int]] = []
    whole = list_topics

    def noted(lake: Lake, topics: Iterable[str], start: datetime, end: datetime) -> HourListing:
        listing = whole(lake, topics, start, end)
        looked_at.append(((start, end), len(listing.objects)))
        return listing

    def run() -> list[Span]:
        """What a tick asks for, which is then in the tables."""
        spans = asked(tick())
        for span in spans:
            place.take_in(span)
        return spans

    monkeypatch.setattr(sensors, "list_topics", noted)
    for hours in (9, 1):
        place.put("listen_events", ago(hours), [listen(ago(hours), item=1)], offset=1)
    shutil.rmtree(place.lake.stored.root / hour_prefix("listen_events", ago(4)))
    assert run() == [(ago(1), NOW)], "each tick looks at the newest hours"
    assert sum(objects for _, objects in looked_at) <= 4 + 1, "with the new one"
    assert [span for _ in range(12) for span in run()] == [(ago(9), ago(8))]
    assert {hour for span, _ in looked_at for hour in hours_between(*span)} == {
        *hours_between(ago(48), NOW + HOUR)
    }
    cursor = Cursor.from_json(tick.cursor)
    assert set(cursor.lost) == {ago(4)}
    assert len(cursor.seen) == 12, "what is not looked at is remembered"


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


@pytest.mark.parametrize(("tags", "newest"), [({}, 1), (LIVE, 0)], ids=["backfill", "live"])
def test_the_newest_hour_waits_for_no_backfill_over_it(
    place: Place, tick: Ticks, tags: dict[str, str], newest: int
) -> None:
    covered = span_tags((ago(9), NOW + HOUR))
    place.instance.create_run_for_job(hourly, status=dg.DagsterRunStatus.STARTED, tags=covered | tags)
    for hours in (6, 0):
        place.put("listen_events", ago(hours), [listen(ago(hours))])
    assert asked(tick()) == [(NOW, NOW + HOUR)][:newest]


def test_a_long_backlog_is_asked_for_in_bounded_runs(place: Place, tick: Ticks) -> None:
    for hours in (5, 4, 3):
        place.put("listen_events", ago(hours), [listen(ago(hours))])
    place.settings.warehouse.hours_per_step = 2
    assert asked(tick()) == [(ago(5), ago(3)), (ago(3), ago(2))]


def test_the_run_of_a_single_partition_counts_as_well(place: Place, tick: Ticks) -> None:
    place.instance.create_run_for_job(
        hourly, status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": key_of(ago(6))}
    )
    place.put("listen_events", ago(6), [listen(ago(6))])
    assert asked(tick()) == []


def test_the_cursor_holds_the_window_alone(place: Place, tick: Ticks) -> None:
    old = Cursor({("listen_events", ago(24 * 30)): Fingerprint(1, 1, "a")}).to_json()
    tick.cursor = old
    place.put("listen_events", ago(5), [listen(ago(5))])
    tick()
    assert {at for _, at in Cursor.from_json(tick.cursor).seen} == {ago(5)}


def test_the_sensor_is_on_by_default_and_looks_often(place: Place) -> None:
    sensor = build_object_sensor(place.settings)
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    assert timedelta(seconds=sensor.minimum_interval_seconds or 0) <= timedelta(seconds=10)
