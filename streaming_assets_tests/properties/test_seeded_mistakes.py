"""The schedules find mistakes: each of these, made in a copy of the project, fails within a few of them."""

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from streaming_assets.settings import PROJECT_ROOT
from streaming_assets_tests.properties.executor import Executor
from streaming_assets_tests.properties.machine import Schedules

MOST_SCHEDULES = 400

# What the mistake is: file, text there, text instead.
MISTAKES = {
    "late changes of level don't re-key facts": (
        "macros/in_force.sql",
        "set pk_user = users.pk_user",
        "set pk_user = fact.pk_user",
    ),
    "an hour is added, not replaced": (
        "models/staging/stg_listen_events.sql",
        "{{ in_window('bucket_ingestion_datetime') }}",
        "1 = 0",
    ),
    "the newest copy of a listen counts": (
        "macros/replaced_facts.sql",
        "and bucket_ingestion_datetime >= {{ window_start() }}",
        "",
    ),
    "sessions are told by the new rows alone": (
        "models/core/intermediate/int_touched_sessions.sql",
        "left join neighbours on touched.user_id = neighbours.user_id",
        "left join neighbours on touched.user_id <> neighbours.user_id and touched.user_id = neighbours.user_id",
    ),
    "marts look at the new rows' days alone": (
        "macros/window.sql",
        "table('int_touched_page_views')",
        "table('stg_page_view_events') ~ ' where ' ~ in_window('bucket_ingestion_datetime')",
    ),
    "what the reference gains stays inferred": (
        "macros/members.sql",
        "where member.is_inferred",
        "where 1 = 0",
    ),
    "a change counts from the window's rows alone": (
        "models/core/intermediate/int_touched_users.sql",
        "when is_first_row_moved then {{ timestamp_literal('9999-01-01 00:00:00') }}",
        "when is_first_row_moved then first_seen_datetime",
    ),
}


@pytest.mark.integration
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_found(mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "dbt_project"
    shutil.copytree(PROJECT_ROOT / "dbt_project", project, ignore=shutil.ignore_patterns("target", "logs"))
    name, right, wrong = MISTAKES[mistake]
    text = (project / name).read_text()
    assert text.count(right) == 1, f"{name} has changed: seed the mistake anew"
    (project / name).write_text(text.replace(right, wrong))
    monkeypatch.setattr(Schedules, "executor", Executor(project, tmp_path / "target"))

    with pytest.raises(AssertionError, match="differs from"):
        run_state_machine_as_test(
            Schedules,
            settings=settings(
                max_examples=MOST_SCHEDULES,
                stateful_step_count=14,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
