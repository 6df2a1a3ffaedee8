"""docs/add-an-event-type.md, followed by its own code blocks on a copy of the project."""

import importlib.util
import json
from itertools import pairwise

import duckdb
import pytest

from streaming_assets_tests.docs.project_copy import ProjectCopy, read_page

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("docs"), pytest.mark.timeout(1200)]

CONTRACT = "streaming_assets/simulator/contracts/auth_events.yml"
STAGED = "epoch_ms(event_datetime), user_id, session_id, item_in_session, level, success"
CHECK_TYPES = """
from pathlib import Path
from streaming_assets_tests.bigquery.project import BigQueryProject
project = BigQueryProject(Path(".local/bigquery"))
project.build()
for name in ("stg_auth_events", "fact_logins"):
    assert project.rows(name)[0][0] == "event_datetime", name
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    project = ProjectCopy(tmp_path_factory.mktemp("copy"))
    page = read_page("add-an-event-type.md", before="## Your own events")
    move, *look = page.commands
    project.shell(move)
    project.follow(page)
    assert project.changes() == ({"dbt_project/dbt_project.yml"}, {CONTRACT}), "one list; one file moved"
    for command in look:
        project.shell(command)
    (simulate,) = [line for command in look for line in command.splitlines() if " simulate " in line]
    project.shell(simulate.replace("--to lake", "--to files --output plain"))
    return project


def test_the_rows_are_those_of_the_file(project: ProjectCopy) -> None:
    lines = (project.root / "plain" / "auth_events.json").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    names = ("ts", "userId", "sessionId", "itemInSession", "level", "success")
    wanted = sorted((tuple(event.get(name) for name in names) for event in events), key=repr)
    assert len(wanted) > 50
    assert any(row[1] is None for row in wanted), "failed ones have no user"
    assert sorted(project.rows(f"select {STAGED} from stg_auth_events"), key=repr) == wanted
    logins = STAGED.replace("item_in_session, ", "")
    without_item = sorted((row[:3] + row[4:] for row in wanted), key=repr)
    assert sorted(project.rows(f"select {logins} from fact_logins"), key=repr) == without_item
    assert project.rows("select count(*) from stg_quarantine where topic = 'auth_events'") == [(0,)]
    ranges = "select sum(row_count) from stg_offset_ranges where topic = 'auth_events'"
    assert project.rows(ranges) == [(len(wanted),)]


def test_the_hours_can_be_run_again(project: ProjectCopy) -> None:
    before = project.rows("select * from fact_logins order by all")
    project.shell("streaming-assets backfill 2025-04-01T06:00Z 2025-04-01T08:00Z")
    assert project.rows("select * from fact_logins order by all") == before


def test_readers_have_what_the_warehouse_has(project: ProjectCopy) -> None:
    folder = project.root / ".local" / "published" / "fact_logins"
    published = duckdb.sql(f"select count(*), count(distinct event_id) from '{folder}/*.parquet'").fetchall()
    assert published == project.rows("select count(*), count(distinct event_id) from fact_logins")


def test_its_lineage_is_connected(project: ProjectCopy) -> None:
    parents = project.parents()
    chain = (
        "source/simulator",
        "kafka/auth_events_topic",
        "lake/auth_events_objects",
        "external/auth_events_ext",
        "staging/stg_auth_events",
        "core/fact_logins",
    )
    for parent, child in pairwise(chain):
        assert parent in parents[child], child
    assert {"external/auth_events_ext"} <= set(parents["staging/stg_quarantine"])


@pytest.mark.skipif(importlib.util.find_spec("zetasql") is None, reason="`zetasql` needs Python 3.11")
def test_the_statements_are_google_sql(project: ProjectCopy) -> None:
    project.python(CHECK_TYPES)
