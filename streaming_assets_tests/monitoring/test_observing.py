"""What is seen of a Dagster instance, a lake and a home: failures appear with their hours, and go when made good."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    TickData,
    TickStatus,
)
from dagster_shared.error import SerializableErrorInfo
from typer.testing import CliRunner

from streaming_assets import settings as settings_module
from streaming_assets.assets.external_tables import BYTES_TAKEN_IN
from streaming_assets.assets.keys import SNAPSHOT, external_key, topic_key
from streaming_assets.assets.tested_hours import FAILING
from streaming_assets.automation.jobs import HOURLY
from streaming_assets.checks.hourly import FACT
from streaming_assets.cli import app
from streaming_assets.dagster_runtime.instance import prepare_dagster_home
from streaming_assets.dagster_runtime.runs import span_tags
from streaming_assets.lake.factory import lake_of
from streaming_assets.lake.forgetting import People, write_people
from streaming_assets.lake.names import HOUR, floor_hour
from streaming_assets.monitoring import observing
from streaming_assets.monitoring.conditions import conditions
from streaming_assets.monitoring.observing import observe
from streaming_assets.monitoring.rules import read_rules
from streaming_assets.partitions import hourly_partitions, key_of
from streaming_assets_tests.graph import Place, listen

THIS_HOUR = floor_hour(datetime.now(UTC))
HOURS = hourly_partitions(THIS_HOUR - 24 * HOUR)
RULES = read_rules()
ORIGIN = RemoteInstigatorOrigin(
    RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("streaming_assets"), "__repository__"), "lake_objects"
)


class Clock(datetime):
    """Tells the time, and stays in the hour in which the test started."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return min(datetime.now(tz), THIS_HOUR + HOUR - timedelta(microseconds=1))


@pytest.fixture(autouse=True)
def this_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hours are those of the test's start, however long after this module's import it runs."""
    now = floor_hour(datetime.now(UTC))
    monkeypatch.setitem(globals(), "THIS_HOUR", now)
    monkeypatch.setitem(globals(), "HOURS", hourly_partitions(now - 24 * HOUR))
    monkeypatch.setattr(observing, "datetime", Clock)


class Breakdown(Exception):
    pass


def graph(fails: str = "", passes: bool = True) -> dg.Definitions:
    """A graph with the facts' keys: what the fact's run and check do is chosen."""

    @dg.multi_asset(
        specs=[
            dg.AssetSpec(FACT, partitions_def=HOURS),
            dg.AssetSpec(SNAPSHOT, deps=[FACT], partitions_def=HOURS),
        ],
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[
            dg.AssetCheckSpec("by_hour", asset=FACT, partitions_def=HOURS),
            dg.AssetCheckSpec("by_run", asset=FACT),
        ],
    )
    def work(context: dg.AssetExecutionContext) -> Iterator[Any]:
        last = (context.partition_time_window.end - timedelta(minutes=1)).timestamp()
        yield dg.MaterializeResult(FACT, metadata={"last_event": dg.MetadataValue.timestamp(last)})
        if fails == "early":
            raise Breakdown("user 7 said something")
        yield dg.MaterializeResult(SNAPSHOT)
        for hour in HOURS.get_partition_keys_in_range(context.partition_key_range):
            yield dg.AssetCheckEvaluation(
                asset_key=FACT,
                check_name="by_hour",
                passed=passes,
                partition=hour,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={},
            )
        yield dg.Output(None, "core__fact_listen_events_by_hour")
        if fails == "late":
            raise Breakdown
        failing = [] if passes else [list(context.partition_key_range)]
        yield dg.AssetCheckResult(
            asset_key=FACT, check_name="by_run", passed=passes, metadata={FAILING: failing}
        )

    return dg.Definitions([work], jobs=[dg.define_asset_job("hourly", [work], partitions_def=HOURS)])


def run(instance: dg.DagsterInstance, first: int, end: int, **does: Any) -> None:
    span = (THIS_HOUR + first * HOUR, THIS_HOUR + end * HOUR)
    job = graph(**does).resolve_job_def("hourly")
    job.execute_in_process(instance=instance, tags=span_tags(span) | HOURLY, raise_on_error=False)


@pytest.fixture(scope="module")
def kept_instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    home = prepare_dagster_home(settings_module.Settings(home=tmp_path_factory.mktemp("kept")))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


@pytest.fixture
def instance(kept_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    kept_instance.wipe()
    return kept_instance


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path / "home", dagster_port=1, dashboards_port=1)
    yield place
    place.close()


def told(place: Place, instance: dg.DagsterInstance) -> dict[str, Any]:
    seen = observe(place.settings, RULES, instance)
    assert seen.unseen == {}
    return {found.key: found for found in conditions(seen, RULES, place.settings)}


def test_failures_come_with_their_hours_and_go_when_made_good(
    place: Place, instance: dg.DagsterInstance
) -> None:
    for back in (5, 4, 3):
        place.put("listen_events", THIS_HOUR - back * HOUR, [listen(THIS_HOUR)])
    run(instance, -3, 1)
    run(instance, -5, -3, fails="early")
    run(instance, -3, -2, fails="late")
    run(instance, -2, -1, passes=False)
    found = told(place, instance)
    hours = {
        key: [(hour - THIS_HOUR) // HOUR for hour in condition.hours] for key, condition in found.items()
    }
    of_fact = "check_failing core/fact_listen_events: "
    assert hours.pop("run_failed hourly") == [
        -5,
        -4,
        -3,
    ]  # the last one had its tables, and not all of its checks
    assert (hours.pop(of_fact + "by_hour"), hours.pop(of_fact + "by_run")) == ([-2], [-2])
    assert [*hours] == ["not_running all"]
    assert "user 7" not in "".join(condition.what for condition in found.values())

    run(instance, -5, 1)
    assert [*told(place, instance)] == ["not_running all"]


def test_the_facts_end_lag_and_missing_hours_are_seen(place: Place, instance: dg.DagsterInstance) -> None:
    for back in (3, 2, 0):
        place.put("listen_events", THIS_HOUR - back * HOUR, [listen(THIS_HOUR)])
    run(instance, -3, -2)
    for lag in (3, 4):
        observed = dg.AssetObservation(topic_key("user_info"), metadata={"lag": lag})
        instance.report_runless_asset_event(observed)
    switched = InstigatorState(ORIGIN, InstigatorType.SENSOR, InstigatorStatus.RUNNING)
    instance.add_instigator_state(switched)
    for number, status in enumerate((TickStatus.SUCCESS, TickStatus.FAILURE)):
        instance.create_tick(
            TickData(
                switched.instigator_origin_id,
                "lake_objects",
                InstigatorType.SENSOR,
                status,
                float(number),
                run_ids=[],
                error=SerializableErrorInfo("broken", [], None) if status is TickStatus.FAILURE else None,
                selector_id=switched.selector_id,
            )
        )
    counted = {"staged": 3, "quarantined": 1, "findings": 1}
    verdict = dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(["staging", "stg_users"]),
        check_name="rows_are_accounted_for",
        passed=False,
        partition=key_of(THIS_HOUR - 3 * HOUR),
        metadata=counted,
    )
    instance.report_runless_asset_event(verdict)
    for held in (3, 700):
        table = dg.AssetMaterialization(
            external_key("users_ext"), metadata={BYTES_TAKEN_IN: held}, partition=key_of(THIS_HOUR)
        )
        instance.report_runless_asset_event(table)
    seen = observe(place.settings, RULES, instance, deep=True)
    assert seen.rows == {("user_info", "staged"): 3, ("user_info", "quarantined"): 1}
    assert seen.ended is not None
    assert seen.ended["hourly"].by_result == {"success": 1, "failure": 0, "canceled": 0}
    assert seen.ended["hourly"].last_seconds is not None
    assert seen.arrived is not None
    assert [seen.arrived["listen_events"][0], seen.arrived["user_info"]] == [3, (0, 0)]
    assert seen.sizes["lake"] == 700
    assert seen.facts is not None
    assert seen.facts.newest_whole_hour == THIS_HOUR - 3 * HOUR
    assert seen.facts.until == THIS_HOUR - 2 * HOUR
    assert seen.facts.missing == (THIS_HOUR - 2 * HOUR,)  # not the current one, whose objects still come
    assert seen.newest_object == THIS_HOUR
    assert seen.facts.behind_seconds == pytest.approx(
        (datetime.now(UTC) - (THIS_HOUR - 2 * HOUR)).total_seconds() + 60, abs=60
    )
    (backlog,) = seen.backlogs or ()
    assert (backlog.topic, [lag for _, lag in backlog.seen]) == ("user_info", [4, 3])
    assert seen.disk
    found = told(place, instance)
    assert "hour_stale core/fact_listen_events" in found
    assert found["sensor_failing lake_objects"].what.startswith(
        "lake_objects: its last tick, at 1970-01-01 00:00"
    )


def test_lags_are_of_runs_over_the_newest_hours_that_brought_newer_events(
    place: Place, instance: dg.DagsterInstance
) -> None:
    now = datetime.now(UTC).timestamp()
    for back, before in ((5, 10), (0, 300), (0, 300), (0, 20)):
        last = dg.MetadataValue.timestamp(now - before)
        of_hour = key_of(THIS_HOUR - back * HOUR)
        fact = dg.AssetMaterialization(FACT, metadata={"last_event": last}, partition=of_hour)
        instance.report_runless_asset_event(fact)
    facts = observe(place.settings, RULES, instance).facts
    assert facts is not None
    assert [lag for _, lag in facts.lags] == [pytest.approx(300, abs=5), pytest.approx(20, abs=5)]
    assert sorted(facts.lags) == [*facts.lags]


def test_people_half_forgotten_are_told(place: Place, instance: dg.DagsterInstance) -> None:
    lake = lake_of(place.settings)
    assert "forgetting_unfinished forget" not in told(place, instance)
    people = People().with_users([17])
    write_people(lake, people)
    assert told(place, instance)["forgetting_unfinished forget"].what.startswith("1 person is asked")
    write_people(lake, replace(people, pending=frozenset()))
    assert "forgetting_unfinished forget" not in told(place, instance)


def test_a_part_that_cannot_be_looked_at_is_named_and_hides_no_other(
    place: Place, instance: dg.DagsterInstance
) -> None:
    run(instance, -2, -1, fails="early")
    place.settings.lake.url = "s3://elsewhere"
    place.settings.published_dir.mkdir(parents=True)
    (place.settings.published_dir / "manifest.json").write_text("{}")
    seen = observe(place.settings, RULES, instance)
    assert {*seen.unseen} == {"lake", "forgetting", "snapshot"}
    kinds = {condition.kind for condition in conditions(seen, RULES, place.settings)}
    assert kinds >= {"run_failed", "cannot_look", "snapshot_unreadable"}


def status(home: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str]:
    for name, value in {"HOME": str(home), "DAGSTER_PORT": "1", "DASHBOARDS_PORT": "1"}.items():
        monkeypatch.setenv(f"STREAMING_ASSETS_{name}", value)
    for name in ("DAGSTER_HOME", "DAGSTER_EVENT_BATCH_SIZE", "DAGSTER_GRPC_PROXY_HEARTBEAT_TTL_SECONDS"):
        monkeypatch.setenv(name, "")  # put back as it was
        monkeypatch.delenv(name)
    settings_module.get_settings.cache_clear()
    result = CliRunner().invoke(app, ["status", *arguments])
    settings_module.get_settings.cache_clear()
    return result.exit_code, result.output


def test_status_says_what_is_wrong_and_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, output = status(tmp_path / "none", monkeypatch)
    assert (code, (tmp_path / "none").exists()) == (1, False)
    assert "Nothing runs here" in output
    assert "nothing was started" in output

    home = tmp_path / "home"
    home.mkdir()
    (home / "warehouse.duckdb").write_text(
        "no file that DuckDB could open"
    )  # it is a run's: nobody else opens it
    prepare_dagster_home(settings_module.Settings(home=home))
    monkeypatch.setenv("DAGSTER_HOME", str(home / "dagster_home"))
    with dg.DagsterInstance.get() as instance:
        run(instance, -2, -1, fails="early")
    code, output = status(home, monkeypatch)
    assert code == 1
    assert f"hourly: the last run of 1 hour, {THIS_HOUR - 2 * HOUR:%Y-%m-%dT%H:%MZ} failed" in output
    start, end = (f"{THIS_HOUR - back * HOUR:%Y-%m-%dT%H:%MZ}" for back in (2, 1))
    assert f"$ streaming-assets backfill {start} {end}" in output

    code, output = status(home, monkeypatch, "--json")
    document = json.loads(output)
    assert (code, document["status"]) == (1, "wrong")
    (failed,) = [condition for condition in document["conditions"] if condition["kind"] == "run_failed"]
    assert failed["hours"] == [(THIS_HOUR - 2 * HOUR).isoformat()]
    assert document["failed"][0]["cause"] == "an error in a step"
    assert document["sizes"]["warehouse"] > 0
    assert document["facts"]["newest_whole_hour"] is not None
