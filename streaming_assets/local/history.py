"""What a first start does before anything runs: the site's past into the lake, then into the tables."""

import re
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from streaming_assets.lake.names import HOUR, floor_hour
from streaming_assets.local.journal import Journal
from streaming_assets.local.plan import history_commands
from streaming_assets.local.state import LocalState, simulation_settings
from streaming_assets.settings import PROJECT_ROOT, Settings, env_name
from streaming_assets.subjects import MOST_HOURS_PER_STEP

SILENCE_SECONDS = 5.0  # after which the console says that work goes on

_RUN_LINE = re.compile(r".* - INFO - .* - (?P<rest>[^-].*)")


class HistoryFailed(Exception):
    """The history could not be made; the message says by which command, and where its output is."""


def first_state(settings: Settings, now: datetime) -> LocalState:
    """The state of a start that finds none: its simulation begins with the history."""
    start = floor_hour(now) - settings.simulator.history_hours * HOUR
    start = max(start, settings.first_hour)
    return LocalState(start, start, simulation_settings(settings))


def make_history(
    state: LocalState, settings: Settings, environment: Mapping[str, str], echo: Callable[[str], None]
) -> LocalState:
    """Simulate from `state.start` until now, and materialise those hours.

    Returns:
        The state, alive until now.

    Raises:
        HistoryFailed: a command failed. A later start makes the same history again.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    echo(f"First start: {_length(now - state.start)} of history, from {state.start:%Y-%m-%d %H:%M} UTC on")
    simulate, backfill = history_commands(settings, state.start, now, floor_hour(now) + HOUR)
    if _ended(subprocess.Popen(simulate, env=dict(environment), cwd=PROJECT_ROOT, start_new_session=True)):
        raise HistoryFailed(f"`{shlex.join(simulate)}` failed, see above")
    hours = (floor_hour(now) + HOUR - state.start) // HOUR
    # In one run, since no live hour waits yet.
    in_one_run = {**environment, env_name("hours_per_step"): str(min(hours, MOST_HOURS_PER_STEP))}
    _materialise(backfill, f"Tables of {hours:,} hours", settings, in_one_run, echo)
    return replace(state, alive_until=now)


def _materialise(
    command: tuple[str, ...],
    what: str,
    settings: Settings,
    environment: Mapping[str, str],
    echo: Callable[[str], None],
) -> None:
    journal = Journal(settings.logs_dir, "history")
    process = subprocess.Popen(
        command,
        env=dict(environment),
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None  # it is piped
    begun = time.monotonic()
    ended = threading.Event()

    def tell() -> None:
        echo(f"{what} ...")
        while not ended.wait(SILENCE_SECONDS):
            echo(f"{what}: {time.monotonic() - begun:.0f} s")

    telling = threading.Thread(target=tell, daemon=True)
    telling.start()
    try:
        for raw in process.stdout:
            line = raw.decode(errors="replace")
            journal.add(line, datetime.now())
            if found := _RUN_LINE.match(line.rstrip()):
                echo(f"{what}: {found['rest']}")
        failed = _ended(process)
    finally:
        ended.set()
        telling.join()
        _end(process)
        journal.close()
    if failed:
        said = "\n".join(f"    {line}" for line in journal.last)
        raise HistoryFailed(f"`{shlex.join(command)}` failed:\n{said}\nAll of its output: {journal.path}")
    echo(f"{what}: done in {time.monotonic() - begun:.0f} s")


def _ended(process: subprocess.Popen[bytes]) -> int:
    """Its exit status, once it has one; it does not outlive a Ctrl-C here."""
    try:
        return process.wait()
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
            return
        process.kill()
        process.wait()


def _length(of: timedelta) -> str:
    hours = of // HOUR
    return f"{hours // 24} days" if hours >= 48 else f"{hours} hours"
