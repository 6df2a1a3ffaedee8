"""The checks find mistakes: each of these, made in a copy of the project, fails a run."""

import shutil
from pathlib import Path

import pytest

pytest.importorskip("zetasql", reason="the GoogleSQL analyser `zetasql` needs Python 3.11")

from streaming_assets.dagster_runtime import dbt as dbt_module
from streaming_assets.dagster_runtime.dbt import PROJECT_DIR, DbtError
from streaming_assets_tests.bigquery.project import BigQueryProject

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("googlesql")]

# What the mistake is: file, text there, text instead, and what the failure says.
MISTAKES = {
    "a function of DuckDB's alone": (
        "macros/dialect/types.sql",
        "timestamp_millis({{ milliseconds }})",
        "make_timestamp({{ milliseconds }} * 1000)",
        "Function not found: make_timestamp",
    ),
    "a wrong type": (
        "macros/lake/topic_lines.sql",
        "{{ json_text(field.column ~ '_json') }} as {{ field.column }}_text",
        "{{ field.column }}_json as {{ field.column }}_text",
        "No matching signature for function REGEXP_CONTAINS",
    ),
    "a column of another type than its contract's": (
        "macros/dialect/types.sql",
        "timestamp_millis({{ milliseconds }})",
        "cast(timestamp_millis({{ milliseconds }}) as string)",
        "This model has an enforced contract that failed",
    ),
    "a missing column": (
        "macros/lake/topic_lines.sql",
        "lines._file_name = objects.uri",
        "lines._file_name = objects.address",
        "Name address not found inside objects",
    ),
    "a bound that is no literal": (
        "macros/window.sql",
        "and {{ column }} < {{ window_end() }}",
        "and {{ column }} < (select {{ window_end() }})",
        "no literals bound the scan of",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_found(mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "dbt_project"
    shutil.copytree(PROJECT_DIR, copy, ignore=shutil.ignore_patterns("target", "logs"))
    name, right, wrong, said = MISTAKES[mistake]
    text = (copy / name).read_text()
    assert text.count(right) == 1, f"{name} has changed: seed the mistake anew"
    (copy / name).write_text(text.replace(right, wrong))
    monkeypatch.setattr(dbt_module, "PROJECT_DIR", copy)
    project = BigQueryProject(tmp_path / "home")
    project.engine.prunes = True

    with pytest.raises(DbtError, match=said):
        project.build()
