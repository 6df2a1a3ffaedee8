"""What of a service's output reaches the console, and what its file keeps."""

import json
import logging
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streaming_assets.local import journal
from streaming_assets.local.journal import Journal, Notices
from streaming_assets.log_lines import JsonLines

NOW = datetime(2025, 3, 1, 12, 0, 5)

SILENT = [
    "is up",
    "2025-03-01 12:00:00,028 INFO sink: 53 records, 0 lost, no ERROR in it",
    "2025-03-01 12:00:00 +0000 - dagster - INFO - hourly - 90acd10d - dbt: hours",
    "2025-03-01 12:00:00 +0000 - dagster - DEBUG - hourly - 90acd10d - STEP_START",
    "site-packages/click/core.py:907: SupersessionWarning: use another",
    "Traceback (most recent call last):",
    "",
]
SHOWN = {
    "2025-03-01 12:00:00,028 ERROR sink: can't write the lake": "sink: can't write the lake",
    "2025-03-01 12:00:00 +0000 - dagster - ERROR - hourly - 90acd10d-ea05-4428-9fe9-2b377cd0e5b4 - STEP_FAILURE": (
        "hourly - 90acd10d - STEP_FAILURE"
    ),
    "2025-03-01 12:00:00 +0000 - dagster.daemon.SensorDaemon - WARNING - no heartbeat": "no heartbeat",
    "CRITICAL: out of memory": "out of memory",
    "\x1b[31mERROR: red\x1b[0m": "red",
}


@pytest.fixture
def one(tmp_path: Path):
    found = Journal(tmp_path / "logs", "sink")
    yield found
    found.close()


@pytest.mark.parametrize("line", SILENT)
def test_what_is_no_warning_is_not_shown(one: Journal, line: str) -> None:
    assert one.add(line + "\n", NOW) == []


@pytest.mark.parametrize(("line", "shown"), SHOWN.items())
def test_a_warning_is_shown_without_time_and_level(one: Journal, line: str, shown: str) -> None:
    assert one.add(line + "\n", NOW) == [shown]


def test_the_file_has_every_line_with_a_time(one: Journal) -> None:
    for line in [
        "is up",
        "2025-03-01 12:00:00,028 INFO sink: 1 record",
        "",
        "\x1b[31mred\x1b[0m",
        "caf\u00e9",
    ]:
        one.add(line + "\n", NOW)
    assert one.path.read_text(encoding="utf-8").splitlines() == [
        "2025-03-01 12:00:05 is up",
        "2025-03-01 12:00:00,028 INFO sink: 1 record",
        "2025-03-01 12:00:05 red",
        "2025-03-01 12:00:05 caf\u00e9",
    ]


def test_as_json_each_line_is_an_object_and_one_that_is_stays(tmp_path: Path) -> None:
    own = JsonLines("sink").format(
        logging.makeLogRecord({"msg": "no %s", "args": ("room",), "levelname": "ERROR"})
    )
    one = Journal(tmp_path, "sink", as_json=True)
    shown = [one.add(f"{line}\n", NOW) for line in ("is up", "WARNING: late", own, '{"other": 1}', "")]
    one.close()
    assert shown == [[], ["late"], ["no room"], [], []], "the console stays as it is"
    lines = [json.loads(line) for line in one.path.read_text().splitlines()]
    assert [(line["level"], line["source"], line["message"]) for line in lines] == [
        ("INFO", "sink", "is up"),
        ("WARNING", "sink", "WARNING: late"),
        ("ERROR", "sink", "no room"),
        ("INFO", "sink", '{"other": 1}'),
    ]
    times = [datetime.fromisoformat(line["time"]) for line in lines]
    assert times[0] == NOW.astimezone(UTC)
    assert all(time.utcoffset() == timedelta(0) for time in times)


def test_a_trace_is_no_line_of_its_own() -> None:
    try:
        raise OSError("no room")
    except OSError:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "can't write", None, sys.exc_info())
    text = JsonLines("sink").format(record)
    assert "\n" not in text
    assert json.loads(text)["error"].endswith("OSError: no room")


def test_its_files_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "FILE_BYTES", 2000)
    one = Journal(tmp_path, "dagster")
    for number in range(1000):
        one.add(f"line {number}\n", NOW)
    one.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["dagster.log", *(f"dagster.log.{n}" for n in (1, 2, 3))]
    assert all(file.stat().st_size <= 2000 for file in files)
    assert list(one.last)[-1] == "line 999"
    assert len(one.last) == journal.LAST_LINES


def test_of_many_warnings_a_few_a_minute_are_shown_and_the_others_counted() -> None:
    notices = Notices()
    first = [notices.take(f"ERROR: {number}", NOW + timedelta(seconds=number)) for number in range(20)]
    assert [text for told in first for text in told] == ["0", "1", "2", "3", "4"]
    assert notices.take("fine", NOW + timedelta(seconds=61)) == []
    assert notices.take("ERROR: 20", NOW + timedelta(seconds=62)) == ["15 more warnings and errors", "20"]


def test_a_long_one_is_cut(one: Journal) -> None:
    (shown,) = one.add("ERROR: " + "x" * 100_000, NOW)
    assert len(shown) == journal.SHOWN_CHARACTERS
