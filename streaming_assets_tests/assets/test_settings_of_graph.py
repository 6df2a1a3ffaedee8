"""The graph is a function of its settings: nothing of it is fixed when a module is imported."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from streaming_assets.dagster_runtime.json_console import json_console
from streaming_assets.settings import PROJECT_ROOT
from streaming_assets_tests.graph import FIRST

IMPORT_ALL = """
import pkgutil, streaming_assets

for module in pkgutil.walk_packages(streaming_assets.__path__, "streaming_assets."):
    if not module.name.endswith(("__main__", ".warm")):
        __import__(module.name)
"""


def first_partitions(defs: dg.Definitions) -> dict[str, str | None]:
    """The first partition of each asset and job that has any."""
    assets = {
        node.key.to_user_string(): node.partitions_def
        for node in defs.resolve_asset_graph().asset_nodes
        if node.partitions_def
    }
    jobs = {job.name: job.partitions_def for job in defs.resolve_all_job_defs() if job.partitions_def}
    return {name: hours.get_first_partition_key() for name, hours in (assets | jobs).items()}


def test_two_graphs_of_one_process_have_their_own_hours(make_graph: Callable) -> None:
    early = first_partitions(make_graph("early", first_hour=FIRST).defs)
    others = make_graph(
        "late", first_hour=datetime(2025, 6, 1, 7, tzinfo=UTC), log_format="json", mask_personal=True
    ).defs
    assert others.resolve_job_def("hourly").loggers == {"console": json_console}
    late = first_partitions(others)
    assert early.keys() == late.keys()
    assert {
        "hourly",
        "lake/listen_events_objects",
        "core/dim_users",
        "serving/dashboard_snapshot",
    } <= early.keys()
    assert set(early.values()) == {"2025-03-01-00:00"}
    assert set(late.values()) == {"2025-06-01-07:00"}


@pytest.mark.parametrize(
    ("code", "told"),
    [(IMPORT_ALL, ""), ("from streaming_assets.definitions import defs; defs()", "FIRST_HOUR")],
)
def test_the_environment_is_read_when_the_graph_is_asked_for_and_not_before(
    tmp_path: Path, code: str, told: str
) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("STREAMING_ASSETS_")
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=environment | {"STREAMING_ASSETS_HOME": str(tmp_path), "STREAMING_ASSETS_FIRST_HOUR": "no hour"},
        cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (done.returncode == 0) == (not told), done.stderr
    assert told in done.stderr
