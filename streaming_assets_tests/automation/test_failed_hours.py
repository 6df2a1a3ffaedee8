"""After a failed run: what is asked for once more, told from the run's own events."""

from collections.abc import Iterable

import dagster as dg
import pytest

from streaming_assets.automation.failures import MOST_WITHOUT_SUCCESS
from streaming_assets.automation.jobs import HOURLY, LIVE, SHELL, build_jobs
from streaming_assets.automation.sensors import AGAIN_TAG, DIVIDED_TAG, build_failed_run_sensor
from streaming_assets.dagster_runtime.runs import runs_in_flight, span_of, span_tags
from streaming_assets.partitions import Span, hourly_partitions
from streaming_assets.warehouses.warehouse import WarehouseLocked
from streaming_assets_tests.graph import FIRST, hour


@dg.job
def hourly() -> None: ...


SPAN = span_tags((hour(0), hour(5))) | HOURLY
JOB = build_jobs(hourly_partitions(FIRST), [])[0]


def failed_run(
    instance: dg.DagsterInstance, tags: dict[str, str], failure: BaseException | None
) -> dg.RunFailureSensorContext:
    """The context of the sensor after a run that failed so; without a failure, its process died."""

    @dg.op
    def step() -> None:
        if failure is not None:
            raise failure

    @dg.job(name="hourly", executor_def=dg.in_process_executor)
    def hourly() -> None:
        step()

    result = hourly.execute_in_process(instance=instance, tags=tags, raise_on_error=False)
    if failure is None:
        run = instance.create_run_for_job(hourly, status=dg.DagsterRunStatus.STARTED, tags=tags)
        event = instance.report_run_failed(run, "The process that executed this run is gone.")
    else:
        run = result.dagster_run
        event = next(event for event in result.all_events if event.event_type_value == "PIPELINE_FAILURE")
    return dg.build_run_status_sensor_context(
        sensor_name="failed_hours", dagster_instance=instance, dagster_run=run, dagster_event=event
    ).for_run_failure()


def asked(requests: Iterable[dg.RunRequest]) -> list[Span | None]:
    return [span_of(dg.DagsterRun(job_name="hourly", run_id="1", tags=asked.tags)) for asked in requests]


HALVES = [(hour(0), hour(2)), (hour(2), hour(5))]


@pytest.mark.parametrize(
    ("failure", "again"),
    [
        (dg.Failure("something else", metadata={"other": 1}), HALVES),
        (ValueError("a model failed"), HALVES),
        (OSError(28, "No space left on device"), []),
        (ConnectionError("Connection refused"), []),
        (KeyboardInterrupt("its container ended"), [(hour(0), hour(5))]),
        (WarehouseLocked("in use"), [(hour(0), hour(5))]),
        (None, [(hour(0), hour(5))]),
    ],
)
def test_what_is_asked_again(failure: Exception | None, again: list[Span]) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        context = failed_run(instance, SPAN, failure)
        requests = list(build_failed_run_sensor(JOB)(context) or [])
        assert asked(requests) == again
        run_id = context.dagster_run.run_id
        tags = {AGAIN_TAG: run_id} if again == [(hour(0), hour(5))] else {DIVIDED_TAG: run_id}
        assert all(tags.items() <= request.tags.items() for request in requests)
        keys = {request.run_key for request in requests}
        assert len(keys) == len(requests)
        assert all(context.dagster_run.run_id in (key or "") for key in keys)


def test_a_run_whose_process_died_twice_is_divided() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        context = failed_run(instance, SPAN | {AGAIN_TAG: "the first"}, None)
        assert asked(build_failed_run_sensor(JOB)(context) or []) == HALVES


@pytest.mark.parametrize("turn", [LIVE, {}], ids=["live", "backfill"])
def test_what_is_asked_again_keeps_its_turn_in_the_queue(turn: dict[str, str]) -> None:
    for failure in (None, ValueError("a model failed")):
        with dg.DagsterInstance.ephemeral() as instance:
            requests = build_failed_run_sensor(JOB)(failed_run(instance, SPAN | turn, failure)) or []
            assert {request.tags.get("dagster/priority") for request in requests} == {
                turn.get("dagster/priority")
            }


def test_a_single_hour_that_fails_is_not_tried_again() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        context = failed_run(instance, span_tags((hour(3), hour(4))) | HOURLY, ValueError("a model failed"))
        assert not list(build_failed_run_sensor(JOB)(context) or [])


def test_parts_keep_the_name_of_the_first_and_end_where_none_succeeds() -> None:
    tags = SPAN | {DIVIDED_TAG: "the first"}
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(MOST_WITHOUT_SUCCESS - 2):
            instance.create_run_for_job(hourly, status=dg.DagsterRunStatus.FAILURE, tags=tags)
        context = failed_run(instance, tags, ValueError("a model failed"))
        assert not list(build_failed_run_sensor(JOB)(context) or [])
        instance.create_run_for_job(hourly, status=dg.DagsterRunStatus.SUCCESS, tags=tags)
        requests = list(build_failed_run_sensor(JOB)(context) or [])
        assert asked(requests) == HALVES
        assert {request.tags[DIVIDED_TAG] for request in requests} == {"the first"}


def test_a_run_that_found_the_warehouse_in_use_is_repeated_until_it_does_not() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        context = failed_run(instance, SPAN | {AGAIN_TAG: "the first"}, WarehouseLocked("in use"))
        requests = list(build_failed_run_sensor(JOB)(context) or [])
        assert asked(requests) == [(hour(0), hour(5))]


@pytest.mark.parametrize(
    ("failure", "again"),
    [
        (None, [(hour(0), hour(5))]),
        (ValueError("a model failed"), []),
        (KeyboardInterrupt("Ctrl-C"), []),
    ],
    ids=["killed", "failed", "ended"],
)
def test_a_shells_run_is_asked_for_again_when_it_was_killed_alone(
    failure: BaseException | None, again: list[Span]
) -> None:
    """A shell that lives divides its hours itself, and whoever ends it means that."""
    with dg.DagsterInstance.ephemeral() as instance:
        context = failed_run(instance, SPAN | SHELL, failure)
        assert asked(build_failed_run_sensor(JOB)(context) or []) == again


def test_runs_of_a_shell_are_seen_and_other_jobs_left_alone() -> None:
    """Dagster's loop over failures shows the sensor runs that are of no code location."""
    sensor = build_failed_run_sensor(JOB)

    @dg.job(name="other")
    def other() -> None: ...

    with dg.DagsterInstance.ephemeral() as instance:
        with dg.build_sensor_context(instance) as context:
            list(sensor.evaluate_tick(context).run_requests or [])
        cursor = context.cursor
        for job in (other, hourly):
            tags = (SPAN if job is hourly else span_tags((hour(0), hour(5)))) | SHELL
            run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=tags)
            instance.report_run_failed(run, "The process that executed this run is gone.")
        found: list[Span | None] = []
        for _ in range(2):
            with dg.build_sensor_context(instance, cursor=cursor) as context:
                tick = sensor.evaluate_tick(context)
            cursor = tick.cursor
            found += asked(tick.run_requests or [])
    assert found == [(hour(0), hour(5))]


@pytest.mark.parametrize(
    ("done", "again"),
    [((0, 5), []), ((0, 2), [(hour(2), hour(5))]), ((1, 2), HALVES)],
    ids=["all", "a half", "less than a half"],
)
def test_hours_that_a_later_run_did_are_not_asked_for(done: tuple[int, int], again: list[Span]) -> None:
    first, last = done
    with dg.DagsterInstance.ephemeral() as instance:
        earlier = hourly.execute_in_process(instance=instance, tags=SPAN)
        context = failed_run(instance, SPAN, ValueError("a model failed"))
        later = hourly.execute_in_process(
            instance=instance, tags=span_tags((hour(first), hour(last))) | HOURLY
        )
        assert earlier.success
        assert later.success
        assert asked(build_failed_run_sensor(JOB)(context) or []) == again


def test_a_job_of_another_code_location_is_left_alone() -> None:
    """It may be called `hourly`, too, and have days for partitions."""
    with dg.DagsterInstance.ephemeral() as instance:
        for tags in (span_tags((hour(0), hour(5))), {"dagster/partition": "2025-01-01"}):
            context = failed_run(instance, tags, ValueError("no hour of ours"))
            assert not list(build_failed_run_sensor(JOB)(context) or [])
        instance.create_run_for_job(
            hourly, status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": "2025-01-01"}
        )
        assert runs_in_flight(instance) == []


def test_a_run_over_no_hours_is_not_repeated() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        context = failed_run(instance, {}, None)
        assert not list(build_failed_run_sensor(JOB)(context) or [])
