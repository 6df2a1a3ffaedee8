"""`streaming-assets notebook`: the worked example runs where there is nothing, too, and edits stay.

Its numbers are held to SQL on a week of real events in `properties/test_sample.py`.
"""

import importlib.util
import os
import runpy
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from streaming_assets.cli import app
from streaming_assets.ingestion.kafka_local.processes import free_port
from streaming_assets.published.notebook import EXAMPLE
from streaming_assets_tests.published.marts import REVENUE, Marts

Run = Callable[[Path], tuple[str, dict[str, Any]]]
MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the notebook for a home; gives what it shows and what its cells define."""

    def run_(home: Path) -> tuple[str, dict[str, Any]]:
        monkeypatch.setenv("STREAMING_ASSETS_HOME", str(home))
        outputs, defined = runpy.run_path(str(EXAMPLE))["app"].run()
        return "\n".join(str(getattr(output, "text", output)) for output in outputs), dict(defined)

    return run_


def test_where_nothing_is_published_it_says_what_to_do(run: Run, tmp_path: Path) -> None:
    shown, defined = run(tmp_path)
    assert f"nothing has been published to {tmp_path}/published yet: start `make dev`" in shown
    assert "plays" not in defined


def test_an_empty_warehouse_says_what_to_do(run: Run, tmp_path: Path) -> None:
    marts = Marts(tmp_path)
    marts.run("delete from fact_listen_events")
    marts.publish()
    shown, defined = run(tmp_path)
    assert "There are no listens yet: start `make dev`" in shown
    assert "plays" not in defined


def test_names_with_markup_are_text(run: Run, tmp_path: Path) -> None:
    marts = Marts(tmp_path)
    marts.run(
        f"update dim_songs set title = '{MARKUP}'; update dim_locations set state = '{MARKUP}';"
        "update lake_objects set bucket_ingestion_datetime = '2025-03-02 23:00'"
    )
    marts.publish()
    shown, defined = run(tmp_path)
    assert list(defined["plays"].itertuples(index=False, name=None)) == [(MARKUP, 1, 1, MARKUP)]
    assert list(defined["by_state"].data[0].y) == ["&lt;img src=x onerror=alert(1)&gt;"]
    assert MARKUP not in shown


def test_retention_is_told_of_whole_weeks(run: Run, tmp_path: Path) -> None:
    marts = Marts(tmp_path)
    seen = [
        *((1, day) for day in ("2025-02-10", "2025-02-17")),
        *((2, day) for day in ("2025-02-10", "2025-02-24")),
        *((3, day) for day in ("2025-02-23", "2025-03-03")),
    ]
    marts.run(f"""
        create temp table seen as from (values {", ".join(map(str, seen))}) as t (user_id, day);
        create temp table one as from fact_session_events limit 1;
        delete from {REVENUE};
        insert into {REVENUE} select distinct day::date, 1, 0.1 from seen;
        delete from fact_session_events;
        insert into fact_session_events by name
            select one.* replace (
                seen.user_id as user_id, seen.user_id as session_id, seen.day::timestamp as session_start_datetime
            )
            from one cross join seen
    """)
    assert not marts.publish().refused
    _, defined = run(tmp_path)
    triangle = defined["triangle"].data[0]
    assert list(triangle.y) == ["2025-02-10", "2025-02-17"]
    assert list(triangle.x) == ["0", "1", "2"]
    assert [[None if share != share else share for share in row] for row in triangle.z] == [
        [1, 0.5, 0.5],
        [1, None, None],
    ]


def test_without_marimo_it_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "marimo" else find(name))
    told = CliRunner().invoke(app, ["notebook", str(tmp_path / "mine.py")])
    assert (told.exit_code, told.stdout) == (1, "")
    assert told.stderr == "notebook: marimo is not installed: pip install 'marimo>=0.25,<0.26'\n"
    assert list(tmp_path.iterdir()) == []


def test_a_copy_is_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, command: started.append(command))
    mine = tmp_path / "notebooks" / "mine.py"
    assert CliRunner().invoke(app, ["notebook", str(mine)]).exit_code == 0
    assert mine.read_bytes() == EXAMPLE.read_bytes()
    mine.write_text("# mine")
    assert CliRunner().invoke(app, ["notebook", str(mine)]).exit_code == 0
    assert mine.read_text() == "# mine"
    assert [command[-1] for command in started] == [str(mine)] * 2


@pytest.mark.integration
def test_it_is_served_to_whoever_has_the_token(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "streaming_assets.cli", "notebook", f"--port={port}", "--no-browser"]
    environment = os.environ | {"STREAMING_ASSETS_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    with (
        open(tmp_path / "log", "w") as log,
        subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log, env=environment) as server,
    ):
        try:
            _answers(f"http://127.0.0.1:{port}/health", server)
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status")
        finally:
            server.terminate()
            server.wait(20)
    assert (tmp_path / "notebooks" / "questions.py").read_bytes() == EXAMPLE.read_bytes()
    assert "access_token=" in (tmp_path / "log").read_text()


def _answers(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert server.poll() is None
        try:
            assert urllib.request.urlopen(url).status == 200
            return
        except urllib.error.URLError:
            time.sleep(0.1)
    pytest.fail(f"{url} does not answer")
