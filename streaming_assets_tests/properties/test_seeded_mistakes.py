"""The schedules find mistakes: each of these, made in a copy of the project, fails a known schedule.

`test_found` shows that the same schedule passes without the mistake. With `PROPERTY_SCHEDULES` set (`make soak`), each
is also to be found by schedules that are drawn.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from streaming_assets.settings import PROJECT_ROOT
from streaming_assets.testing.executor import Executor
from streaming_assets_tests.properties import test_found as known
from streaming_assets_tests.properties.machine import Schedules
from streaming_assets_tests.properties.test_schedules import DRAWN_ANEW

MOST_SCHEDULES = 400

# What the mistake is: file, text there, text instead, a schedule that fails for it.
MISTAKES = {
    "late changes of level don't re-key facts": (
        "macros/in_force.sql",
        "set pk_user = users.pk_user",
        "set pk_user = fact.pk_user",
        known.change_of_level_comes_late,
    ),
    "an hour is added, not replaced": (
        "models/staging/stg_listen_events.sql",
        "{{ in_window('bucket_ingestion_datetime') }}",
        "1 = 0",
        known.hour_grows,
    ),
    "the newest copy of a listen counts": (
        "macros/replaced_facts.sql",
        "and bucket_ingestion_datetime >= {{ window_start() }}",
        "",
        known.listen_is_in_two_hours,
    ),
    "sessions are told by the new rows alone": (
        "models/core/intermediate/int_touched_sessions.sql",
        "left join neighbours on touched.user_id = neighbours.user_id",
        "left join neighbours on touched.user_id <> neighbours.user_id and touched.user_id = neighbours.user_id",
        known.session_goes_on_in_another_hour,
    ),
    "a fact that is new has the new rows alone": (
        "models/core/intermediate/int_touched_sessions.sql",
        "state_of('fact_churn_events') and ",
        "",
        known.fact_is_new_in_a_warehouse,
    ),
    "marts look at the new rows' days alone": (
        "macros/window.sql",
        "table('int_touched_page_views')",
        "table('stg_page_view_events') ~ ' where ' ~ in_window('bucket_ingestion_datetime')",
        known.day_loses_its_only_session,
    ),
    "what the reference gains stays inferred": (
        "macros/members.sql",
        "where member.is_inferred\n",
        "where 1 = 0\n",
        known.reference_learns_of_a_song,
    ),
    "a change counts from the window's rows alone": (
        "models/core/intermediate/int_touched_users.sql",
        "when is_first_row_moved then {{ timestamp_literal('9999-01-01 00:00:00') }}",
        "when is_first_row_moved then first_seen_datetime",
        known.registration_comes_late,
    ),
}


@pytest.mark.integration
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("search", ["known", "drawn"] if DRAWN_ANEW else ["known"])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_found(mistake: str, search: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "dbt_project"
    shutil.copytree(PROJECT_ROOT / "dbt_project", project, ignore=shutil.ignore_patterns("target", "logs"))
    name, right, wrong, steps = MISTAKES[mistake]
    text = (project / name).read_text()
    assert text.count(right) == 1, f"{name} has changed: seed the mistake anew"
    (project / name).write_text(text.replace(right, wrong))
    monkeypatch.setattr(Schedules, "executor", Executor(project, tmp_path / "target"))

    with pytest.raises(AssertionError, match="differs from"):
        run(steps) if search == "known" else draw()


def run(steps: Callable[[Schedules], None]) -> None:
    schedules = Schedules()
    schedules.begin("in order")
    steps(schedules)
    schedules.teardown()


def draw() -> None:
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
