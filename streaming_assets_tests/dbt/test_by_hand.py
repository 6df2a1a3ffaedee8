"""dbt as a person runs it in the project's folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from streaming_assets.settings import PROJECT_ROOT


@pytest.mark.integration
def test_all_that_dbt_writes_is_under_the_local_folder(tmp_path: Path) -> None:
    project = tmp_path / "dbt_project"
    shutil.copytree(PROJECT_ROOT / "dbt_project", project)
    before = sorted(project.rglob("*"))
    ours = ("DBT_", "STREAMING_ASSETS_")
    done = subprocess.run(
        [sys.executable, "-m", "dbt.cli.main", "parse"],
        env={name: value for name, value in os.environ.items() if not name.startswith(ours)},
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(project.rglob("*")) == before
    assert {path.name for path in tmp_path.iterdir()} == {"dbt_project", ".local"}
    assert (tmp_path / ".local/dbt/logs/dbt.log").exists()
