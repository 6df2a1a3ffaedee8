"""dbt in this process: what the project declares, the parsed project kept, and errors in dbt's own words."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dbt.cli.main import dbtRunner

from streaming_assets.dagster_runtime import dbt as dbt_module
from streaming_assets.dagster_runtime.dbt import PROJECT_DIR, DbtError, DbtRunner, without_scratch
from streaming_assets.settings import Settings
from streaming_assets_tests.graph import hour

pytestmark = pytest.mark.contract

TABLE = "{{ config(materialized='table') }}"


def node(name: str, *needs: str, kind: str = "model") -> dict:
    return {
        "name": name,
        "resource_type": kind,
        "config": {"materialized": "table"},
        "depends_on": {"nodes": list(needs)},
    }


def test_models_of_a_runs_work_alone_are_no_assets() -> None:
    manifest = {
        "metadata": {},
        "nodes": {
            "a": node("stg_a", "b"),
            "b": node("base_a"),
            "c": node("int_c"),
            "d": node("int_of_a_test", kind="test"),
        },
    }
    kept = without_scratch(manifest)
    kinds = {name: found["config"]["materialized"] for name, found in kept["nodes"].items()}
    assert kinds == {"a": "table", "b": "ephemeral", "c": "ephemeral", "d": "table"}
    assert kept["nodes"]["a"]["depends_on"] == {"nodes": ["b"]}, "lineage goes through them"
    assert manifest["nodes"]["b"]["config"]["materialized"] == "table", "a copy"


@pytest.mark.integration
def test_the_project_is_parsed_once_for_each_change_of_it(
    tmp_path: Path, parsed_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[Path] = []
    monkeypatch.setattr(DbtRunner, "_parse", lambda self: parsed.append(self.target_path))
    settings = Settings(home=tmp_path)
    target = tmp_path / "dbt" / "duckdb"
    shutil.copytree(parsed_project, target)
    assert DbtRunner(settings).manifest["metadata"]["project_name"] == "streaming_assets"
    assert parsed == []

    # Another version of the project, with files that are older than what was parsed of the one before.
    project = shutil.copytree(dbt_module.PROJECT_DIR, tmp_path / "project", copy_function=shutil.copy2)
    monkeypatch.setattr(dbt_module, "PROJECT_DIR", project)
    assert DbtRunner(settings).manifest
    assert parsed == [], "the same files elsewhere"
    changed = project / "macros" / "state.sql"
    changed.write_text(changed.read_text() + "{# another version #}")
    os.utime(changed, (0, 0))
    assert DbtRunner(settings).manifest
    assert parsed == [target]
    assert DbtRunner(settings).manifest
    assert parsed == [target]

    # Its tables have other names.
    for count, changes in enumerate(
        ({"warehouse_path": tmp_path / "b.duckdb"}, {"bigquery_dataset": "b"}), 2
    ):
        assert DbtRunner(Settings.model_validate({"home": tmp_path} | changes)).manifest
        assert parsed == [target] * count


@pytest.mark.integration
def test_a_project_that_does_not_parse_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = _project(tmp_path, "select * from {{ ref('no_such_model') }}")
    monkeypatch.setattr(dbt_module, "PROJECT_DIR", broken)
    with pytest.raises(DbtError, match=r"does not parse: .*[\s\S]*no_such_model"):
        _ = DbtRunner(Settings(home=tmp_path / "home")).manifest


@pytest.mark.integration
def test_a_model_that_fails_is_named_with_its_reason_and_the_environment_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        dbt_module, "PROJECT_DIR", _project(tmp_path, "select no_such_column from (select 1 as one)")
    )
    (tmp_path / ".env").write_text("ONLY_OF_THE_FOLDER=1\n")  # dbt reads it, for a person
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DBT_TARGET", "published")  # of the shell, for questions to the readers' database
    before = dict(os.environ)
    runner = DbtRunner(_settings(tmp_path))
    with pytest.raises(DbtError, match=r"only_model: [\s\S]*no_such_column"):
        runner.run((hour(0), hour(1)))
    assert dict(os.environ) == before


@pytest.mark.integration
@pytest.mark.parametrize(
    ("model", "failing"),
    [
        ("select 1 as one", nullcontext()),
        ("select no_such_column", pytest.raises(DbtError, match="no_such_column")),
    ],
    ids=["done", "failed"],
)
def test_the_warehouse_is_released_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, failing: AbstractContextManager
) -> None:
    """Else other processes find the file in use as long as this one lives."""
    monkeypatch.setattr(dbt_module, "PROJECT_DIR", _project(tmp_path, model))
    settings = _settings(tmp_path)
    with failing:
        DbtRunner(settings).run((hour(0), hour(1)))
    opened = {str(link.resolve()) for link in Path("/proc/self/fd").iterdir()}
    assert str(settings.warehouse.file) not in opened


@pytest.mark.integration
def test_an_interrupt_ends_it_within_seconds_and_leaves_the_table_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dbt_module, "PROJECT_DIR", _project(tmp_path, f"{TABLE} select 1 as one"))
    settings = _settings(tmp_path)
    DbtRunner(settings).run((hour(0), hour(1)))
    endless = f"{TABLE} select count(*) as one from range(1000000000000) a where a.range % 7 = 3"
    (tmp_path / "project" / "models" / "only_model.sql").write_text(endless)
    runner = DbtRunner(settings)
    _ = runner.manifest
    monkeypatch.setattr(
        dbtRunner,
        "invoke",
        lambda self, args, invoke=dbtRunner.invoke: interrupted(lambda: invoke(self, args)),
    )
    before = {
        signal.SIGINT: signal.getsignal(signal.SIGINT),
        signal.SIGTERM: signal.getsignal(signal.SIGTERM),
    }
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        runner.run((hour(0), hour(1)))
    assert time.monotonic() - begun < 30
    assert {number: signal.getsignal(number) for number in before} == before
    with duckdb.connect(str(settings.warehouse.file)) as connection:  # nobody is at work on it
        assert connection.sql("select one from only_model").fetchall() == [(1,)]


def interrupted(work: Callable[[], Any]) -> Any:
    """Do the work, and meanwhile interrupt this process twice, as one does who gets impatient."""
    timers = [threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)) for seconds in (5, 5.1)]
    for timer in timers:
        timer.start()
    try:
        return work()
    finally:
        for timer in timers:
            timer.join()


def _settings(folder: Path) -> Settings:
    """A home with a warehouse, as a run has it by the time it comes to dbt."""
    settings = Settings(home=folder / "home")
    settings.home.mkdir()
    duckdb.connect(str(settings.warehouse.file)).close()
    return settings


def _project(folder: Path, model: str) -> Path:
    """A dbt project of one model, with the profile of the real one."""
    project = folder / "project"
    (project / "models").mkdir(parents=True)
    shutil.copy(PROJECT_DIR / "profiles.yml", project)
    text = "name: other\nversion: 1.0.0\nprofile: streaming_assets\nmodel-paths: [models]\n"
    target = "target-path: \"{{ env_var('DBT_TARGET_PATH') }}\"\n"
    (project / "dbt_project.yml").write_text(text + target)
    (project / "models" / "only_model.sql").write_text(model)
    return project
