"""A code location whose runs are forked, without the weight of the product's: its template is `forked_template.py`."""

import json
import os
import sys
import time
from pathlib import Path

import dagster as dg

from streaming_assets.dagster_runtime.warm_runs import fork_runs_of_code_servers

fork_runs_of_code_servers("streaming_assets_tests.dagster_runtime.forked_template")


@dg.op
def tell() -> None:
    """What the run's process is, to a file; then it waits until another is there."""
    print("said by the run")
    folder = Path(os.environ["DAGSTER_HOME"])
    parent = Path(f"/proc/{os.getppid()}/cmdline").read_text()
    told = {
        "pid": os.getpid(),
        "is_forked": "forkserver" in parent,
        "process": [dict(os.environ), os.getcwd(), sys.argv, sys.path, os.readlink("/proc/self/fd/0")],
    }
    (folder / "incoming").write_text(json.dumps(told))
    (folder / "incoming").rename(folder / "told")
    while not (folder / "until").exists():
        time.sleep(0.02)


@dg.job(executor_def=dg.in_process_executor)
def telling() -> None:
    tell()


defs = dg.Definitions(jobs=[telling])
