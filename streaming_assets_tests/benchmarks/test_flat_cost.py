"""`make bench` to its end, on hours instead of days, months and years."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from streaming_assets.settings import PROJECT_ROOT

# In a process of its own: of several executors in one, only the last made works.
SMALL = """
import runpy, sys
from datetime import timedelta
from pathlib import Path
benchmark = runpy.run_path(sys.argv[1])["main"]
lengths = {"1 day": 1, "1 month": 2, "1 year": 3}
histories = {name: timedelta(hours=hours) for name, hours in lengths.items()}
benchmark.__globals__.update(HISTORIES=histories, USERS=300, ROUNDS=2)
benchmark(Path(sys.argv[2]))
"""


@pytest.mark.integration
def test_it_tells_the_cost_and_the_rows_read_behind_each_history(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SMALL, str(PROJECT_ROOT / "benchmarks" / "flat_cost.py"), str(tmp_path)],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = dict(re.findall(r"^\| (\w[\w /]*) \| (.*) \|$", done.stdout, re.M))
    for history in ("1 day", "1 month", "1 year"):
        *_, together = (float(cell.replace(",", "")) for cell in rows[history].split(" | "))
        assert together > 0, "CPU ms"
    *_, ratio = rows["1 year / 1 day"].split(" | ")
    assert float(ratio) > 0
    day, _, year, stored = (int(cell.replace(",", "")) for cell in rows["stg_listen_events"].split(" | "))
    assert 0 < day < year, "a row group is read whole, and these histories are in one"
    assert stored > 0
    assert {"dim_users", "fact_session_events", "lake_objects", "mart_daily_streams"} <= set(rows)
