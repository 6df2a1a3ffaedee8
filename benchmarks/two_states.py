"""Is a week's backfill slower than it was? Two commits of this project in turns, over the same lake.

    python benchmarks/two_states.py FOLDER BEFORE [--users 5000] [--days 7] [--rounds 3]

Clones this repository twice into FOLDER, at BEFORE and at HEAD, and installs each. HEAD's simulator writes the lake;
then `streaming-assets backfill` runs over a copy of it in a new home, by one commit and the other in turns. Prints, as
JSON, each run's CPU time, s, wall time, s, and peak memory, MB, and the ratio of HEAD's sums to BEFORE's.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
START = datetime(2026, 1, 5, tzinfo=UTC)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="for clones, lake and homes")
    parser.add_argument("before", help="commit to compare HEAD with")
    parser.add_argument("--users", type=int, default=5000, help="of the simulated site (default 5000)")
    parser.add_argument("--days", type=int, default=7, help="of history (default 7)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each commit (default 3)")
    options = parser.parse_args()
    folder = options.folder.absolute()
    states = {
        name: _installed(folder / name, at) for name, at in (("before", options.before), ("now", "HEAD"))
    }
    span = [f"{at:%Y-%m-%dT%H:%MZ}" for at in (START, START + timedelta(days=options.days))]
    lake = folder / f"lake-{options.users}-{options.days}"
    if not lake.exists():
        written = ["simulate", "--to", "lake", "--users", str(options.users), "--output", str(lake)]
        _run(states["now"], folder, [*written, "--start", span[0], "--end", span[1], "--seed", "1"])
    sums = dict.fromkeys(states, 0.0)
    for number in range(options.rounds):
        for name in list(states)[:: -1 if number % 2 else 1]:
            with tempfile.TemporaryDirectory(dir=folder) as home:
                shutil.copytree(lake, Path(home) / "lake")
                measured = _run(states[name], Path(home), ["backfill", *span])
            sums[name] += measured["cpu_s"]
            print(json.dumps({"state": name} | measured), flush=True)
    print(json.dumps({"cpu, now / before": round(sums["now"] / sums["before"], 2)}))


def _installed(clone: Path, commit: str) -> Path:
    if not clone.exists():
        subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(clone)], check=True)
    at = subprocess.run(
        ["git", "-C", str(REPOSITORY), "rev-parse", commit], check=True, capture_output=True, text=True
    )
    subprocess.run(["git", "-C", str(clone), "fetch", "--quiet"], check=True)
    subprocess.run(["git", "-C", str(clone), "checkout", "--quiet", at.stdout.strip()], check=True)
    subprocess.run(["make", "--silent", "install"], cwd=clone, check=True, stdout=sys.stderr)
    return clone


def _run(state: Path, home: Path, command: list[str]) -> dict[str, float]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STREAMING_ASSETS_")}
    settings = {"STREAMING_ASSETS_HOME": str(home), "STREAMING_ASSETS_FIRST_HOUR": START.isoformat()}
    begun = time.monotonic()
    process = subprocess.Popen(
        [state / ".venv" / "bin" / "streaming-assets", *command],
        cwd=state,
        env=kept | settings | {"PYTHONDONTWRITEBYTECODE": ""},
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{state.name}: {' '.join(command)} ended with {process.returncode}")
    return {
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "wall_s": round(time.monotonic() - begun, 1),
        "peak_mb": round(used.ru_maxrss / 1024),
    }


if __name__ == "__main__":
    main()
