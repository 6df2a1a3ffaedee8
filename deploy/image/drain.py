"""Waits until no run is in progress, so that its process may be replaced. Exit code 1 if one is still there.

Usage: drain.py [SECONDS]   (how long to wait at most; default 900)
"""

import sys
import time

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

IN_PROGRESS = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]


def drain(instance: DagsterInstance, seconds: float) -> int:
    """Returns the number of runs that are still in progress when it stops waiting."""
    deadline = time.monotonic() + seconds
    while True:
        running = instance.get_runs_count(RunsFilter(statuses=IN_PROGRESS))
        if not running or time.monotonic() > deadline:
            return running
        print(
            f"{running} runs in progress; waiting for at most {deadline - time.monotonic():.0f} s", flush=True
        )
        time.sleep(min(5, seconds))


if __name__ == "__main__":
    with DagsterInstance.get() as found:
        left = drain(found, float(sys.argv[1]) if len(sys.argv) > 1 else 900)
    if left:
        sys.exit(f"{left} runs are still in progress")
    print("No run is in progress")  # release.sh waits for these words
