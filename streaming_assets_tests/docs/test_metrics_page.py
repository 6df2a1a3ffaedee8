"""docs/metrics.md is what dbt's semantic layer says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from streaming_assets.dashboards.metrics import MODELS, metrics
from streaming_assets.settings import PROJECT_ROOT, declared, env_name
from streaming_assets_tests.docs.metrics_page import PAGE, page
from streaming_assets_tests.metricflow import documented
from streaming_assets_tests.published.marts import Marts


def test_the_page_is_made_of_the_definitions() -> None:
    again = "make it anew: python -m streaming_assets_tests.docs.metrics_page"
    assert PAGE.read_text() == page(), again


def test_each_metric_has_a_row_and_each_command_asks_of_them() -> None:
    listed = re.findall(r"^\| `(\w+)` \| \S.* \| `\S.*` \|$", page(), re.MULTILINE)
    assert sorted(listed) == sorted(metrics())
    for commands in documented().values():
        for command in commands:
            assert set(re.findall(r"--metrics (\S+)", command)) <= set(listed), command


def test_the_price_of_a_subscription_is_the_settings() -> None:
    said = re.findall(
        r"env_var\('(\w+)', ''\) or ([\d.]+)", (MODELS / "metrics" / "sessions.yml").read_text()
    )
    name = "subscription_price_usd"
    assert said == [(env_name(name), str(declared()[name].info.default))]


@pytest.mark.integration
def test_metricflow_answers_as_the_page_says(tmp_path: Path) -> None:
    """Its commands, word for word, in a folder that is as the repository's, with the readers' database there."""
    shutil.copytree(PROJECT_ROOT / "dbt_project", tmp_path / "dbt_project")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    marts = Marts(tmp_path / ".local")
    marts.publish()
    commands = page().partition("### Ask MetricFlow")[2].partition("```sh\n")[2].partition("```")[0]
    with marts.warehouse.exclusive(), marts.warehouse.connect():  # as while a run has the warehouse
        done = subprocess.run(
            ["bash", "-ec", commands],
            cwd=tmp_path,
            env={
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("DBT_", "STREAMING_"))
            },
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    answer = done.stdout[done.stdout.index("metric_time__week") :]
    assert [line.split() for line in answer.splitlines() if line.strip("- ")] == [
        ["metric_time__week", "active_users", "paid_users", "conversion_rate"],
        ["2025-02-24T00:00:00", "1", "0", "0"],
    ]
