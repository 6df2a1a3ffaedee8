"""dbt as a person runs it in the project's folder: what each command does, and that no table loses a row."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from streaming_assets.dagster_runtime.dbt import DbtRunner
from streaming_assets.lake.names import HOUR
from streaming_assets.settings import PROJECT_ROOT, Settings
from streaming_assets.warehouses.duckdb_warehouse import DuckDbWarehouse
from streaming_assets_tests import commands
from streaming_assets_tests.properties.site import (
    HALF_DAY,
    HOURS,
    REFERENCES,
    Change,
    Info,
    Listen,
    View,
)
from streaming_assets_tests.properties.world import World, take_stock

EVENTS = [
    (0, Listen(1, 1, 0, 0, "free", 0, 0)),
    (0, View(1, 1, 0, 0, "free", "PlayAd", 2, True, 0.007)),
    (0, View(2, 1, 0, HALF_DAY, "paid", "Lab", 3, False, None)),
    (3, View(1, 1, 1, 3 * HALF_DAY, "free", "Home", 0, True, None)),
    (1, View(1, 1, 2, 2 * HALF_DAY - 1, "free", "Home", 0, True, None)),
    (1, Listen(1, 1, 1, 3 * HALF_DAY, "paid", 1, 1)),
    (3, Listen(1, 1, 0, 0, "free", 0, 0)),  # again in another hour, late
    (2, Change(1, 1, 2, HALF_DAY, "free")),
    (3, Info(1, HALF_DAY, -HALF_DAY, "free", "Ada")),
]
RUNS = [(3, 3), (0, 0), (1, 2), (2, 2)]  # first and last hour of each, out of order
A_SPAN = f"{{window_start: {HOURS[1]:%Y-%m-%d %H:%M:%S}, window_end: {HOURS[3]:%Y-%m-%d %H:%M:%S}}}"
KEPT = "kept.duckdb"  # the warehouse as each test finds it
OURS = ("DBT_", "STREAMING_ASSETS_")
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("dbt_by_hand")]  # one home, one parsed project


class ByHand:
    """A home folder, and dbt in a copy of the project's folder for it."""

    def __init__(self, home: Path, project: Path) -> None:
        self.home = home
        self._project = project
        self.warehouse = DuckDbWarehouse(home / "warehouse.duckdb", 10)

    def __call__(self, *arguments: str) -> str:
        """What dbt says; it must succeed."""
        done = self.done(*arguments)
        assert done.returncode == 0, f"dbt {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def refused(self, *arguments: str) -> str:
        """What dbt says; it must fail."""
        done = self.done(*arguments)
        assert done.returncode != 0, f"dbt {arguments}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def done(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = _environment() | {"STREAMING_ASSETS_HOME": str(self.home)}
        return commands.run(["dbt", *arguments], self._project, environment)

    def tables(self) -> dict[str, list[tuple]]:
        """All rows of all tables and views of models, in an order of their own."""
        with self.warehouse.connect() as connection:
            names = connection.execute(
                "select table_name from information_schema.tables"
                " where table_name similar to '(stg|dim|fact|mart)_.*' order by all"
            ).fetchall()
            return {
                name: sorted(connection.execute(f"select * from {name}").fetchall(), key=repr)
                for (name,) in names
            }

    def execute(self, sql: str) -> None:
        self.warehouse.execute(sql)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, parsed_project: Path) -> Path:
    """A home as runs of single hours leave it, the last of an hour that had been run before."""
    home = tmp_path_factory.mktemp("home")
    world = World(home / "lake")
    for number, event in EVENTS:
        world.append(event.topic, HOURS[number], [event.value], "a", 0, grow=True)
    world.append("page_view_events", HOURS[0], ["no event"], "a", 0, grow=True)
    world.write_reference(*REFERENCES[1])
    settings = Settings(home=home)
    warehouse, dbt = DuckDbWarehouse(settings.warehouse.file, 10), DbtRunner(settings)
    shutil.copytree(parsed_project, dbt.target_path)
    for first, last in RUNS:
        span = (HOURS[first], HOURS[last] + HOUR)
        take_stock(world, warehouse, span)
        dbt.run(span)
    shutil.copy(settings.warehouse.file, home / KEPT)
    return home


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What dbt by hand writes lies beside the project's folder, so a copy of its own keeps others out of it."""
    return shutil.copytree(PROJECT_ROOT / "dbt_project", tmp_path_factory.mktemp("by_hand") / "dbt_project")


@pytest.fixture
def dbt(home: Path, project: Path) -> ByHand:
    """The home with its warehouse put back; with a home of each test's own, dbt would parse the project for each."""
    dbt = ByHand(home, project)
    dbt.warehouse.path.with_name("warehouse.duckdb.wal").unlink(missing_ok=True)
    shutil.copy(home / KEPT, dbt.warehouse.path)
    return dbt


def test_without_a_window_a_run_covers_all_hours_and_says_so(dbt: ByHand) -> None:
    before = dbt.tables()
    assert before["fact_session_events"]
    assert before["fact_listen_events"]
    dbt.execute(
        "delete from stg_listen_events; delete from fact_listen_events; delete from mart_daily_streams"
    )

    said = dbt("run")

    assert f"all hours that the inventory knows, from {HOURS[0]:%Y-%m-%d %H:%M:%S}" in said
    assert dbt.tables() == before


def test_a_fact_and_a_mart_alone_are_made_of_all_hours(dbt: ByHand) -> None:
    before = dbt.tables()
    dbt.execute("delete from fact_listen_events; delete from mart_daily_active_users")
    dbt("run", "--select", "fact_listen_events", "mart_daily_active_users")
    assert dbt.tables() == before


def test_a_span_is_run_alone(dbt: ByHand) -> None:
    before = dbt.tables()
    dbt.execute("delete from stg_page_view_events")
    said = dbt("run", "--select", "+stg_page_view_events", "--vars", A_SPAN)
    after = dbt.tables()
    assert "No window given" not in said
    assert after["stg_page_view_events"] == [
        row for row in before["stg_page_view_events"] if row in after["stg_page_view_events"]
    ]
    hours = {
        row[0] for row in dbt.warehouse.rows("select bucket_ingestion_datetime from stg_page_view_events")
    }
    assert hours == {HOURS[1].replace(tzinfo=None)}
    dbt("run")
    assert dbt.tables() == before


def test_models_made_of_another_runs_work_are_refused_with_the_way_out(dbt: ByHand) -> None:
    before = dbt.tables()
    for select, options in (
        ("stg_listen_events", ()),
        ("dim_users", ("--full-refresh",)),
        ("int_touched_users", ("--vars", A_SPAN)),
    ):
        assert f"--select +{select}" in dbt.refused("run", "--select", select, *options)
    assert dbt.tables() == before
    dbt("run", "--select", "+stg_listen_events")
    dbt("run", "--select", "stg_listen_events")  # now of these hours
    assert dbt.tables() == before


def test_a_full_refresh_rebuilds_the_same_tables_or_is_refused(dbt: ByHand) -> None:
    before = dbt.tables()
    assert "or --full-refresh to replace those of the window" in dbt.refused(
        "build", "--full-refresh", "--vars", A_SPAN
    )
    assert "--empty would replace" in dbt.refused("run", "--empty")
    assert dbt.tables() == before
    dbt("run", "--full-refresh", "--select", "fact_listen_events", "mart_daily_streams")
    assert dbt.tables() == before
    dbt("run", "--full-refresh")
    assert dbt.tables() == before


def test_a_build_that_failed_is_retried(dbt: ByHand) -> None:
    before = dbt.tables()
    with dbt.warehouse.connect() as connection:
        (view,) = connection.execute(
            "select sql from duckdb_views() where view_name = 'locations_ext'"
        ).fetchone() or ("",)
    for options in ((), ("--full-refresh",)):
        dbt.execute("drop view locations_ext")
        assert "locations_ext" in dbt.refused("build", *options)
        dbt.execute(view)
        assert "PASS=" in dbt("retry")
        assert dbt.tables() == before


def test_tests_look_at_the_rows_of_a_run(dbt: ByHand) -> None:
    listens = f"bucket_ingestion_datetime = '{HOURS[0]:%Y-%m-%d %H:%M}'"
    dbt.execute(f"insert into stg_listen_events select * from stg_listen_events where {listens}")
    dbt.execute("insert into mart_daily_streams from mart_daily_streams")
    runner = DbtRunner(Settings(home=dbt.home))

    def failed(hour: int) -> set[str]:
        nodes = [event["data"]["node_info"] for event in runner.test((HOURS[hour], HOURS[hour] + HOUR))]
        return {
            node["node_name"].partition("_columns_")[2] for node in nodes if node["node_status"] != "pass"
        }

    assert failed(2) == set(), "it has no listens"
    assert {name.partition("__")[0] for name in failed(0)} == {
        "stg_listen_events_bucket_ingestion_datetime",
        "mart_daily_streams_event_date",
    }


def test_commands_that_change_nothing_answer(dbt: ByHand) -> None:
    before = dbt.tables()
    assert "All checks passed" in dbt("debug")
    assert "streaming_assets.core.fact_listen_events" in dbt("ls")
    assert "eprecat" not in dbt("parse", "--no-partial-parse", "--show-all-deprecations")
    dbt("compile")
    shown = dbt("show", "--select", "fact_listen_events", "--output", "json")
    assert shown.count('"bucket_ingestion_datetime"') == len(before["fact_listen_events"])
    assert "ERROR=0" in dbt("test")
    assert "Catalog written to" in dbt("docs", "generate", "--no-compile")
    assert "WARN freshness of warehouse.lake_objects" in dbt("source", "freshness"), "its hours are of 2025"
    assert dbt.tables() == before


def test_a_warehouse_that_somebody_has_open_is_said_with_the_process(dbt: ByHand) -> None:
    hold = (
        "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(dbt.warehouse.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        said = dbt.refused("show", "--inline", "select 1 as one")
        assert f"(PID {holder.pid}). One process at a time has the warehouse" in said
        assert "Traceback" not in said
        holder.communicate()
    dbt("show", "--inline", "select 1 as one")


def test_a_warehouse_that_is_not_there_or_empty_is_said_and_not_made(tmp_path: Path, project: Path) -> None:
    dbt = ByHand(tmp_path, project)
    for command in ("debug", "run"):
        assert f"no warehouse at {dbt.warehouse.path}" in dbt.refused(command)
    assert not dbt.warehouse.path.exists()
    dbt.execute("select 1")
    assert "knows no hour" in dbt.refused("run")
    dbt.warehouse.prepare()
    assert "knows no hour" in dbt.refused("build")


def test_a_window_that_is_none_is_refused(dbt: ByHand) -> None:
    assert "belong together" in dbt.refused("run", "--vars", "{window_start: 2025-03-01}")
    assert "is no moment" in dbt.refused("run", "--vars", "{window_start: yesterday, window_end: today}")


def test_all_that_dbt_writes_is_under_the_local_folder(tmp_path: Path) -> None:
    project = tmp_path / "dbt_project"
    shutil.copytree(PROJECT_ROOT / "dbt_project", project)
    before = sorted(project.rglob("*"))
    done = subprocess.run(
        [str(Path(sys.executable).with_name("dbt")), "parse"],
        env=_environment(),
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(project.rglob("*")) == before
    assert {path.name for path in tmp_path.iterdir()} == {"dbt_project", ".local"}
    assert (tmp_path / ".local/dbt/logs/dbt.log").exists()


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
