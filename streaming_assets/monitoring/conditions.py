"""What is wrong now: one list, made of what was seen by the rules. Pure.

Nothing in it is of events or people: assets, checks, hours, counts.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from streaming_assets.checks.freshness import FRESHNESS
from streaming_assets.lake.names import HOUR
from streaming_assets.monitoring.observed import Backlog, Observed
from streaming_assets.monitoring.rules import Growth, Rules
from streaming_assets.partitions import spans
from streaming_assets.settings import Settings
from streaming_assets.text import counted

GIB = 2**30
SHOWN_SPANS = 5


@dataclass(frozen=True)
class Condition:
    """One thing that is wrong.

    Attributes:
        kind: one of the rules' names.
        subject: the asset, check, job, sensor or part of the system that it is of.
        what: a sentence.
        hours: the ingestion hours that it is of, where it is of hours.
        is_grave: whether it is more than a warning.
        page: where Dagster's pages show it, a path.
    """

    kind: str
    subject: str
    what: str
    hours: tuple[datetime, ...] = ()
    is_grave: bool = True
    page: str = ""

    @property
    def key(self) -> str:
        """What stays the same while the condition lasts."""
        return f"{self.kind} {self.subject}"


def conditions(seen: Observed, rules: Rules, settings: Settings) -> list[Condition]:
    """All that is wrong, the gravest first; what could not be looked at is among it."""
    found = [
        *_not_running(seen),
        *_stale(seen, timedelta(minutes=settings.dashboards.stale_after_minutes)),
        *_missing(seen),
        *_failed_runs(seen),
        *_failing_checks(seen),
        *_failing_sensors(seen),
        *_growing(seen.backlogs or (), rules.lag_growing),
        *_not_forgotten(seen.unforgotten or 0),
        *_full_disk(seen, rules.disk_nearly_full.free_gib),
        *(
            Condition("snapshot_unreadable" if part == "snapshot" else "cannot_look", part, f"{part}: {why}")
            for part, why in seen.unseen.items()
        ),
    ]
    return sorted(found, key=lambda condition: not condition.is_grave)


_SEEN_BY = {
    "run_failed": ("failed runs",),
    "check_failing": ("checks",),
    "hour_stale": ("facts",),
    "hour_missing": ("facts", "lake"),
    "lag_growing": ("sink's lag",),
    "disk_nearly_full": ("disk",),
    "forgetting_unfinished": ("forgetting",),
    "sensor_failing": ("sensors",),
    "not_running": ("services",),
    "snapshot_unreadable": (),
    "cannot_look": (),
}


def is_known(kind: str, seen: Observed) -> bool:
    """Whether what would show conditions of that kind was looked at, so that one which is not there is none."""
    return not any(part in seen.unseen for part in _SEEN_BY[kind])


def named(hours: Iterable[datetime]) -> str:
    """Hours as a person reads them, spans together; only the newest of many."""
    found = spans(hours)
    shown = [
        f"{start:%Y-%m-%dT%H:%MZ}" + (f" to {end:%Y-%m-%dT%H:%MZ}" if end - start > HOUR else "")
        for start, end in found[-SHOWN_SPANS:]
    ]
    earlier = len(found) - len(shown)
    return (f"{earlier:,} earlier spans, " if earlier else "") + ", ".join(shown)


def _not_running(seen: Observed) -> Iterator[Condition]:
    services = seen.services or ()
    if len(services) > 1 and not any(service.runs for service in services):
        yield Condition("not_running", "all", f"Nothing runs here: {services[0].name}, {services[0].detail}")
        return
    for service in services:
        if not service.runs:
            yield Condition("not_running", service.name, f"{service.name} does not run: {service.detail}")


def _stale(seen: Observed, limit: timedelta) -> Iterator[Condition]:
    if seen.facts is None:
        return
    until = seen.facts.until
    if until is None:
        yield Condition("hour_stale", "core/fact_listen_events", "No hour is in the facts yet")
    elif seen.at - until > limit:
        minutes = (seen.at - until) // timedelta(minutes=1)
        yield Condition(
            "hour_stale",
            "core/fact_listen_events",
            f"The facts are {minutes:,} min behind, more than {limit // timedelta(minutes=1):,}: "
            f"they end at {until:%Y-%m-%dT%H:%MZ}",
            page="/assets/core/fact_listen_events?view=partitions",
        )


def _missing(seen: Observed) -> Iterator[Condition]:
    failed = seen.failed_hours
    missing = tuple(hour for hour in (seen.facts.missing if seen.facts else ()) if hour not in failed)
    if missing:
        yield Condition(
            "hour_missing",
            "core/fact_listen_events",
            f"{counted(len(missing), 'hour')} with objects in the lake, and not in the facts: {named(missing)}",
            missing,
            page="/assets/core/fact_listen_events?view=partitions",
        )


def _failed_runs(seen: Observed) -> Iterator[Condition]:
    for job in sorted({run.job for run in seen.failed or ()}):
        runs = [run for run in seen.failed or () if run.job == job]
        hours = tuple(sorted({hour for run in runs for hour in run.hours}))
        causes = ", ".join(sorted({run.cause for run in runs if run.cause}))
        of = f" of {counted(len(hours), 'hour')}, {named(hours)}" if hours else ""
        yield Condition(
            "run_failed",
            job,
            f"{job}: the last run{of} failed" + (f" ({causes})" if causes else ""),
            hours,
            page=f"/runs/{runs[0].run_id}",
        )


def _failing_checks(seen: Observed) -> Iterator[Condition]:
    for check in seen.checks or ():
        if check.name == FRESHNESS:  # by which Dagster's pages show what `hour_stale` tells
            continue
        of = f" in {counted(len(check.hours), 'hour')}: {named(check.hours)}" if check.hours else ""
        subject = f"{check.asset}: {check.name}"
        yield Condition(
            "check_failing",
            subject,
            f"{subject} {'fails' if check.is_grave else 'warns'}{of}",
            check.hours,
            check.is_grave,
            f"/assets/{check.asset}?view=checks&checkDetail={check.name}",
        )


def _failing_sensors(seen: Observed) -> Iterator[Condition]:
    for sensor in seen.sensors or ():
        if sensor.is_on and sensor.has_failed:
            yield Condition(
                "sensor_failing",
                sensor.name,
                f"{sensor.name}: its last tick, at {sensor.at:%Y-%m-%d %H:%M} UTC, ended in an error",
                page="/automation",
            )


def _growing(backlogs: Iterable[Backlog], rule: Growth) -> Iterator[Condition]:
    for backlog in backlogs:
        if not backlog.seen:
            continue
        now, lag = backlog.seen[0]
        since = [seen for seen in backlog.seen if now - seen[0] <= timedelta(minutes=rule.minutes)]
        lags = [records for _, records in since]
        is_long_enough = len(since) < len(backlog.seen)  # one was seen before that time
        never_fell = all(newer >= older for newer, older in pairwise(lags))
        if is_long_enough and len(lags) > 1 and never_fell and lag - lags[-1] >= rule.records:
            yield Condition(
                "lag_growing",
                backlog.topic,
                f"{backlog.topic}: {lag:,} records wait for the sink, {lag - lags[-1]:,} more than"
                f" {rule.minutes:g} min before",
            )


def _not_forgotten(people: int) -> Iterator[Condition]:
    if people:
        who = "1 person is" if people == 1 else f"{people:,} people are"
        yield Condition(
            "forgetting_unfinished",
            "forget",
            f"{who} asked to be forgotten, and the tables may still tell of them",
        )


def _full_disk(seen: Observed, least_gib: float) -> Iterator[Condition]:
    if seen.disk and seen.disk.free < least_gib * GIB:
        yield Condition(
            "disk_nearly_full",
            "disk",
            f"{seen.disk.free / GIB:,.1f} GiB are free on the disk of the home folder, less than {least_gib:g}",
        )
