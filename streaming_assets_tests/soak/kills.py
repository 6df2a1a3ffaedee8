"""Whom to kill, and when: a drawn order of victims, and how each is found among the processes of a system."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import dagster as dg

from streaming_assets.dagster_runtime.signs_of_life import folder_of_signs, sign_of
from streaming_assets.lake.names import HOUR, floor_hour
from streaming_assets.local.plan import program
from streaming_assets_tests.marked import kill
from streaming_assets_tests.soak.system import System

# Shares of the kills; each victim has its turn at least once.
SHARES = {
    "sink": 4,
    "broker": 3,
    "daemon": 3,
    "run worker": 3,
    "dbt": 4,
    "publisher": 3,
    "code server": 3,
    "template": 2,
    "shell": 2,
}
STEPS = {"dbt": "warehouse_models", "publisher": "serving__dashboard_snapshot"}
# How long after its step began a run's process is killed, s, at most: about as long as the step takes.
DELAYS = {"dbt": 3.0, "publisher": 0.4}
RUN_SECONDS = 12.0
PAUSE_SECONDS = (0.5, 5.0)
LOOK_SECONDS = 0.05
WAIT_SECONDS = 120.0
FORKED = r"multiprocessing\.forkserver"  # runs, and the template that they are forked from
DAEMON = r"-m dagster\._daemon"
CODE_SERVER = r"dagster api grpc"
# Within this, s, what a kill left is put right: the process is there again, the run that it executed is ended.
HEALED_SECONDS = 90.0

Found = TypeVar("Found")


@dataclass(frozen=True)
class Kill:
    """One kill: the victim, of a run's process the step that it was in, and after how long it was healed, s.

    That is told for the code server and the daemon (there is another one), and for a shell (its run is ended).
    """

    victim: str
    step: str = ""
    healed: float | None = None


def victims(kills: int, chance: random.Random) -> list[str]:
    """The order of victims: each as often as its share says, at least once."""
    total = sum(SHARES.values())
    drawn = [name for name, share in SHARES.items() for _ in range(max(1, round(kills * share / total)))]
    while len(drawn) < kills:
        drawn.append(chance.choices(list(SHARES), list(SHARES.values()))[0])
    chance.shuffle(drawn)
    return drawn


class Killer:
    """Kills in a system, one after the other."""

    def __init__(self, system: System, chance: random.Random) -> None:
        self._system = system
        self._chance = chance
        self._killed: set[int] = set()

    def kill(self, victim: str) -> Kill | None:
        """Wait for the victim to run, and for a moment more; None if it does not come."""
        time.sleep(self._chance.uniform(*PAUSE_SECONDS))
        if victim in STEPS or victim == "run worker":
            return self._kill_run(victim)
        if victim == "shell":
            return self._kill_shell()
        pid = _wait(lambda: self._pid(victim))
        if pid is None:
            return None
        self._kill(pid)
        if victim in ("daemon", "code server"):
            return Kill(victim, healed=_seconds_until(lambda: self._pid(victim)))
        return Kill(victim)

    def _kill_shell(self) -> Kill | None:
        """A backfill of the present hour, killed while its run goes on."""
        hour = floor_hour(datetime.now(UTC))
        bounds = (hour.isoformat(), (hour + HOUR).isoformat())
        shell = self._system.spawn("backfill", program("streaming-assets", "backfill", *bounds))
        folder = folder_of_signs(self._system.instance.root_directory)

        def its_run() -> str | None:
            # Its sign names its process.
            signs = {path.name: sign_of(folder, path.name)[1] for path in folder.glob("[!.]*")}
            runs = [name for name, said in signs.items() if said.startswith(f"process {shell.pid} ")]
            begun = [
                r for r in runs if (run := self._system.instance.get_run_by_id(r)) and not run.is_finished
            ]
            return begun[0] if begun else None

        run_id = _wait(its_run)
        if run_id is None:
            return None
        time.sleep(self._chance.uniform(0, DELAYS["dbt"]))
        step = self._step(run_id)
        self._kill(shell.pid)
        shell.wait()

        def is_ended() -> bool | None:
            run = self._system.instance.get_run_by_id(run_id)
            return True if run and run.is_finished else None

        return Kill("shell", step, _seconds_until(is_ended))

    def _kill_run(self, victim: str) -> Kill | None:
        step, delay = STEPS.get(victim), self._chance.uniform(0, DELAYS.get(victim, RUN_SECONDS))
        found = _wait(lambda: self.worker(step))
        if found is None:
            return None
        time.sleep(delay)
        pid, run_id = found
        self._kill(pid)
        return Kill(victim, self._step(run_id))

    def worker(self, step: str | None) -> tuple[int, str] | None:
        """Process and run that is in that step, or has just begun."""
        forked = self._system.processes(FORKED)
        workers = [pid for pid in forked if _parent(pid) in forked and pid not in self._killed]
        if not workers:
            return None
        for run in self._system.unfinished():
            if run.status in (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED):
                now = self._step(run.run_id)
                if now == step if step else now == "starting":
                    return max(workers), run.run_id
        return None

    def _step(self, run_id: str) -> str:
        """The step that a run is in: `starting` before the first, `between steps` or `ending` after one."""
        kinds = {dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_SUCCESS}
        events = [entry.dagster_event for entry in self._system.instance.all_logs(run_id, of_type=kinds)]
        if not events or events[-1] is None:
            return "starting"
        last = events[-1]
        if last.event_type == dg.DagsterEventType.STEP_START:
            return last.step_key or ""
        return "between steps"

    def _pid(self, victim: str) -> int | None:
        if victim == "daemon":
            return max(set(self._system.processes(DAEMON)) - self._killed, default=None)
        if victim == "code server":
            return max(set(self._system.processes(CODE_SERVER)) - self._killed, default=None)
        if victim == "template":
            servers = self._system.processes(CODE_SERVER)
            return max(
                (pid for pid in self._system.processes(FORKED) if _parent(pid) in servers), default=None
            )
        if victim == "broker" and self._system.kafka:
            return self._system.kafka.pid
        process = self._system.services[victim].process
        return process.pid if process and process.poll() is None else None

    def _kill(self, pid: int) -> None:
        self._killed.add(pid)
        kill(pid)


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _seconds_until(look: Callable[[], Found | None]) -> float:
    begun = time.monotonic()
    return time.monotonic() - begun if _wait(look) is not None else float("inf")


def _wait(look: Callable[[], Found | None]) -> Found | None:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if (found := look()) is not None:
            return found
        time.sleep(LOOK_SECONDS)
    return None
