"""`streaming-assets backfill`: what it does, says and returns, once as a process; and that the definitions load."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest import mock

import dagster as dg
import pytest
from typer.testing import CliRunner, Result

from streaming_assets.automation.jobs import HOURLY
from streaming_assets.cli import app
from streaming_assets.dagster_runtime.runs import span_of, span_tags
from streaming_assets.lake.names import ObjectName
from streaming_assets.partitions import Span
from streaming_assets.settings import PROJECT_ROOT, get_settings
from streaming_assets_tests.graph import Place, hour, info, listen, view
from streaming_assets_tests.integration.test_faults_objects import GOOD

pytestmark = pytest.mark.integration


@pytest.fixture
def place(tmp_path: Path, parsed_project: Path) -> Iterator[Place]:
    with closing(Place(tmp_path / "home")) as place:
        place.put_parsed(parsed_project)
        yield place


def shell(place: Place, *command: str, **settings: str) -> Result:
    """What `streaming-assets` does in this process, with the place as its home; a process would import for longer."""
    with mock.patch.dict(os.environ, {"STREAMING_ASSETS_HOME": str(place.settings.home)} | settings):
        for name in [n for n in os.environ if n.startswith(("STREAMING_ASSETS_F", "DAGSTER_"))]:
            del os.environ[name]
        get_settings.cache_clear()
        try:
            return CliRunner().invoke(app, command)
        finally:
            get_settings.cache_clear()


def run(place: Place, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """A program of this environment, with the place as its home; `settings` by their environment names."""
    environment = {n: v for n, v in os.environ.items() if not n.startswith(("STREAMING_ASSETS_", "DAGSTER_"))}
    return subprocess.run(
        [str(Path(sys.executable).with_name(command[0])), *command[1:]],
        env=environment | {"STREAMING_ASSETS_HOME": str(place.settings.home)} | settings,
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def spans_run(place: Place) -> list[Span | None]:
    """The hours of the hourly job's runs, the first run first."""
    with dg.DagsterInstance.from_config(str(place.settings.dagster_home)) as instance:
        return [span_of(run) for run in reversed(instance.get_runs(dg.RunsFilter(job_name="hourly")))]


def wait_in_the_queue(place: Place, span: Span) -> None:
    """A run over these hours that has yet to start."""
    tags = {**span_tags(span), **HOURLY}
    waiting = dg.DagsterRun("hourly", "waiting", status=dg.DagsterRunStatus.NOT_STARTED, tags=tags)
    with dg.DagsterInstance.from_config(str(place.settings.dagster_home)) as instance:
        instance.run_storage.add_run(waiting)


LISTENS = "select bucket_ingestion_datetime, count(*) from fact_listen_events group by all order by all"


def test_a_range_with_a_bad_object_is_done_but_for_that_and_then_healed(place: Place) -> None:
    for number in range(4):
        place.put("listen_events", hour(number), [listen(hour(number))], offset=1 + number)
        place.put("page_view_events", hour(number), [view(hour(number), item=number)], offset=number)
    place.put("user_info", hour(0), [info(hour(0))])
    bad = ObjectName("listen_events", hour(1), 0, 0)
    place.put_bytes(bad, GOOD[:-8])

    first = run(place, "streaming-assets", "backfill", "2025-03-01T00:00Z", "2025-03-01T04:00Z")
    assert first.returncode == 1, first.stderr
    assert f"backfill: {place.lake.uri(str(bad))} can't be read: it is cut short" in first.stderr
    assert "failed in part" in first.stdout
    assert [rows for _, rows in place.warehouse.rows(LISTENS)] == [1, 1, 1, 1], (
        "the hour's other object is there"
    )
    assert place.warehouse.rows("select count(*) > 1000 from dim_songs where not is_inferred") == [(True,)]
    with dg.DagsterInstance.from_config(str(place.settings.dagster_home)) as instance:
        assert len(instance.get_runs()) == 2, "the reference, and the range"

    place.put_bytes(bad, GOOD)
    second = shell(place, "reconcile")
    assert second.exit_code == 0, second.stderr
    assert second.stdout.splitlines() == [
        "reconcile: 2025-03-01T01:00Z to 2025-03-01T02:00Z run: listen_events: 1 object written anew",
        "reconcile: the tables hold what the lake holds",
    ]
    healed = place.warehouse.rows(LISTENS)
    assert sum(rows for _, rows in healed) == 203
    third = shell(place, "backfill", "2025-03-01T01:00", "2025-03-01T02:00")
    assert third.exit_code == 0, third.stderr
    assert "backfill: 2025-03-01T01:00 to 2025-03-01T02:00 done in" in third.stdout
    assert place.warehouse.rows(LISTENS) == healed
    nothing = shell(place, "reconcile")
    assert nothing.stdout == "reconcile: the tables hold what the lake holds\n", nothing.stderr
    assert not list((place.settings.dagster_home / "running").iterdir()), "its runs' locks are gone"


def test_a_warehouse_of_another_version_is_refused_and_rebuilt(place: Place) -> None:
    for number in range(3):
        place.put("listen_events", hour(number), [listen(hour(number))], offset=number)
    two = {"STREAMING_ASSETS_HOURS_PER_STEP": "2"}
    assert shell(place, "backfill", "2025-03-01T00:00Z", "2025-03-01T03:00Z", **two).exit_code == 0
    cut = [(hour(0), hour(2)), (hour(2), hour(3))]
    assert spans_run(place) == cut, "live hours go between"
    before = place.warehouse.rows("select * from fact_listen_events order by all")
    generation = place.warehouse.generation()
    place.warehouse.execute("comment on table lake_objects is 'made earlier'")
    place.warehouse.execute("update fact_listen_events set pk_song = 'as keys were'")

    refused = shell(place, "backfill", "2025-03-01T01:00Z", "2025-03-01T02:00Z")
    assert refused.exit_code == 1
    assert "`streaming-assets rebuild` makes them anew from the lake" in refused.stderr
    wait_in_the_queue(place, (hour(1), hour(2)))
    rebuilt = shell(place, "rebuild", **two)
    assert rebuilt.exit_code == 0, rebuilt.stderr
    assert rebuilt.stdout.splitlines()[-1] == "rebuild: the tables hold what the lake holds"
    assert place.warehouse.rows("select * from fact_listen_events order by all") == before
    assert place.warehouse.generation() != generation
    refused_and_waiting = [(hour(1), hour(2))] * 2
    assert spans_run(place) == cut + refused_and_waiting + [(hour(0), hour(3))], (
        "no part of new tables is published, and none is left to a run that waits"
    )


def test_an_hour_wholly_in_quarantine_is_an_error_that_names_it(place: Place) -> None:
    place.put("listen_events", hour(0), [listen(hour(0))])
    place.put("listen_events", hour(1), ["no JSON", "{}"], offset=1)
    result = shell(place, "backfill", "2025-03-01T00:00Z", "2025-03-01T02:00Z")
    assert result.exit_code == 1
    assert "backfill: listen_events of 2025-03-01T01:00Z: all its rows, 2, are in quarantine" in result.stderr


def test_a_bad_reference_source_ends_the_backfill_with_its_name(place: Place) -> None:
    place.put("listen_events", hour(0), [listen(hour(0))])
    source = place.settings.home / "songs.tsv"
    source.write_text("TR1\tAnn\tHello\tlong\n")
    command = ("backfill", "2025-03-01T00:00Z", "2025-03-01T01:00Z")
    result = shell(place, *command, STREAMING_ASSETS_SONGS_SOURCE=str(source))
    assert result.exit_code == 1
    assert f"backfill: reference__songs: {source}" in result.stderr
    assert "line 1, 4 columns instead of 5 or 6" in result.stderr


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("2025-03-01T04:00Z", "2025-03-01T04:00Z", "the range is empty: START 2025-03-01T04:00Z"),
        ("2025-03-01T04:00Z", "2025-03-01T03:00Z", "the range is empty"),
        ("2025-03-01T04:30Z", "2025-03-01T06:00Z", "2025-03-01T04:30:00+00:00 is no whole hour"),
        ("2024-12-31T23:00Z", "2025-01-01T03:00Z", "before the first partition, 2025-01-01T00:00Z"),
        ("2025-03-01T04:00Z", "2999-01-01T00:00Z", "is in the future: the newest hour is"),
        ("2025-03-01T04:00+02:00", "2025-03-01T02:00Z", "the range is empty: START 2025-03-01T02:00Z"),
        ("yesterday", "2025-03-01T04:00Z", "'yesterday' is no ISO time, such as 2025-04-01T00:00Z"),
        ("2025-03-01T04:00Z", "", "'' is no ISO time"),
    ],
)
def test_a_range_that_is_none_is_refused_before_anything_is_done(
    place: Place, start: str, end: str, message: str
) -> None:
    result = shell(place, "backfill", start, end)
    assert result.exit_code == 2
    assert result.stderr.startswith("backfill: ")
    assert message in result.stderr
    assert not place.settings.dagster_home.exists()


@pytest.mark.parametrize("command", [["backfill", "2025-03-01T00:00Z", "2025-03-01T01:00Z"], ["reconcile"]])
def test_on_a_warehouse_without_a_lock_only_dagsters_queue_may_write(
    place: Place, command: list[str]
) -> None:
    result = shell(
        place,
        *command,
        STREAMING_ASSETS_TARGET="gcp",
        STREAMING_ASSETS_GCP_PROJECT="a-project",
        STREAMING_ASSETS_LAKE_URL="gs://a-bucket",
    )
    assert result.exit_code == 2
    assert result.stderr == (
        f"{command[0]}: bigquery is written by runs of Dagster's queue alone: launch the hours from Dagster's pages\n"
    )
    assert not place.settings.dagster_home.exists()


def test_dagster_finds_the_definitions_valid_from_the_root(place: Place) -> None:
    result = run(place, "dagster", "definitions", "validate")
    assert result.returncode == 0, result.stderr
    assert "Validation successful for code location streaming_assets" in result.stderr + result.stdout
