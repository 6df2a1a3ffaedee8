"""The benchmarks of `make bench`: each is run, its figures go to results/ as JSON, and these to docs/benchmarks.md.

    python benchmarks/suite.py [--folder FOLDER] [NAME ...]

NAMES choose some of them; what the others gave before stays. FOLDER keeps the lakes that some make (.local/bench).
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pictures

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
FOLDER = "FOLDER"  # in a command: a folder of its own that is kept


@dataclass(frozen=True)
class Bench:
    """A benchmark: what it measures, its program with arguments, below benchmarks/, and the picture of its figures."""

    title: str
    command: str
    picture: Callable[[Any, Any], None] | None = None


BENCHES = {
    "quick": Bench("CPU against what must be done at least", "quick.py"),
    "freshness": Bench("From an object that lands to its rows", "freshness.py", pictures.ages),
    "run_start": Bench("From the launch of an hour's run to its success", "run_start.py"),
    "event_log": Bench("Dagster's event log", "event_log.py"),
    "dagster_runtime": Bench("Dagster's own pieces and those in their place", "dagster_runtime.py"),
    "flat_cost": Bench(
        "An hour's cost behind a day, a month and a year", f"flat_cost.py {FOLDER}", pictures.against_history
    ),
    "backfill": Bench(
        "A backfill of four weeks of 100,000 users",
        f"backfill.py {FOLDER} --days 28",
        pictures.parts_of_backfill,
    ),
    "small_objects": Bench("Many small objects", f"small_objects.py {FOLDER}"),
    "year_backfill": Bench("A year of hours", f"backfill.py {FOLDER} --users 60 --days 365"),
    "hour_run": Bench("A run of an hour behind a day and a year", "hour_run.py .local/bench/year_backfill"),
}

HEAD = """# Benchmarks

<!-- Made by `make bench` of benchmarks/results/*.json. -->

Each with its command, its day, and the load average of the machine as it began and ended. On a machine that does other
things, trust ratios and CPU seconds. What is measured by hand, with what it came to, is in
[benchmarks/README.md](../benchmarks/README.md).
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--folder", type=Path, default=ROOT / ".local" / "bench", help="(default .local/bench)"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}")
    options = parser.parse_args()
    if unknown := set(options.names) - BENCHES.keys():
        parser.error(f"no benchmark: {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    failed = []
    for name in options.names or BENCHES:
        print(f"== {name}", file=sys.stderr, flush=True)
        result = run(BENCHES[name], options.folder / name)
        if result["status"]:
            failed.append(name)
            continue
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
        if picture := BENCHES[name].picture:
            pictures.draw(picture, result["figures"], _picture(name))
        PAGE.write_text(page())
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def run(bench: Bench, folder: Path) -> dict[str, Any]:
    """Run one; what it printed, as JSON where it is JSON, and when, where and how."""
    program, *arguments = bench.command.split()
    folder.mkdir(parents=True, exist_ok=True)
    command = (
        str(Path("benchmarks", program)),
        *(str(folder) if word == FOLDER else word for word in arguments),
    )
    begun, load = time.monotonic(), os.getloadavg()[0]
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    try:
        figures = json.loads(done.stdout)
    except ValueError:
        figures = done.stdout
    return {
        "command": f"python benchmarks/{bench.command}",
        "day": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
        "s": round(time.monotonic() - begun),
        "status": done.returncode,
        "figures": figures,
    }


def page() -> str:
    """docs/benchmarks.md of all results that there are."""
    parts = [HEAD]
    for name, bench in BENCHES.items():
        file = RESULTS / f"{name}.json"
        if file.exists():
            result = json.loads(file.read_text())
            load = "load {:g} to {:g}".format(*result["load"])
            said = f"`{result['command']}`, {result['day']}, {result['machine']}, {load}, {result['s']} s."
            seen = f"![{bench.title}](images/{_picture(name).name})\n\n" if _picture(name).exists() else ""
            parts.append(f"## {bench.title}\n\n{said}\n\n{seen}{_shown(result['figures'])}\n")
    return "\n".join(parts)


def _picture(name: str) -> Path:
    return PAGE.parent / "images" / f"bench-{name}.svg"


def _shown(figures: Any) -> str:
    """Figures as a table, a row for each that stands alone; what was printed as text, as it was."""
    if isinstance(figures, str):
        return figures.strip() if figures.lstrip().startswith("|") else f"```\n{figures.strip()}\n```"
    rows = [f"| {name} | {value:g} |" for name, value in _flat(figures)]
    return "\n".join(["| | |", "|---|---|", *rows])


def _flat(figures: dict[str, Any], above: str = "") -> list[tuple[str, float]]:
    """Numbers with their names; lists of them are for pictures."""
    found = []
    for name, value in figures.items():
        if isinstance(value, dict):
            found += _flat(value, f"{above}{name}: ")
        elif not isinstance(value, list):
            found.append((above + name, value))
    return found


if __name__ == "__main__":
    main()
