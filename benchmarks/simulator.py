"""Speed and memory of the simulator: events a second and a CPU second, by users and destination.

Usage: python benchmarks/simulator.py [--users N ...] [--to null files lake kafka real-time ...] [--processes N ...]

Each case runs in a process of its own; of several repetitions the one with most records a second is printed. Rates are
JSON records (all six topics) after start-up, unless they say otherwise; CPU seconds are user and system time of all
processes of the simulator, and of several processes they include the start-up. `null` renders the lines and drops them.
`kafka` needs a broker by the settings. `real-time` measures the share of a core that keeping up with the clock takes.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Event

BEGAN = time.perf_counter()
RECORDS = 3_000_000  # each case is as long as it takes to write about so many
RECORDS_A_USER_SECOND = 1 / 16_000  # of the default configuration, roughly
REAL_TIME_SECONDS = 30


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, nargs="+", default=[1_000, 100_000, 800_000])
    parser.add_argument("--to", nargs="+", default=["null", "files", "lake"])
    parser.add_argument("--processes", type=int, nargs="+", default=[1])
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--repeat", type=int, default=1, help="Runs of each case.")
    parser.add_argument(
        "--folder", type=Path, help="Where files and the lake are written; default: a temporary one."
    )
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one = options.users[0], options.to[0], options.processes[0], options.records, options.folder
        print(json.dumps(case(*one)))
        return
    for users in options.users:
        for to in options.to:
            for processes in options.processes:
                arguments = [
                    "--users",
                    users,
                    "--to",
                    to,
                    "--processes",
                    processes,
                    "--records",
                    options.records,
                ]
                if options.folder:
                    arguments += ["--folder", options.folder]
                command = [sys.executable, __file__, "--one", *map(str, arguments)]
                runs = [
                    json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
                    for _ in range(options.repeat)
                ]
                print(json.dumps(max(runs, key=lambda run: run["records_per_second"])), flush=True)


def case(users: int, to: str, processes: int, records: int, where: Path | None) -> dict[str, object]:
    """Run one case."""
    from streaming_assets.events import TOPICS
    from streaming_assets.simulator.catalogue import Files
    from streaming_assets.simulator.config import DEFAULT_CONFIG, read_config
    from streaming_assets.simulator.processes import open_source
    from streaming_assets.simulator.run import Span, batches
    from streaming_assets.simulator.simulation import Plan

    real_time = to == "real-time"
    start = int(time.time()) if real_time else 1_743_465_600
    seconds = REAL_TIME_SECONDS if real_time else int(records / (users * RECORDS_A_USER_SECOND))
    plan = Plan(read_config(DEFAULT_CONFIG), Files(), users, 0.0, 0.0, 42, start * 1000, 1, None)
    span = Span(start, start, start + seconds, real_time)
    with tempfile.TemporaryDirectory(dir=where) as folder:
        writer = open_writer(to, Path(folder), plan)
        began, cpu_began = time.perf_counter(), cpu_seconds()
        source = open_source(plan, TOPICS, writer.line_end, processes, writer.deputy)
        stream = batches(source, span, Event())
        writer.write(next(stream).lines)
        started, cpu_before = time.perf_counter(), cpu_seconds()
        count, plain = 0, 0.0
        for batch in stream:
            writer.write(batch.lines)
            count += sum(batch.counts.values())
        writer.close()
        ended = time.perf_counter()
        source.close()
        written = sum(path.stat().st_size for path in Path(folder).glob("*.json"))
        cpu = cpu_seconds() - cpu_before  # of several processes, with their start-up
        if written:
            plain = plain_write_seconds(Path(folder) / "plain", written)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    result = {
        "users": users,
        "to": to,
        "processes": processes,
        "records": count,
        "start_up_s": round(started - began, 2),
        "start_up_cpu_s": round(cpu_before - cpu_began, 2),
        "seconds": round(ended - started, 2),
        "records_per_second": round(count / (ended - started)),
        "records_per_second_with_start_up": round(count / (ended - BEGAN)),
        "records_per_cpu_second": round(count / cpu),
        "core_share": round(cpu / (ended - started), 4),
        "peak_memory_mb": round((memory + children * (processes > 1) * processes) / 1024),
    }
    if written:
        result["records_per_cpu_second_of_writing_alone"] = round(count / plain)
    return result


def plain_write_seconds(path: Path, size: int) -> float:
    """CPU seconds that the kernel takes to write so many bytes of one buffer to a file."""
    buffer = bytes(1_000_000)
    before = cpu_seconds()
    with open(path, "wb") as file:
        for _ in range(size // len(buffer)):
            file.write(buffer)
    return cpu_seconds() - before


def open_writer(to: str, folder: Path, plan):
    """The destination."""
    from streaming_assets.events import TOPICS
    from streaming_assets.lake.factory import open_lake
    from streaming_assets.settings import load_settings
    from streaming_assets.simulator.writers.files import FilesWriter
    from streaming_assets.simulator.writers.lake import LakeWriter, stream_epoch

    if to == "files":
        return FilesWriter(folder, TOPICS, append=False, daily=False)
    if to == "lake":
        return LakeWriter(open_lake(str(folder)), stream_epoch(plan), plan.start)
    if to == "kafka":
        from streaming_assets.ingestion.clients import producer_config
        from streaming_assets.simulator.writers.kafka import KafkaWriter

        return KafkaWriter(producer_config(load_settings()), Event())
    return Null()


class Null:
    """Takes lines and does nothing."""

    line_end = "\n"

    @property
    def deputy(self):
        """Each process drops its own."""
        return Null

    def skip(self, counts) -> None:
        """Nothing is numbered."""

    def write(self, lines) -> None:
        """Drop them."""

    def close(self) -> None:
        """Nothing is kept."""


def cpu_seconds() -> float:
    """User and system time of this process and of those that it has waited for."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    main()
