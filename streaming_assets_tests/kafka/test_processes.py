"""Processes that outlive their starter: recognised, stopped, never confused."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from streaming_assets.ingestion.kafka_local import KafkaLocalError, processes
from streaming_assets.ingestion.kafka_local.processes import ProcessMark

SLEEP = "import sys, time; print('up', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP


class Starter:
    def __init__(self, folder: Path) -> None:
        self.log = folder / "logs" / "process.log"
        self.marks: list[ProcessMark] = []

    def __call__(self, code: str, **environment: str) -> ProcessMark:
        self.marks.append(processes.spawn([sys.executable, "-c", code], self.log, environment))
        return self.marks[-1]

    def says(self, text: str) -> bool:
        return text in self.log.read_text()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    starter = Starter(tmp_path)
    yield starter
    for mark in starter.marks:
        processes.stop(mark, 0.2)


def test_a_process_is_seen_by_others_until_it_is_stopped(start: Starter) -> None:
    mark = start(SLEEP)
    look = (
        "import sys; from streaming_assets.ingestion.kafka_local.processes import *; "
        f"print(is_running(ProcessMark({mark.pid}, {mark.started!r})))"
    )
    seen = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout

    processes.stop(mark, 5)

    assert seen == "True\n"
    assert not processes.is_running(mark)


def test_another_process_of_the_same_id_is_neither_taken_for_it_nor_stopped(start: Starter) -> None:
    mark = start(SLEEP)
    earlier = replace(mark, started="0")

    processes.stop(earlier, 5)

    assert not processes.is_running(earlier)
    assert processes.is_running(mark)


def test_one_that_ignores_the_request_is_killed(start: Starter) -> None:
    mark = start(STUBBORN)
    assert processes.wait_until(lambda: start.says("up"), 10)

    processes.stop(mark, 0.3)

    assert not processes.is_running(mark)


def test_output_goes_to_the_log_and_the_environment_is_added(start: Starter) -> None:
    start("import os; print(os.environ['GREETING'], 'PATH' in os.environ)", GREETING="hello")

    assert processes.wait_until(lambda: start.says("hello True"), 10)


def test_one_that_ends_while_it_starts_is_told_with_its_last_words(start: Starter) -> None:
    mark = start("raise SystemExit('the port is taken')")

    with pytest.raises(
        KafkaLocalError, match=r"(?s)thing ended while it started; .*process\.log:\nthe port is taken"
    ):
        processes.wait_ready("thing", mark, lambda: False, start.log, 10)


def test_one_that_is_not_ready_in_time_is_told(start: Starter) -> None:
    with pytest.raises(KafkaLocalError, match="thing was not ready within 0 s"):
        processes.wait_ready("thing", start(SLEEP), lambda: False, start.log, 0.2)


def test_a_wanted_port_is_given_if_it_is_free() -> None:
    free = processes.free_port()
    assert processes.free_port(free) == free

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert processes.free_port(taken.getsockname()[1]) != taken.getsockname()[1]
