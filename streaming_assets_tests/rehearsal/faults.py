"""The faults: what is done to the system, what is told of it, and when it is well again."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from streaming_assets.lake.names import ObjectName, floor_hour
from streaming_assets.published.manifest import MANIFEST, Manifest, SnapshotError
from streaming_assets_tests.graph import listen, without
from streaming_assets_tests.integration.sink_processes import wait_until
from streaming_assets_tests.marked import kill
from streaming_assets_tests.rehearsal.stage import Stage, leave_room_in_the_hour
from streaming_assets_tests.soak.kills import HEALED_SECONDS, SHARES, Killer

TOPIC = "listen_events"
FULL_SECONDS = 45  # of the disk
CLOCK_BACK = timedelta(hours=3)


@dataclass(frozen=True)
class Fault:
    """A fault.

    Attributes:
        name: in a word or two.
        how: what is done.
        inject: does it, and puts its cause right as it ends; what is typed comes after.
        kind: the rule that tells of it; empty where it is to heal without a person.
        subject: what the rule names.
        told: how the alert begins; a pattern.
        names_hours: whether the alert must name hours.
        task: of the runbook, whose commands are typed after those of the alert's own entry.
        is_well: where nobody is told, whether it healed, asked with the moment at which it was put in.
    """

    name: str
    how: str
    inject: Callable[[Stage], AbstractContextManager[None]]
    kind: str = ""
    subject: str = ""
    told: str = ""
    names_hours: bool = False
    task: str = ""
    is_well: Callable[[Stage, datetime], bool] = lambda _stage, _since: True

    @property
    def entry(self) -> str:
        """The runbook's name for the alert."""
        return self.subject.rpartition(": ")[2] if self.kind == "check_failing" else self.kind


def _listens(count: int, at: datetime, user: int) -> list[dict[str, Any]]:
    return [
        listen(at + timedelta(seconds=number), user=user + number, item=number) for number in range(count)
    ]


@contextmanager
def drift(stage: Stage) -> Iterator[None]:
    events = _a_third_more(stage, 800_000)
    stage.produce(TOPIC, [without(event, "song") for event in events])
    stage.write_repaired(events)
    yield


@contextmanager
def quarantine(stage: Stage) -> Iterator[None]:
    events = _a_third_more(stage, 700_000)
    stage.produce(TOPIC, [event | {"ts": "yesterday"} for event in events])
    stage.write_repaired(events)
    yield


def _a_third_more(stage: Stage, user: int) -> list[dict[str, Any]]:
    """Listens of the present hour, a third as many as it has and some more, which all of them arrive in."""
    leave_room_in_the_hour(minutes=2)
    return _listens(stage.rows_of(TOPIC) // 3 + 100, floor_hour(datetime.now(UTC)), user)


@contextmanager
def bad_object(stage: Stage) -> Iterator[None]:
    name = str(ObjectName(TOPIC, floor_hour(datetime.now(UTC)), 0, 10**12))
    stage.lake.write(name, b"\x1f\x8b no gzip")
    yield
    (found,) = [one for one in stage.lake.stored.list(name) if one.name == name]
    assert stage.lake.stored.remove(name, found.generation)


@contextmanager
def kills(stage: Stage) -> Iterator[None]:
    killer = Killer(stage, random.Random(1))
    for victim in SHARES:
        done = killer.kill(victim)
        assert done is not None, f"no {victim} to kill"
        assert (done.healed or 0) <= HEALED_SECONDS, done
    yield


@contextmanager
def dead_sink(stage: Stage) -> Iterator[None]:
    process = stage.services["sink"].process
    assert process is not None
    stage.held.add("sink")  # until `streaming-assets dev` is typed
    kill(process.pid)
    yield


@contextmanager
def broker_gone(stage: Stage) -> Iterator[None]:
    assert stage.kafka is not None
    assert stage.kafka.pid is not None
    stage.held.add("broker")
    try:
        kill(stage.kafka.pid)
        yield
    finally:
        stage.held.discard("broker")


@contextmanager
def clock_jump(stage: Stage) -> Iterator[None]:
    before = datetime.now(UTC) - CLOCK_BACK
    stage.stamp_records(TOPIC, by="CreateTime")
    stage.produce(TOPIC, _listens(500, before, 900_000), at=before)
    stage.stamp_records(TOPIC, by="LogAppendTime")
    yield


def is_earlier_hour_there(stage: Stage, since: datetime) -> bool:
    return stage.has_facts_of(floor_hour(since - CLOCK_BACK), since)


@contextmanager
def late_day(stage: Stage) -> Iterator[None]:
    stage.produce(TOPIC, _listens(500, _late(), 600_000))
    yield


def _late() -> datetime:
    return datetime.combine(date.today() - timedelta(days=5), datetime.min.time(), UTC) + timedelta(hours=9)


def is_late_day_published(stage: Stage, _since: datetime) -> bool:
    with suppress(SnapshotError):
        return _late().date() in Manifest.read(stage.settings.published_dir).tables["fact_listen_events"].days
    return False


@contextmanager
def full_disk(stage: Stage) -> Iterator[None]:
    ballast = stage.home / "ballast"

    def take(leave: int) -> None:
        room = os.statvfs(stage.home)
        with open(ballast, "ab") as file, suppress(OSError):
            file.write(bytes(max(room.f_bavail * room.f_frsize - leave, 0)))

    take(leave=128 * 2**20)
    yield
    take(leave=0)
    time.sleep(FULL_SECONDS)
    ballast.unlink()


@contextmanager
def locked_warehouse(stage: Stage) -> Iterator[None]:
    program = (
        "import duckdb, sys, time\n"
        "while True:\n"
        "    try:\n"
        "        held = duckdb.connect(sys.argv[1])\n"
        "        break\n"
        "    except duckdb.IOException:\n"
        "        time.sleep(0.05)\n"
        "time.sleep(3600)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", program, str(stage.settings.warehouse.file)])
    try:
        yield
    finally:
        holder.kill()
        holder.wait()


@contextmanager
def corrupt_snapshot(stage: Stage) -> Iterator[None]:
    with stage.silence():
        (stage.settings.published_dir / MANIFEST).write_text('{"cut sh')
        yield


@contextmanager
def slow_disk(stage: Stage) -> Iterator[None]:
    found: list[int] = []

    def is_in_models() -> bool:
        worker = Killer(stage, random.Random(1)).worker("warehouse_models")
        found.extend([worker[0]] if worker else [])
        return worker is not None

    wait_until(is_in_models, "a run is in its models", 120)
    os.kill(found[0], signal.SIGSTOP)
    yield
    os.kill(found[0], signal.SIGCONT)


@contextmanager
def expired_credentials(stage: Stage) -> Iterator[None]:
    assert stage.gate is not None
    stage.gate.refuses = True
    try:
        yield
    finally:
        stage.gate.refuses = False


FACTS = "core/fact_listen_events"
FAULTS = [
    Fault(
        "clock jump",
        f"500 listens get times {CLOCK_BACK.seconds // 3600} hours back, as from a broker whose clock jumped: they "
        "land in that hour",
        clock_jump,
        is_well=is_earlier_hour_there,
    ),
    Fault(
        "drift",
        "a third of an hour's listens come without `song`, which is required; they are replayed, repaired",
        drift,
        "check_failing",
        "staging/schema_drift: schema_follows_contract",
        "Warning: staging/schema_drift: schema_follows_contract warns",
        names_hours=True,
        task="repair quarantined rows",
    ),
    Fault(
        "runaway quarantine",
        "a third of an hour's listens have no usable time; they are replayed, repaired",
        quarantine,
        "check_failing",
        "staging/stg_quarantine: share_in_quarantine",
        "Warning: staging/stg_quarantine: share_in_quarantine warns",
        names_hours=True,
        task="repair quarantined rows",
    ),
    Fault(
        "corrupt snapshot",
        "the published manifest is cut short while no events come",
        corrupt_snapshot,
        "snapshot_unreadable",
        "snapshot",
        "Wrong: snapshot: ",
    ),
    Fault(
        "slow disk",
        "a run's process hangs in its models as in a write that does not return (SIGSTOP); then it goes on",
        slow_disk,
        "hour_stale",
        FACTS,
        "Wrong: The facts are [0-9]+ min behind",
        names_hours=True,
    ),
    Fault(
        "expired credentials",
        "the emulated bucket answers everybody 401; then it takes them again",
        expired_credentials,
        "sensor_failing",
        "lake_objects",
        "Wrong: lake_objects: its last tick, at .* ended in an error",
    ),
    Fault(
        "broker gone",
        "the broker is killed and stays so; then it is started",
        broker_gone,
        "sensor_failing",
        "kafka_health",
        "Wrong: kafka_health: its last tick, at .* ended in an error",
    ),
    Fault(
        "dead sink",
        "the sink is killed, and nothing starts it again",
        dead_sink,
        "not_running",
        "sink",
        "Wrong: sink does not run: last sign of life",
    ),
    Fault(
        "bad object",
        "an object of the present hour is no gzip; then it is removed",
        bad_object,
        "check_failing",
        "external/listen_events_ext: objects_are_readable",
        "Wrong: external/listen_events_ext: objects_are_readable fails",
        names_hours=True,
    ),
    Fault(
        "late day",
        "500 listens of five days ago arrive",
        late_day,
        is_well=is_late_day_published,
    ),
    Fault(
        "locked warehouse",
        "a program opens the DuckDB file and keeps it, so that runs wait; then it ends",
        locked_warehouse,
        "hour_stale",
        FACTS,
        "Wrong: The facts are [0-9]+ min behind",
        names_hours=True,
    ),
    Fault(
        "full disk",
        "the home's disk (tmpfs of 1 GiB) fills up to 128 MiB; when that is told, wholly for 45 s; then there is room",
        full_disk,
        "disk_nearly_full",
        "disk",
        r"Wrong: [0-9.]+ GiB are free on the disk of the home folder",
    ),
    Fault(
        "kill each process",
        f"SIGKILL once to each of: {', '.join(SHARES)}; a service manager starts it again",
        kills,
        is_well=lambda stage, since: stage.ran_since(since),
    ),
]
