"""The daily reconciliation: which hours it asks for, and what it tells of strange things in the lake."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from streaming_assets.automation import schedules
from streaming_assets.automation.schedules import (
    build_reconcile_schedule,
    build_reference_schedule,
    build_seal_schedule,
)
from streaming_assets.checks.comparison import unknown_folders
from streaming_assets.dagster_runtime.runs import span_of, span_tags
from streaming_assets.lake.inventory import list_topic
from streaming_assets.lake.names import ObjectName
from streaming_assets.warehouses.duckdb_warehouse import DuckDbWarehouse
from streaming_assets.warehouses.warehouse import WarehouseLocked
from streaming_assets_tests.graph import Place, hour, listen

MOMENT = datetime(2025, 4, 1, 3, 20, tzinfo=UTC)
Reconcile = Callable[..., list[dg.RunRequest]]


@dg.job
def hourly() -> None: ...


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with closing(Place(tmp_path, first_hour=hour(0))) as place:
        yield place


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """One on disk: a schedule's context takes no other."""
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("instance"))) as instance:
        yield instance


@pytest.fixture
def reconcile(place: Place, instance: dg.DagsterInstance) -> Reconcile:
    """Evaluates the schedule; what it asks for."""
    schedule = build_reconcile_schedule(place.settings)

    def evaluate(moment: datetime = MOMENT, warehouse: DuckDbWarehouse | None = None) -> list[dg.RunRequest]:
        resources = {"lake": place.lake, "warehouse": warehouse or place.warehouse}
        with dg.build_schedule_context(instance, moment, resources=resources) as context:
            return list(schedule.evaluate_tick(context).run_requests or [])

    return evaluate


def process(place: Place, first: int, end: int, done: bool = True) -> None:
    place.take_in((hour(first), hour(end)), done)


def asked(requests: list[dg.RunRequest]) -> list[tuple[datetime, datetime]]:
    spans = (span_of(dg.DagsterRun(job_name="hourly", run_id="1", tags=asked.tags)) for asked in requests)
    return [span for span in spans if span is not None]


@pytest.fixture
def settled(place: Place) -> Place:
    """Six hours, all in the tables."""
    for number in range(6):
        place.put("listen_events", hour(number), [listen(hour(number))], offset=number)
    process(place, 0, 6)
    return place


def test_all_is_asked_for_where_nothing_was_ever_run(place: Place, reconcile: Reconcile) -> None:
    for number in (0, 1, 5):
        place.put("listen_events", hour(number), [listen(hour(number))])
    requests = reconcile()
    assert asked(requests) == [(hour(0), hour(2)), (hour(5), hour(6))]
    assert not any("dagster/priority" in request.tags for request in requests), "live hours go before"


def test_a_long_span_is_asked_for_in_bounded_runs(
    place: Place, instance: dg.DagsterInstance, reconcile: Reconcile
) -> None:
    for number in range(5):
        place.put("listen_events", hour(number), [listen(hour(number))])
    place.settings.warehouse.hours_per_step = 2
    assert asked(reconcile()) == [(hour(0), hour(2)), (hour(2), hour(4)), (hour(4), hour(5))]


def test_nothing_is_asked_for_where_the_tables_hold_the_lake(settled: Place, reconcile: Reconcile) -> None:
    assert reconcile() == []


@pytest.mark.parametrize("topic", ["listen_events", "connect_sink_gcs"])
def test_an_old_hour_that_changed_is_asked_for(settled: Place, reconcile: Reconcile, topic: str) -> None:
    settled.put(topic, hour(2), [listen(hour(2), item=1)], offset=90)
    assert asked(reconcile()) == [(hour(2), hour(3))]


def test_an_object_written_anew_is_a_change_unless_it_is_the_same(
    settled: Place, reconcile: Reconcile
) -> None:
    name = str(ObjectName("listen_events", hour(3), 0, 3))
    before = settled.lake.read(name)
    settled.lake.write(name, before)
    assert asked(reconcile()) == []
    settled.lake.write(name, before[:-5] + bytes([before[-5] ^ 1]) + before[-4:])
    assert asked(reconcile()) == [(hour(3), hour(4))]


def test_an_hour_that_was_left_half_done_is_asked_for(settled: Place, reconcile: Reconcile) -> None:
    process(settled, 3, 5, done=False)
    assert asked(reconcile()) == [(hour(3), hour(5))]


def test_hours_under_an_unfinished_run_are_left_to_it(
    settled: Place, reconcile: Reconcile, instance: dg.DagsterInstance
) -> None:
    process(settled, 1, 5, done=False)
    tags = span_tags((hour(2), hour(3)))
    run = instance.create_run_for_job(hourly, status=dg.DagsterRunStatus.STARTED, tags=tags)
    assert asked(reconcile()) == [(hour(1), hour(2)), (hour(3), hour(5))]
    instance.report_run_failed(run)
    assert asked(reconcile()) == [(hour(1), hour(5))]


def test_a_tick_repeated_asks_under_the_same_keys_and_the_next_day_under_others(
    settled: Place, reconcile: Reconcile
) -> None:
    process(settled, 3, 4, done=False)
    (first,), (again,), (next_day,) = reconcile(), reconcile(), reconcile(MOMENT.replace(day=2))
    assert first.run_key == again.run_key != next_day.run_key


def test_strange_things_are_told_by_name(
    settled: Place, reconcile: Reconcile, capfd: pytest.CaptureFixture[str]
) -> None:
    settled.put_bytes("raw/listen_events/date=2025-03-01 02:00:00+00/notes.txt", b"stray")
    settled.put("listen_events", hour(-1), [listen(hour(-1))])
    settled.put_bytes("raw/listen_events_old/date=2025-03-01 02:00:00+00/some.gz", b"another topic's")
    assert reconcile() == [], "told, not read"
    said = capfd.readouterr().err
    assert "No event objects, so not read: raw/listen_events/date=2025-03-01 02:00:00+00/notes.txt" in said
    assert "Hours that are no partitions, so not read: 2025-02-28T23:00Z" in said
    assert "Folders of no known topic, so not read: listen_events_old" in said


def test_a_thousand_strays_are_counted_not_listed(
    settled: Place, reconcile: Reconcile, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = settled.lake.stored.root / "raw/listen_events/strays"
    folder.mkdir(parents=True)
    for number in range(1000):
        (folder / f"{number:04}").touch()
    reconcile()
    said = capfd.readouterr().err
    assert "strays/0019 and 980 more" in said
    assert "strays/0020" not in said


@pytest.mark.parametrize(
    ("names", "unknown"),
    [
        ([], []),
        (["raw/listen_events/a", "raw/flat_files/a", "raw/connect_sink_gcs/a"], []),
        (["raw/auth_events/a", "raw/session_start_end_events/a"], []),
        (["raw/listen_events-old/a", "raw/listen_events/a", "raw/listen_events.old/a"], [
            "listen_events-old",
            "listen_events.old",
        ]),
        (["raw/zoo/a", "raw/zoo/b", "raw/Zoo/deep/er", "raw/file"], ["Zoo", "file", "zoo"]),
    ],
)  # fmt: skip
def test_folders_of_no_topic_are_found(place: Place, names: list[str], unknown: list[str]) -> None:
    for name in names:
        place.put_bytes(name, b"")
    assert unknown_folders(place.lake) == unknown


def test_a_warehouse_in_use_fails_the_tick_aloud(
    settled: Place, reconcile: Reconcile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "WAIT_SECONDS", 0.2)
    impatient = DuckDbWarehouse(settled.warehouse.path, 0)
    with settled.warehouse.exclusive(), pytest.raises(dg.DagsterError) as caught:
        reconcile(warehouse=impatient)
    assert isinstance(caught.value.__cause__, WarehouseLocked)


def test_the_schedule_seals_old_hours_and_goes_on_after_a_failure(
    place: Place, instance: dg.DagsterInstance
) -> None:
    for offset in range(3):
        place.put("listen_events", hour(0), [listen(hour(0))], offset=offset)
    process(place, 0, 1)
    settings = place.settings.model_copy(
        update={
            "lake": place.settings.lake.model_copy(update={"seal_after_days": 7}),
            "warehouse": place.settings.warehouse.model_copy(update={"lock_timeout_seconds": 0.2}),
        }
    )
    job = build_seal_schedule(settings).job
    assert isinstance(job, dg.JobDefinition)
    before = [row.name for row in list_topic(place.lake, "listen_events").objects]
    with place.warehouse.exclusive():
        failed = job.execute_in_process(instance=instance, raise_on_error=False)
    (event,) = failed.get_step_failure_events()
    assert "every hour is whole" in str(event.step_failure_data.user_failure_data.description)
    assert not [*place.lake.stored.list("sealed/")]
    done = job.execute_in_process(instance=instance)
    (output,) = [event for event in done.all_events if event.event_type_value == "STEP_OUTPUT"]
    assert output.step_output_data.metadata["objects"].value == 3
    assert len([*place.lake.stored.list("sealed/")]) == 1
    assert [row.name for row in list_topic(place.lake, "listen_events").objects] == before


def test_the_schedules_are_on_by_default_and_in_utc(place: Place) -> None:
    for schedule in (
        build_reconcile_schedule(place.settings),
        build_reference_schedule(),
        build_seal_schedule(place.settings),
    ):
        assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
        assert schedule.execution_timezone == "UTC"
