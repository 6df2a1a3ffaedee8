r"""`streaming-assets sql`: answers in each format, what is described, what is refused, and how it ends."""

import csv
import io
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner, Result

from streaming_assets import settings
from streaming_assets.cli import app
from streaming_assets.settings import Settings
from streaming_assets.testing.publishing import tables
from streaming_assets_tests.published.marts import FIRST, REVENUE, Marts

Ask = Callable[..., Result]
ENDLESS = "select sum(a.range * b.range) from range(1000000000) as a, range(1000000) as b"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose snapshot has the marts of `marts.py`."""
    home = tmp_path_factory.mktemp("home")
    marts = Marts(home)
    marts.run("update dim_songs set title = '=cmd()' where pk_song = 'a'")
    marts.publish()
    return home


@pytest.fixture
def ask(home: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    monkeypatch.setattr(settings, "get_settings", lambda: Settings(home=home))
    return lambda *arguments, stdin=None: CliRunner().invoke(app, ["sql", *map(str, arguments)], input=stdin)


def test_an_answer_is_shown_as_a_table(ask: Ask) -> None:
    told = ask(f"select event_date, ads_served from {REVENUE} order by all; select 42 as other")
    assert told.exit_code == 0
    assert str(FIRST) in told.stdout
    assert "other" in told.stdout


def test_csv_is_whole_and_harmless(ask: Ask) -> None:
    query = """select title, 1 - 2 as "=a", true as b, null as c, [1, 2] as d, timestamptz '2025-03-01 01:00:00+01' as e
               from dim_songs order by pk_song"""
    rows = list(csv.reader(io.StringIO(ask("--format", "csv", query).stdout, newline="")))
    assert rows[0] == ["title", "'=a", "b", "c", "d", "e"]
    assert [row[0] for row in rows[1:]] == ["'=cmd()", "title"]
    assert rows[1][1:] == ["-1", "true", "", "[1,2]", "2025-03-01 00:00:00+00:00"]


def test_json_is_an_array_with_times_in_utc(ask: Ask) -> None:
    query = "select event_datetime, [1] as l, 1.5::decimal(5, 2) as d from fact_listen_events order by all limit 2"
    told = json.loads(ask("--format", "json", query).stdout)
    assert told[0] == {"event_datetime": f"{FIRST}T13:00:00Z", "l": [1], "d": "1.50"}
    assert len(told) == 2
    assert json.loads(ask("--format", "json", f"{query} offset 9").stdout) == []


def test_a_file_is_written_as_its_name_says(ask: Ask, tmp_path: Path) -> None:
    query, answers = "from fact_session_events", {}
    for form in ("parquet", "csv", "json"):
        assert ask(query, "-o", tmp_path / f"answer.{form}").exit_code == 0
        answers[form] = duckdb.sql(f"select count(*) from '{tmp_path}/answer.{form}'").fetchall()
    assert answers == {form: [(2,)] for form in answers}
    assert {path.name for path in tmp_path.iterdir()} == {f"answer.{form}" for form in answers}


def test_sql_comes_from_a_file_and_from_a_pipe(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_text("-- a note; with a semicolon\nselect 7 as seven;")
    assert "seven" in ask("-f", tmp_path / "q.sql").stdout
    assert "eight" in ask(stdin="select 8 as eight").stdout


def test_tables_and_columns_are_described(ask: Ask) -> None:
    listed = ask("\\d").stdout
    for name, table in tables().items():
        assert f"│ {name} " in listed
        assert table.description[:60] in listed
    described = ask("\\d fact_listen_events;").stdout
    assert "event_datetime" in described
    assert "timestamp" in described
    assert "When it happened (UTC)" in described


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("copy (select 1) to '{home}/published/x.csv'", "COPY is no query"),
        ("explain analyze copy (select 1) to '{home}/published/x.csv'", "EXPLAIN is no query"),
        ("create table x as select 1", "CREATE is no query"),
        ("set enable_external_access = true", "SET is no query"),
        ("select 1; drop view snapshot", "DROP is no query"),
        ("from read_text('/etc/hostname')", "disabled by configuration"),
        ("from read_blob('{home}/warehouse.duckdb')", "disabled by configuration"),
        ("selec 1", "syntax error"),
        ("from nothing_of_the_kind", "does not exist"),
        (" -- nothing", "there is no query"),
        ("\\d nothing_of_the_kind", "\\d lists those that there are"),
    ],
    ids=lambda text: text.split("{")[0][:30],
)
def test_what_is_no_question_is_refused_and_changes_nothing(
    ask: Ask, home: Path, query: str, told: str
) -> None:
    before = sorted((home / "published").rglob("*"))
    answer = ask(query.format(home=home))
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert answer.stderr.startswith("sql: ")
    assert told in answer.stderr
    assert sorted((home / "published").rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("select 1", "--format", "parquet"), "name a file with --output"),
        (("select 1", "-o", "x.xls"), "choose one with --format"),
        (("select 1", "-o", "x.csv", "--format", "table"), "csv, json or parquet"),
        (("select 1; select 2", "-o", "x.csv"), "x.csv takes one answer, and these are 2"),
        (("select 1", "-f", __file__), "not both"),
    ],
    ids=["parquet", "unknown", "table", "two", "both"],
)
def test_options_that_do_not_go_together_are_named(ask: Ask, arguments: tuple[str, ...], told: str) -> None:
    answer = ask(*arguments)
    assert answer.exit_code in (1, 2)
    assert told in answer.stderr


ROWS_WITHOUT_END = "select a.range from range(100000000000) as a"
FILES = ("csv", "json", "parquet")


# As a table it shows the first hundred rows, and ends.
@pytest.mark.parametrize(
    ("query", "form"),
    [(ENDLESS, "table"), *((ENDLESS, form) for form in FILES), *((ROWS_WITHOUT_END, form) for form in FILES)],
    ids=["sum-table", *(f"sum-{form}" for form in FILES), *(f"rows-{form}" for form in FILES)],
)
def test_a_query_that_would_not_end_is_stopped(ask: Ask, tmp_path: Path, form: str, query: str) -> None:
    out = [] if form == "table" else ["-o", tmp_path / f"x.{form}"]
    begun = time.monotonic()
    answer = ask(query, "--timeout", 0.2, *out)
    assert time.monotonic() - begun < 10
    assert answer.exit_code == 1
    assert "stopped after 0.2 s; --timeout gives a query more time" in answer.stderr
    assert list(tmp_path.iterdir()) == [], "no half of an answer"


def test_where_nothing_is_published_it_says_what_to_do(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "get_settings", lambda: Settings(home=tmp_path))
    answer = ask("select 1")
    assert answer.exit_code == 1
    assert f"nothing has been published to {tmp_path}/published yet: start `make dev`" in answer.stderr


@pytest.mark.integration
def test_a_prompt_answers_until_it_is_left_and_remembers(home: Path) -> None:
    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "streaming_assets.cli", "sql"]
    environment = os.environ | {"STREAMING_ASSETS_HOME": str(home), "TERM": "dumb"}
    with subprocess.Popen(command, stdin=end, stdout=end, stderr=end, env=environment) as process:
        try:
            os.close(end)
            shown = _until(terminal, "sql> ")
            assert "snapshot 1, data up to 2025-03-04 00:00 UTC" in shown
            os.write(terminal, b"select 6\n")
            _until(terminal, "...> ")
            os.write(terminal, b"* 7 as answer;\n")
            assert "42" in _until(terminal, "sql> ")
            os.write(terminal, b"select nonsense;\n")
            assert "sql: Binder Error" in _until(terminal, "sql> ")
            os.write(terminal, b"\\d snapshot\n")
            assert "End of the newest ingestion hour" in _until(terminal, "sql> ")
            os.write(terminal, b"\\q\n")
            assert process.wait(20) == 0
        finally:
            process.kill()
            os.close(terminal)
    assert "* 7 as answer;" in (home / "sql_history").read_text()


def _until(terminal: int, prompt: str) -> str:
    shown = ""
    while not shown.endswith(prompt):
        shown += os.read(terminal, 65_536).decode()
    return shown
