"""The ordinary commands of dg and dagster from the root, with nothing set, as docs/operations.md has them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from streaming_assets.settings import PROJECT_ROOT

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("by_hand")]

MODULE = {"DAGSTER_MODULE_NAME": "streaming_assets.definitions"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of the commands' own: the project is parsed once for all."""
    return tmp_path_factory.mktemp("by_hand")


@pytest.mark.parametrize(
    ("command", "more", "told"),
    [
        ("dg check defs", {}, "All definitions loaded successfully"),
        ("dg list defs", {}, "core/fact_listen_events"),
        ("dg launch --assets reference/songs", {}, "RUN_SUCCESS"),
        ("dagster definitions validate", {}, "All code locations passed validation"),
        ("dagster job list", {}, "Job: hourly"),
        ("dagster asset list --select group:core", MODULE, "core/dim_users"),
        ("dagster asset materialize --select reference/songs", MODULE, "RUN_SUCCESS"),
    ],
)
def test_a_command_works(home: Path, command: str, more: dict[str, str], told: str) -> None:
    done = run(home, command, more)
    assert done.returncode == 0, done.stdout + done.stderr
    assert told in done.stdout + done.stderr
    assert "PreviewWarning" not in done.stderr
    assert "BetaWarning" not in done.stderr


def test_a_model_of_an_hour_that_was_never_taken_in_says_what_to_do(home: Path) -> None:
    done = run(home, "dg launch --assets core/dim_users --partition 2025-03-01-00:00", {})
    assert done.returncode != 0
    assert "materialise external/* of these hours first" in done.stdout + done.stderr


def run(home: Path, command: str, more: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A command line of this environment from the project's root."""
    program, *arguments = command.split()
    bin_folder = Path(sys.executable).parent
    inherited = {n: v for n, v in os.environ.items() if not n.startswith(("STREAMING_ASSETS_", "DAGSTER_"))}
    activated = {
        "VIRTUAL_ENV": str(bin_folder.parent),
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "COLUMNS": "300",
    }
    return subprocess.run(
        [str(bin_folder / program), *arguments],
        env=inherited | activated | {"STREAMING_ASSETS_HOME": str(home), "HOME": str(home)} | more,
        cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
