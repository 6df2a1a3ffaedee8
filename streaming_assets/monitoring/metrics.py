"""The same look at the system as OpenMetrics, for Prometheus and what reads its format. Times are s, sizes bytes.

What could not be looked at has no samples, and `streaming_assets_look_failed` names it: a gap is no zero.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import make_wsgi_app
from prometheus_client.registry import Collector

from streaming_assets.monitoring.conditions import Condition
from streaming_assets.monitoring.observed import Observed
from streaming_assets.web_guard import Guard, guarded

PREFIX = "streaming_assets_"
LAG_BUCKETS = (2, 5, 8, 12, 20, 30, 60, 120, 300, 900, 3600)  # s; a run starts within seconds of an object
LOOK_SECONDS = 10.0  # for which a look answers: a scrape more costs nothing


@dataclass(frozen=True)
class Look:
    """What was seen, what is wrong with it, and how long the look took, s."""

    seen: Observed
    found: list[Condition]
    seconds: float


class LookCollector(Collector):
    """Gives a look's metrics at each scrape; scrapes within seconds share one look."""

    def __init__(self, look: Callable[[], tuple[Observed, list[Condition]]]) -> None:
        self._look = look
        self._last: tuple[float, Look] | None = None
        self._lock = threading.Lock()
        self._lags = Histogram(
            f"{PREFIX}event_to_fact_lag_seconds",
            "From the newest event to its row in the facts, of each run over the newest two hours that brought one",
            buckets=LAG_BUCKETS,
            registry=None,
        )
        self._counted: int | None = None  # up to this storage id; None before the facts were looked at

    def collect(self) -> Iterator[Metric]:
        """The metrics of a look that is new, or nearly."""
        with self._lock:
            begun = time.monotonic()
            if self._last is None or begun - self._last[0] > LOOK_SECONDS:
                seen, found = self._look()
                self._last = (begun, Look(seen, found, time.monotonic() - begun))
                self._count(seen)
            look = self._last[1]
            lags = [*self._lags.collect()] if self._counted is not None else []
        return chain(metrics(look), lags)

    def _count(self, seen: Observed) -> None:
        """Lags that are new since the last look; the first one only tells from where on."""
        if seen.facts is None:
            return
        newest = max((storage_id for storage_id, _ in seen.facts.lags), default=0)
        counted = newest if self._counted is None else self._counted
        for storage_id, lag in seen.facts.lags:
            if storage_id > counted:
                self._lags.observe(lag)
        self._counted = max(counted, newest)

    def describe(self) -> list[Metric]:
        """Nothing, so that no look is needed to register."""
        return []


def metrics_app(look: Callable[[], tuple[Observed, list[Condition]]], host_names: str = "") -> Any:
    """A WSGI application that answers scrapes at any path, to the names that the guard allows."""
    registry = CollectorRegistry()
    registry.register(LookCollector(look))
    return guarded(make_wsgi_app(registry), Guard(host_names))


def metrics(look: Look) -> Iterator[Metric]:
    """The samples of a look."""
    seen = look.seen
    yield _gauge("look_seconds", "How long this look at the system took", look.seconds)
    failed = _family("look_failed", "Parts that could not be looked at; they have no samples", ["part"])
    for part in seen.unseen:
        failed.add_metric([part], 1)
    yield failed
    conditions = _family(
        "condition", "What is wrong, by the names of docs/runbook.md", ["kind", "subject", "severity"]
    )
    for condition in look.found:
        conditions.add_metric(
            [condition.kind, condition.subject, "error" if condition.is_grave else "warning"], 1
        )
    yield conditions
    yield from _of_dagster(seen)
    yield from _of_data(seen)
    if seen.disk:
        yield _gauge("disk_free_bytes", "Free on the disk of the home folder", seen.disk.free)
        yield _gauge("disk_size_bytes", "Size of that disk", seen.disk.total)
    sizes = _family("size_bytes", "What lies in files here", ["of"])
    for name, size in seen.sizes.items():
        sizes.add_metric([name], size)
    yield sizes
    versions = GaugeMetricFamily(
        f"{PREFIX}build_info", "Versions", labels=[_label(name) for name in seen.versions]
    )
    versions.add_metric([*seen.versions.values()], 1)
    yield versions


def _of_dagster(seen: Observed) -> Iterator[Metric]:
    up = _family("up", "Whether a part of the system runs", ["part"])
    for service in seen.services or ():
        up.add_metric([service.name], service.runs)
    yield up
    if seen.queued is not None and seen.running is not None:
        runs = _family("runs_in_flight", "Unfinished runs", ["state"])
        runs.add_metric(["queued"], seen.queued)
        runs.add_metric(["running"], seen.running)
        yield runs
    if seen.failed is not None:
        yield _gauge("failed_hours", "Hours whose last run failed", len(seen.failed_hours))
    if seen.ended is not None:
        ended = _family("ended_runs", "Runs that Dagster keeps, by job and result", ["job", "result"])
        took = _family("last_run_seconds", "How long the newest ended run of a job took", ["job"])
        for job, runs_of_job in seen.ended.items():
            for result, number in runs_of_job.by_result.items():
                ended.add_metric([job, result], number)
            if runs_of_job.last_seconds is not None:
                took.add_metric([job], runs_of_job.last_seconds)
        yield ended
        yield took
    ticks = _family(
        "sensor_tick_age_seconds", "Since the last tick of a sensor or schedule that is on", ["sensor"]
    )
    for sensor in seen.sensors or ():
        if sensor.is_on and sensor.at:
            ticks.add_metric([sensor.name], (seen.at - sensor.at).total_seconds())
    yield ticks


def _of_data(seen: Observed) -> Iterator[Metric]:
    lag = _family("sink_lag_records", "Records that wait for the sink, as last observed", ["topic"])
    for backlog in seen.backlogs or ():
        lag.add_metric([backlog.topic], backlog.seen[0][1])
    yield lag
    if seen.arrived is not None:
        objects = _family("lake_objects", "Objects of the look-back window's hours", ["topic"])
        size = _family("lake_objects_bytes", "Their size", ["topic"])
        for topic, (number, stored) in seen.arrived.items():
            objects.add_metric([topic], number)
            size.add_metric([topic], stored)
        yield objects
        yield size
    if seen.newest_object:
        yield _at("newest_object_hour", "Start of the newest hour with an object", seen.newest_object)
    if seen.facts:
        if seen.facts.newest_whole_hour:
            yield _at(
                "newest_whole_hour",
                "Start of the newest ended hour in the facts",
                seen.facts.newest_whole_hour,
            )
        if seen.facts.until:
            yield _at("facts_until", "Up to when the facts hold what arrived", seen.facts.until)
        if seen.facts.behind_seconds is not None:
            told = "From the newest event to its row in the facts, when the newest hour was last run"
            yield _gauge("event_to_fact_seconds", told, seen.facts.behind_seconds)
    rows = _family("rows_of_hour", "Rows of the newest ended hour, by what became of them", ["topic", "what"])
    for (topic, what), number in (seen.rows or {}).items():
        rows.add_metric([topic, what], number)
    yield rows
    if seen.snapshot:
        yield _at("published", "When the snapshot in force was published", seen.snapshot.published_at)
        yield _at("published_as_of", "Up to when it has data", seen.snapshot.as_of)


def _family(name: str, told: str, labels: list[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, told, labels=labels)


def _gauge(name: str, told: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, told, value=value)


def _at(name: str, told: str, moment: datetime) -> GaugeMetricFamily:
    return _gauge(f"{name}_timestamp_seconds", f"{told}, s since the epoch", moment.timestamp())


def _label(name: str) -> str:
    return name.replace("-", "_")
