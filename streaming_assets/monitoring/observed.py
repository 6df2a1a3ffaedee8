"""The state of the system as it was seen at a moment: plain data, of which everything else here is a function."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from streaming_assets.dagster_runtime.standing import LastTick

Looked = Mapping[str, str]  # what could not be looked at, and why


@dataclass(frozen=True)
class Service:
    """A part of the system, whether it runs, and how that was told."""

    name: str
    runs: bool
    detail: str


@dataclass(frozen=True)
class FailedRun:
    """A run that was to do what nobody did since. `hours` is empty for a job without hours."""

    run_id: str
    job: str
    hours: tuple[datetime, ...]
    cause: str  # of the causes in automation/failures.py, in words; empty where the log has it no more


@dataclass(frozen=True)
class Check:
    """A failing check. `hours` that fail, where it tells hours; `is_grave` unless it only warns."""

    asset: str
    name: str
    hours: tuple[datetime, ...]
    is_grave: bool
    at: datetime


@dataclass(frozen=True)
class Backlog:
    """Records of a topic that the sink has yet to bring into the lake, at the moments at which this was looked at."""

    topic: str
    seen: tuple[tuple[datetime, int], ...]  # the newest first


@dataclass(frozen=True)
class Facts:
    """How far the facts are.

    Attributes:
        newest_whole_hour: the newest hour in the facts that has ended; None if there is none.
        until: up to when they hold what arrived: the end of the newest hour, or when it was last run.
        behind_seconds: from the newest event to its row, when that was; None where the log does not tell.
        lags: of the runs over the newest two hours that brought newer events: the storage id of what they told, and
            from the newest event to its row, s; in the order of hours and runs.
        missing: hours that ended, that have objects in the lake, and that neither the facts have nor a run works on.
    """

    newest_whole_hour: datetime | None
    until: datetime | None
    behind_seconds: float | None
    missing: tuple[datetime, ...] = ()
    lags: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """The published snapshot: its number, how fresh its data is, when it was published (UTC)."""

    number: int
    as_of: datetime
    published_at: datetime


@dataclass(frozen=True)
class Disk:
    """The file system of the home folder, bytes."""

    free: int
    total: int


@dataclass(frozen=True)
class EndedRuns:
    """The ended runs of a job that Dagster keeps: how many by result, and how long the newest took, s."""

    by_result: Mapping[str, int]
    last_seconds: float | None


@dataclass(frozen=True)
class Observed:
    """What was seen. A part that is None could not be looked at, and `unseen` says why.

    Attributes:
        at: when it was looked, UTC.
        services: the parts that can be asked whether they run.
        sensors: how Dagster's sensors and schedules fared last.
        queued, running: runs in Dagster's queue and under way.
        failed: runs that failed and were not made good.
        checks: those that fail.
        backlogs: of each topic that Dagster observed.
        facts, snapshot, disk: see there. `snapshot` None with no word in `unseen`: nothing was published yet.
        arrived: objects and bytes of each topic in the look-back window.
        newest_object: the hour of the newest object there.
        unforgotten: people who are to be forgotten, and of whom the tables may still tell.
        ended: runs by job; rows: of the newest whole hour, by topic and what became of them; sizes: bytes by name.
            These are looked at only when asked for.
        versions: by name.
        unseen: what could not be looked at, and why.
    """

    at: datetime
    services: tuple[Service, ...] | None = None
    sensors: tuple[LastTick, ...] | None = None
    queued: int | None = None
    running: int | None = None
    failed: tuple[FailedRun, ...] | None = None
    checks: tuple[Check, ...] | None = None
    backlogs: tuple[Backlog, ...] | None = None
    facts: Facts | None = None
    snapshot: Snapshot | None = None
    newest_object: datetime | None = None
    unforgotten: int | None = None
    arrived: Mapping[str, tuple[int, int]] | None = None
    ended: Mapping[str, EndedRuns] | None = None
    rows: Mapping[tuple[str, str], int] | None = None
    disk: Disk | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    unseen: Looked = field(default_factory=dict)

    @property
    def failed_hours(self) -> frozenset[datetime]:
        """The hours of the failed runs; none where these could not be looked at."""
        return frozenset(hour for run in self.failed or () for hour in run.hours)
