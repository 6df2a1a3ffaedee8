"""docs/add-a-chart.md, followed block by block on a copy of the project, and looked at in a browser."""

import gzip
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from streaming_assets.settings import PROJECT_ROOT
from streaming_assets_tests.dashboards.browsing import Visitor

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("browser")]

TEXT = (PROJECT_ROOT / "docs/add-a-chart.md").read_text()
FILES = re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```$', TEXT, re.S | re.M)
(COMMANDS,) = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.S | re.M)
PROJECT = ("streaming_assets", "dbt_project", "pyproject.toml")
SECONDS = 240


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project with the page's files in it."""
    copy = tmp_path / "project"
    copy.mkdir()
    for name in PROJECT:
        source = PROJECT_ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", "target"))
        else:
            shutil.copy(source, copy / name)
    for path, text in FILES:
        assert not (copy / path).exists(), f"{path}: the page changes a file of the project"
        (copy / path).write_text(text)
    return copy


def shell(project: Path, port: int) -> dict[str, str]:
    """The environment in which the page's commands run the copy."""
    programs = project / "bin"
    programs.mkdir()
    program = programs / "streaming-assets"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m streaming_assets.cli "$@"\n')
    program.chmod(0o755)
    return os.environ | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(project),
        "STREAMING_ASSETS_DASHBOARDS_PORT": str(port),
    }


@contextmanager
def followed(project: Path) -> Iterator[str]:
    """The address of the dashboards, which the page's last command serves."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    *first, last = COMMANDS.strip().splitlines()
    assert last == "streaming-assets dashboards"
    environment = shell(project, port)
    done = subprocess.run(
        ["sh", "-ec", "\n".join(first)],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    process = subprocess.Popen(
        ["sh", "-ec", f"{first[0]}\nexec {last}"], cwd=project, env=environment, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5).json()["status"] == "ready"
                break
            except requests.ConnectionError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.3)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def listens(project: Path) -> Iterator[tuple[int, str]]:
    """Hour of the day and state of each listen in the lake, read as plain JSON."""
    for path in (project / ".local/chart/lake/raw/listen_events").rglob("*.gz"):
        for line in gzip.decompress(path.read_bytes()).splitlines():
            event = json.loads(line)["value"]
            yield datetime.fromtimestamp(event["ts"] / 1000, UTC).hour, event["state"]


def shown(page: Page) -> dict[int, int]:
    """The rows of the chart's table."""
    rows = page.locator("#hours tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    )
    return {int(hour[:2]): int(count.replace(",", "")) for hour, count in rows}


def test_the_page_adds_a_chart(project: Path, visitor: Visitor) -> None:
    assert [path.rpartition("/")[2] for path, _ in FILES] == [
        "mart_daily_hour_streams.sql",
        "mart_daily_hour_streams.yml",
        "hours.py",
    ]
    with followed(project) as url:
        counted = [*listens(project)]
        page = visitor.open(f"{url}/music")
        expect(page.locator("#hours h2")).to_have_text("Plays by hour of the day")
        by_hour = Counter(hour for hour, _ in counted)
        assert shown(page) == {hour: by_hour[hour] for hour in range(24)}
        bars = page.locator("#hours-chart .recharts-bar-rectangle path")
        expect(bars).to_have_count(sum(count > 0 for count in by_hour.values()))
        # It is below the others, and a click on the map filters it as it does them.
        tops = page.evaluate(
            "['songs', 'hours'].map(id => document.getElementById(id).getBoundingClientRect().top)"
        )
        assert tops[0] < tops[1]
        (state, _), *_ = Counter(state for _, state in counted).most_common(1)
        page.locator(f".state:text-is('{state}')").click()
        expect(page.locator("#hours-detail")).not_to_contain_text("all states")
        of_state = Counter(hour for hour, code in counted if code == state)
        assert shown(page) == {hour: of_state[hour] for hour in range(24)}
        answer = requests.get(f"{url}/download/hours.csv?state={state}", timeout=30)
        assert answer.text.splitlines() == [
            "hour_utc,streams",
            *(f"{hour},{of_state[hour]}" for hour in range(24)),
        ]
