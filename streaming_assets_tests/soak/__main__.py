"""Run the kill soak.

python -m streaming_assets_tests.soak --kills 100 --seed 1 --broker kafka
"""

import json
import random
import shutil
import signal
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer

from streaming_assets.lake.names import HOUR, floor_hour
from streaming_assets.settings import PROJECT_ROOT
from streaming_assets_tests.soak.kills import HEALED_SECONDS, Kill, Killer, victims
from streaming_assets_tests.soak.reckoning import FACTS, SHOWN, Reckoning, reckon
from streaming_assets_tests.soak.system import System
from streaming_assets_tests.soak.traffic import read_record


def main(
    kills: Annotated[int, typer.Option(min=1, help="Kills in all.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of the victims, of the moments and of the events.")] = 1,
    broker: Annotated[
        Literal["embedded", "kafka"],
        typer.Option(help="kafka: a broker on this machine, which keeps what it acknowledged; needs Java."),
    ] = "embedded",
    rate: Annotated[float, typer.Option(min=0.1, help="Events a second.")] = 25.0,
    folder: Annotated[
        Path | None, typer.Option(help="Home, logs and record of this run; emptied first.")
    ] = None,
    downloads: Annotated[Path, typer.Option(help="Folder of Kafka's jars.")] = PROJECT_ROOT
    / ".local/cache/kafka",
) -> None:
    """Kill processes of the running system at random moments, then hold its tables to what Kafka acknowledged."""
    folder = (folder or PROJECT_ROOT / ".local" / "soak" / broker).absolute()
    shutil.rmtree(folder, ignore_errors=True)
    begun = time.monotonic()
    system = System(folder, broker == "kafka", downloads)
    # Ended from outside, it ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        done, reckoning = _soak(system, kills, seed, rate)
        lines = _report(
            system, broker, seed, done, reckoning, timedelta(seconds=round(time.monotonic() - begun))
        )
    finally:
        system.stop()
    print("\n".join(lines))
    (folder / "report.md").write_text("\n".join(lines) + "\n")
    if reckoning.differences or any((kill.healed or 0) > HEALED_SECONDS for kill in done):
        raise typer.Exit(1)


def _soak(system: System, kills: int, seed: int, rate: float) -> tuple[list[Kill], Reckoning]:
    system.start()
    hour = floor_hour(datetime.now(UTC))
    system.run("streaming-assets", "backfill", hour.isoformat(), (hour + HOUR).isoformat())
    record = system.folder / "acknowledged.jsonl"
    traffic = system.spawn(
        "traffic",
        (sys.executable, "-m", "streaming_assets_tests.soak.traffic", str(record), str(rate), str(seed)),
    )
    chance = random.Random(seed)
    killer, done = Killer(system, chance), list[Kill]()
    waiting = victims(kills, chance)
    while waiting:
        killed = killer.kill(waiting[0])
        if killed is None:
            _say(f"no {waiting[0]} to kill; later")
            waiting.append(waiting.pop(0))
            continue
        waiting.pop(0)
        done.append(killed)
        healed = "" if killed.healed is None else f", healed after {killed.healed:.0f} s"
        _say(f"{len(done)}/{kills} killed: {killed.victim} {killed.step}".rstrip() + healed)
    _say("no more kills; the traffic ends")
    traffic.send_signal(signal.SIGTERM)
    if traffic.wait(300):
        raise RuntimeError("the traffic ended with an error, see logs/traffic.log")
    system.settle(_say)
    _say(system.run("streaming-assets", "reconcile").strip())
    return done, reckon(read_record(record), system.settings, system.lake, system.warehouse)


def _report(
    system: System, broker: str, seed: int, done: list[Kill], reckoning: Reckoning, took: timedelta
) -> list[str]:
    by_victim = Counter(kill.victim for kill in done)
    by_step = Counter(kill.step for kill in done if kill.step)
    runs = Counter(run.status.value.lower() for run in system.instance.get_runs())
    died = reckoning.died
    lines = [
        f"| soak of {datetime.now(UTC):%Y-%m-%d}, broker {broker}, seed {seed}, {took} | |",
        "|---|---|",
        f"| kills | {len(done)}: {_counted(by_victim)} |",
        f"| runs' processes were killed in | {_counted(by_step)} |",
        f"| longest until healed, s | {_healing(done)} |",
        f"| runs | {_counted(runs)} |",
        f"| events acknowledged | {reckoning.acknowledged:,}, of them {reckoning.faulty:,} no JSON |",
    ]
    if broker == "embedded":
        lines += [
            f"| of these died with the broker | {died.total():,}, in {len(died)} of its stream epochs |",
            f"| of these the sink knew, and counted | {_told(system):,} |",
            f"| in the lake, though the broker died before it acknowledged them | {reckoning.kept:,} |",
        ]
    tables = (*FACTS, "stg_status_change_events", "stg_users", "stg_quarantine", "stg_filtered_rows")
    lines += [f"| rows of {table} | {reckoning.rows[table]:,} |" for table in tables]
    shown = [f"\n    {difference}" for difference in reckoning.differences[:SHOWN]]
    lines.append(f"| differences | {len(reckoning.differences) or 'none'} |" + "".join(shown))
    problems = Counter(system.problems)
    return lines + [f"\nmade again, {count} times: {problem}" for problem, count in problems.items()]


def _told(system: System) -> int:
    """Records that sink.json lists as lost."""
    ranges = json.loads((system.home / "sink.json").read_text())["lost_ranges"]
    return sum(lost["last"] - lost["first"] + 1 for lost in ranges)


def _healing(done: list[Kill]) -> str:
    longest: dict[str, float] = {}
    for kill in done:
        if kill.healed is not None:
            longest[kill.victim] = max(kill.healed, longest.get(kill.victim, 0))
    return ", ".join(f"{victim} {seconds:.0f}" for victim, seconds in sorted(longest.items()))


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


def _say(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", flush=True)


if __name__ == "__main__":
    typer.run(main)
