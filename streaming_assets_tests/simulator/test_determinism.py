"""The same seed gives the same bytes: on any number of processes, in any windows, stopped and continued."""

from functools import partial
from pathlib import Path
from threading import Event

import pytest

from streaming_assets.events import TOPICS
from streaming_assets.simulator import run as run_module
from streaming_assets.simulator.catalogue import CatalogueError, Files
from streaming_assets.simulator.processes import ProcessDied, SeveralProcesses, Source, open_source
from streaming_assets.simulator.run import Span, batches
from streaming_assets.simulator.writers import WriteError
from streaming_assets.simulator.writers.files import FilesWriter
from streaming_assets_tests.simulator.runs import START, WEEK, Output, plan, run

PLAN = plan(users=400, growth=8.0, attrition=0.5, seed=21)


@pytest.fixture(scope="module")
def whole() -> Output:
    return run(PLAN)


def test_again(whole: Output) -> None:
    assert run(PLAN).lines == whole.lines
    assert all(whole.lines[topic] for topic in TOPICS)


def test_other_seed(whole: Output) -> None:
    assert run(plan(users=400, growth=8.0, attrition=0.5, seed=22)).lines != whole.lines


def test_on_three_processes(whole: Output) -> None:
    assert run(PLAN, processes=3).lines == whole.lines


def test_in_other_windows(whole: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "STEPS_PER_WINDOW", 37)
    assert run(PLAN).lines == whole.lines


def test_stopped_and_continued(whole: Output) -> None:
    halt = START + WEEK // 3
    before, after = run(PLAN, length=WEEK // 3), run(PLAN, deliver_from=halt)
    assert {topic: before.lines[topic] + after.lines[topic] for topic in TOPICS} == whole.lines


def test_users_are_the_same_on_a_larger_site(whole: Output) -> None:
    larger = run(plan(users=500, seed=21), topics=["user_info"]).events("user_info")
    mine = run(plan(users=400, seed=21), topics=["user_info"]).events("user_info")
    assert mine
    assert [event for event in larger if event["userId"] <= 400] == mine


def test_a_process_that_dies_is_an_error() -> None:
    source = SeveralProcesses(PLAN, TOPICS, "", 2, None)
    try:
        source.ask(PLAN.start_second, render=True)
        source.receive()
        source.workers[1].kill()
        source.workers[1].join()
        with pytest.raises(ProcessDied):
            _ask_and_receive(source, PLAN.start_second + 1)
    finally:
        source.close()
    assert not any(worker.is_alive() for worker in source.workers)


def _ask_and_receive(source: Source, until: int) -> None:
    source.ask(until, render=True)
    source.receive()


def test_a_fault_in_a_process_is_told(tmp_path: Path) -> None:
    songs = tmp_path / "songs.tsv"
    songs.write_text("no songs")
    source = open_source(plan(files=Files(songs=songs)), TOPICS, "", 2)
    try:
        source.ask(PLAN.start_second, render=True)
        with pytest.raises(CatalogueError, match="row 1"):
            source.receive()
    finally:
        source.close()


class FullDisk(FilesWriter):
    """A writer that can't write."""

    def write(self, lines: object) -> None:
        raise WriteError("the disk is full")


def test_a_writer_s_fault_in_a_process_is_told(tmp_path: Path) -> None:
    source = SeveralProcesses(PLAN, TOPICS, "", 2, partial(FullDisk, tmp_path, (), append=True, daily=False))
    try:
        source.ask(PLAN.start_second, render=True)
        source.ask(PLAN.start_second + 1, render=True)
        with pytest.raises(WriteError, match="the disk is full"):
            source.receive()
    finally:
        source.close()


def test_what_processes_have_written_at_a_stop_is_what_was_received(tmp_path: Path) -> None:
    writer = FilesWriter(tmp_path, TOPICS, append=False, daily=False)
    source = open_source(PLAN, TOPICS, writer.line_end, 2, writer.deputy)
    stop, reached, count = Event(), 0, 0
    try:
        span = Span(PLAN.start_second, PLAN.start_second, None, real_time=False)
        for number, batch in enumerate(batches(source, span, stop)):
            reached, count = batch.until, count + sum(batch.counts.values())
            if number == 6:
                stop.set()
    finally:
        source.close()
    lines = {topic: (tmp_path / f"{topic}.json").read_bytes().splitlines() for topic in TOPICS}
    assert lines == run(PLAN, length=(reached - PLAN.start_second) * 1000).lines
    assert count == sum(len(part) for part in lines.values()) > 0
