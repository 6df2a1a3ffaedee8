"""Others who read the warehouse file: a run waits for them, says for whom, and succeeds."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

import dagster as dg
import duckdb
import pytest

from streaming_assets.published.analytics import DATABASE
from streaming_assets_tests.graph import Graph, failures, hour, info, listen
from streaming_assets_tests.integration.test_graph_backfill import shell

pytestmark = pytest.mark.integration

# A notebook keeps its connection until its input ends.
NOTEBOOK = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
print("reads", flush=True)
sys.stdin.read()
"""
# A page that asks again and again; two thirds of the time it has the file open.
POLLER = """
import sys, time, duckdb
while True:
    try:
        with duckdb.connect(sys.argv[1], read_only=True) as connection:
            connection.execute("select count(*) from lake_objects").fetchall()
            print("reads", flush=True)
            time.sleep(0.2)
    except duckdb.IOException:
        pass
    time.sleep(0.1)
"""
# Somebody who asks what is published, in whole snapshots: number, listens, listens of the day's mart.
ANALYST = """
import sys, time, duckdb
seen = None
print("reads", flush=True)
while True:
    with duckdb.connect(sys.argv[1], read_only=True) as connection:
        told = connection.execute('''
            select snapshot.snapshot, (select count(*) from fact_listen_events),
                   (select sum(streams)::bigint from mart_daily_song_streams where state_code = 'ALL')
            from snapshot
        ''').fetchone()
    if told != seen:
        print(*told, flush=True)
    seen = told
    time.sleep(0.1)
"""


HOURS = 168  # of a week
STEP = HOURS // 3


@contextmanager
def reader(path: Path, program: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-W", "ignore", "-c", program, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"reads\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def graph(tmp_path: Path, parsed_project: Path) -> Iterator[Graph]:
    graph = Graph(tmp_path, parsed_project)
    graph.put("user_info", hour(0), [info(hour(0), user=1)])
    for number in range(3):
        graph.put("listen_events", hour(number), [listen(hour(number), item=number)], number)
    assert graph.run(0, 1).success
    yield graph
    graph.close()


@pytest.fixture
def opened(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that this process opens, dbt included."""
    opened: list[str] = []
    connect: Callable[..., duckdb.DuckDBPyConnection] = duckdb.connect

    def counted(path: Any = ":memory:", *arguments: Any, **options: Any) -> duckdb.DuckDBPyConnection:
        connection = connect(path, *arguments, **options)
        if str(path) == str(graph.warehouse.path):
            opened.append(str(path))
        return connection

    monkeypatch.setattr(duckdb, "connect", counted)
    return opened


def seen_by(*analysts: subprocess.Popen[bytes]) -> list[list[tuple[int, ...]]]:
    """What each of them was told, one after the other; they end."""
    time.sleep(0.5)
    told = []
    for analyst in analysts:
        assert analyst.poll() is None, "it had an error"
        analyst.kill()
        assert analyst.stdout is not None
        told.append([tuple(map(int, line.split())) for line in analyst.stdout.read().decode().splitlines()])
    return told


def said(graph: Graph, result: dg.ExecuteInProcessResult) -> list[str]:
    """What the run's log has besides Dagster's own events."""
    records = graph.instance.all_logs(result.run_id)
    return [record.user_message for record in records if not record.is_dagster_event]


def test_a_run_waits_for_a_notebook_and_says_so(graph: Graph) -> None:
    with reader(graph.warehouse.path, NOTEBOOK) as notebook:
        assert notebook.stdin is not None
        Timer(4, notebook.stdin.close).start()
        result = graph.run(1, 2)
        assert result.success, failures(result)
    waiting, going_on = [line for line in said(graph, result) if str(graph.warehouse.path) in line]
    assert f"is in use: process {notebook.pid} ({sys.executable} " in waiting
    assert "Waiting until it is free: 1 s of at most " in waiting
    assert "is free after " in going_on
    assert graph.rows("select count(*) from fact_listen_events") == [(2,)]


def test_a_run_opens_the_file_once_a_step(graph: Graph, opened: list[str]) -> None:
    """So it has to wait for others that often at most; in between nobody gets in."""
    result = graph.run(1, 3)
    assert result.success, failures(result)
    steps = {event.step_key for event in result.all_events if event.is_step_success}
    assert 0 < len(opened) <= len(steps) + 4, (
        "each of two dbt commands opens it twice, while its step holds it"
    )


def test_polling_readers_do_not_stop_a_run(graph: Graph) -> None:
    """Neither of the warehouse file nor of what is published; of that they see whole snapshots alone."""
    known = {1: 1}  # listens by snapshot
    with reader(graph.settings.published_dir / DATABASE, ANALYST) as analyst:
        with reader(graph.warehouse.path, POLLER):
            begun = time.monotonic()
            results = [graph.run(1, 2)]
            took = time.monotonic() - begun
        known[2] = 2
        results.append(graph.run(0, 3))
        known[3] = 3
        for result in results:
            assert result.success, failures(result)
        seen = seen_by(analyst)
    assert seen == [[(snapshot, listens, listens) for snapshot, listens in known.items()]]
    print(f"a run with a poller beside it: {took:.1f} s")


def test_a_week_is_backfilled_while_analysts_read(graph: Graph) -> None:
    """In three runs; each count that they see is one of a snapshot's, from the first snapshot to the last."""
    for number in range(3, HOURS):
        graph.put("listen_events", hour(number), [listen(hour(number), item=number)], number)
    with ExitStack() as stack:
        database = graph.settings.published_dir / DATABASE
        analysts = [stack.enter_context(reader(database, ANALYST)) for _ in range(2)]
        span = (hour(0).isoformat(), hour(HOURS).isoformat())
        done = shell(graph, "backfill", *span, STREAMING_ASSETS_HOURS_PER_STEP=str(STEP))
        assert done.exit_code == 0, done.output
        assert graph.rows("select count(*) from fact_listen_events") == [(HOURS,)]
        known = [(1, 1), *enumerate(range(STEP, HOURS + 1, STEP), 2)]
        assert seen_by(*analysts) == [[(number, listens, listens) for number, listens in known]] * 2
