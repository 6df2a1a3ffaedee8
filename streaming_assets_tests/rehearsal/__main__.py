"""Rehearse.

python -m streaming_assets_tests.rehearsal --faults "bad object, drift"

Without names all faults, and docs/reliability.md has their table anew. Ctrl-C ends it after the fault that goes on, and
compares what is there by then.
"""

import re
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from streaming_assets.lake.names import HOUR, floor_hour
from streaming_assets.monitoring.rules import read_rules
from streaming_assets.settings import PROJECT_ROOT
from streaming_assets_tests.integration.sink_processes import wait_until
from streaming_assets_tests.rehearsal.faults import FAULTS, Fault
from streaming_assets_tests.rehearsal.report import Rehearsed, chosen, table, with_table
from streaming_assets_tests.rehearsal.stage import Stage
from streaming_assets_tests.rehearsal.typed import as_on_the_page, commands_of
from streaming_assets_tests.rehearsal.webhook import Entry
from streaming_assets_tests.soak.reckoning import Reckoning, reckon

PAGE = PROJECT_ROOT / "docs" / "reliability.md"
PATIENCE_SECONDS = 300.0
MAY_FAIL = ("streaming-assets status", "streaming-assets contract check")  # they say by it what they found
HOUR_TOLD = r"\d{4}-\d\d-\d\dT\d\d:\d\dZ"


def main(
    faults: Annotated[str, typer.Option(help="Their names, commas between them; empty for all.")] = "",
    folder: Annotated[Path, typer.Option(help="Of all it makes; emptied first.")] = PROJECT_ROOT
    / ".local/rehearsal",
    downloads: Annotated[Path, typer.Option(help="Kafka's jars and the emulator.")] = PROJECT_ROOT
    / ".local/cache/kafka",
) -> None:
    """Put faults into the running system, wait for the alert, type what it says, and hold all tables to the record."""
    try:
        left = chosen(faults, FAULTS)
    except ValueError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    shutil.rmtree(folder, ignore_errors=True)
    begun = time.monotonic()
    stage = Stage(folder.absolute(), downloads.absolute())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ended from outside, it ends what it started
    signal.signal(signal.SIGINT, lambda *_: left.clear())
    try:
        done, reckoning = _rehearse(stage, left)
    finally:
        stage.stop()
    took = timedelta(seconds=round(time.monotonic() - begun))
    text = table(done, reckoning, read_rules(), datetime.now(UTC).date(), took)
    (folder / "report.md").write_text(text)
    print(text)
    if len(done) == len(FAULTS):
        PAGE.write_text(with_table(PAGE.read_text(), text))
    if reckoning.differences or any(one.problem for one in done):
        raise typer.Exit(1)


def _rehearse(stage: Stage, left: list[Fault]) -> tuple[list[Rehearsed], Reckoning]:
    stage.start()
    hour = floor_hour(datetime.now(UTC))
    stage.run("streaming-assets", "backfill", hour.isoformat(), (hour + HOUR).isoformat())
    stage.begin_traffic()
    begun = datetime.now(UTC)
    wait_until(lambda: stage.ran_since(begun), "a run with events", PATIENCE_SECONDS, every=1)
    done = []
    while left:
        fault = left.pop(0)
        _say(f"{fault.name} begins")
        try:
            one = _one(stage, fault)
        except Exception as error:  # whatever it is, the other faults have their turn
            one = Rehearsed(fault, problem=f"{type(error).__name__}: {error}")
        stage.held.clear()
        done.append(one)
        _say(f"{fault.name}: told after {one.told} s, healed after {one.healed} s {one.problem}")
    stage.end_traffic()
    stage.settle(_say)
    _say(stage.run("streaming-assets", "reconcile").strip())
    (stage.folder / "alerts.txt").write_text("\n\n".join(entry.text for entry in stage.webhook.entries))
    return done, reckon(stage.record(), stage.settings, stage.lake, stage.warehouse)


def _one(stage: Stage, fault: Fault) -> Rehearsed:
    since, begun = datetime.now(UTC), time.monotonic()
    told = None
    with fault.inject(stage):
        if fault.kind:
            told = _told(lambda: stage.webhook.find(fault.told, begun))
    mended = time.monotonic()
    if not fault.kind:
        wait_until(lambda: fault.is_well(stage, since), "it is well", PATIENCE_SECONDS, every=1)
        return Rehearsed(fault, healed=time.monotonic() - mended)
    if told is None:
        return Rehearsed(fault, problem="was not told")
    _say(told.text)
    typed = _what_to_type(fault, told)
    problems = _type(stage, typed)
    healed = _told(
        lambda: stage.webhook.find(rf"Healed: {re.escape(fault.subject)} \({fault.kind}\)", told.at)
    )
    if healed is None:
        problems.append("was not told healed")
    return Rehearsed(
        fault,
        told.at - begun,
        healed and healed.at - mended,
        tuple(map(as_on_the_page, typed)),
        "; ".join(problems),
    )


def _what_to_type(fault: Fault, told: Entry) -> list[str]:
    """What the alert says, which is what the runbook says of it, and what the runbook has beyond that."""
    assert [*dict.fromkeys(map(as_on_the_page, told.commands))] == commands_of(fault.entry), told.text
    if fault.names_hours:
        assert re.search(HOUR_TOLD, told.text.partition("\n")[0]), told.text
    return [*told.commands, *(commands_of(fault.task) if fault.task else ())]


def _type(stage: Stage, commands: list[str]) -> list[str]:
    """Type them, with the present hour where an alert named none; what went wrong."""
    hour, problems = floor_hour(datetime.now(UTC)), []
    given = {
        "START": f"{hour:%Y-%m-%dT%H:%MZ}",
        "END": f"{hour + HOUR:%Y-%m-%dT%H:%MZ}",
        "FILE": shlex.quote(str(stage.repaired_file)),
    }
    for command in commands:
        begun = time.monotonic()
        status, said = stage.type(" ".join(given.get(word, word) for word in command.split()))
        _say(f"$ {command}: {status} after {time.monotonic() - begun:.0f} s\n{said.strip()}")
        if status and not command.startswith(MAY_FAIL):
            problems.append(f"`{command}` ended with {status}: {said.strip().splitlines()[-1:]}")
    return problems


def _told(find: Callable[[], Entry | None]) -> Entry | None:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        if found := find():
            return found
        time.sleep(0.2)
    return None


def _say(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", flush=True)


if __name__ == "__main__":
    typer.run(main)
