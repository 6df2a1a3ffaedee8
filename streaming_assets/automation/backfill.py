"""Hours from a shell, a range or all that differ: the same job that the sensors ask for, run in this process."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import dagster as dg

from streaming_assets.assets.external_tables import REFERENCE_TABLES
from streaming_assets.automation.failures import Outcome, failure_of, work_off
from streaming_assets.automation.jobs import HOURLY_JOB, QUIET, REFERENCE_JOB, SHELL, checked_span
from streaming_assets.checks.comparison import Comparison, compare
from streaming_assets.checks.lake import report
from streaming_assets.dagster_runtime.instance import dagster_environment, prepare_dagster_home
from streaming_assets.dagster_runtime.private_names import RunFailureReason
from streaming_assets.dagster_runtime.run_process import attended
from streaming_assets.dagster_runtime.runs import runs_in_flight, span_tags
from streaming_assets.lake.factory import lake_of
from streaming_assets.lake.names import HOUR
from streaming_assets.partitions import Span, spans, steps
from streaming_assets.settings import Settings
from streaming_assets.warehouses.factory import warehouse_of
from streaming_assets.warehouses.holding import rows_by_hour, wholly_quarantined
from streaming_assets.warehouses.warehouse import Warehouse

BuildDefs = Callable[[Settings], dg.Definitions]
_CLASS = re.compile(r"^[\w.]+: ")


def backfill(start: datetime, end: datetime, settings: Settings, build_defs: BuildDefs) -> list[str]:
    """Materialise the hours [start, end), from external tables to the snapshot, in runs of `hours_per_step` at most.

    A run that fails is divided until its bad hours are alone. The reference files are read first if the lake has none.

    Args:
        start: the first hour.
        end: the hour after the last.
        settings: of the graph, and of the instance that keeps its runs.
        build_defs: makes the graph of settings.

    Returns:
        What failed, in words, which objects no reader could read, and which hours are wholly in quarantine; empty if
        nothing did.

    Raises:
        ValueError: the range is empty, not of whole hours, or has hours that are no partitions; or the warehouse
            is a deployment's.
    """
    span = checked_span((start, end), settings.first_hour, datetime.now(UTC) + timedelta(seconds=1))
    with _graph(settings, build_defs) as graph:
        if _is_reference_missing(settings):
            reference = graph.execute(REFERENCE_JOB)
            if not reference.success:
                return [*_failures(reference)]
        parts = steps([span], settings.warehouse.hours_per_step)
        return [*graph.materialise(parts), *_unusable(warehouse_of(settings), span)]


def _unusable(warehouse: Warehouse, span: Span) -> list[str]:
    """Objects that could not be read, and topics' hours of which every row is in quarantine, in words."""
    with warehouse.exclusive():
        found = wholly_quarantined(rows_by_hour(warehouse, warehouse.tables(), span))
        unreadable = warehouse.unreadable_objects(span)
    return [error for *_, error in unreadable] + [
        f"{topic} of {hour:%Y-%m-%dT%H:%MZ}: all its rows, {rows:,}, are in quarantine"
        for (topic, hour), rows in found.items()
    ]


def _named(span: Span) -> str:
    start, end = span
    return f"{start:%Y-%m-%dT%H:%MZ}" + (f" to {end:%Y-%m-%dT%H:%MZ}" if end - start > HOUR else "")


@dataclass(frozen=True)
class Reconciled:
    """What a reconciliation found, ran, could not run (in words), and found afterwards."""

    before: Comparison
    ran: list[Span]
    failed: list[str]
    after: Comparison


def reconcile(settings: Settings, build_defs: BuildDefs, *, anew: bool = False) -> Reconciled:
    """Materialise every hour that the tables do not hold as the lake does, as the daily schedule does, and look again.

    Args:
        settings: of the graph, and of the instance that keeps its runs.
        build_defs: makes the graph of settings.
        anew: whether all tables are dropped before; readers keep the published snapshot meanwhile.

    Raises:
        ValueError: the warehouse is a deployment's.
        LakeError: the lake can't be listed.
        WarehouseLocked: the warehouse is in use for longer than its lock timeout.
    """
    lake, warehouse = lake_of(settings), warehouse_of(settings)
    with _graph(settings, build_defs) as graph:
        if anew and warehouse.is_there():
            with warehouse.exclusive():
                warehouse.reset()
        # Tables that are made anew wait for nobody else's run: what it would bring, readers would miss until then.
        before = compare(lake, warehouse, settings, [] if anew else runs_in_flight(graph.instance))
        found = spans(before.to_run)
        # Readers keep the former snapshot until the new tables are whole, so they are filled in one run.
        failed = graph.materialise(found if anew else steps(found, settings.warehouse.hours_per_step))
        after = compare(lake, warehouse, settings, runs_in_flight(graph.instance)) if found else before
        report(graph.instance, after)
        return Reconciled(before, found, failed, after)


@dataclass(frozen=True)
class _Graph:
    defs: dg.Definitions
    instance: dg.DagsterInstance

    def materialise(self, parts: list[Span]) -> list[str]:
        """Run the hours of each part, around bad ones if there are some; what failed for good, in words."""
        return [
            f"{_named(part)}: {said}"
            for part, outcome in work_off(parts, self._attempt)
            for said in outcome.said
        ]

    def _attempt(self, span: Span) -> Outcome:
        result = self.execute(HOURLY_JOB, {**span_tags(span), **SHELL})
        if result.success:
            return Outcome()
        return Outcome(failure_of(result.all_events), tuple(_failures(result)))

    def execute(self, job: str, tags: Mapping[str, str] | None = None) -> dg.ExecuteInProcessResult:
        """Run a job in this process.

        Raises:
            KeyboardInterrupt: the run was cancelled, here or from Dagster's pages.
        """
        run_id = str(uuid4())
        with attended(self.instance, run_id):
            result = self.defs.resolve_job_def(job).execute_in_process(
                instance=self.instance, run_id=run_id, tags=tags, run_config=QUIET, raise_on_error=False
            )
        if any(_is_interruption(event) for event in result.all_events):
            raise KeyboardInterrupt
        return result


@contextmanager
def _graph(settings: Settings, build_defs: BuildDefs) -> Iterator[_Graph]:
    """The graph on the instance of these settings, for runs of this process.

    Raises:
        ValueError: the deployment's Dagster, which is another, would know nothing of these runs.
    """
    if warehouse_of(settings).is_shared:
        raise ValueError(
            f"{settings.warehouse.kind} is written by runs of Dagster's queue alone: launch the hours from "
            "Dagster's pages"
        )
    prepare_dagster_home(settings)
    os.environ.update(dagster_environment(settings))
    defs = build_defs(settings)
    with dg.DagsterInstance.get() as instance:
        yield _Graph(defs, instance)


def _is_reference_missing(settings: Settings) -> bool:
    lake = lake_of(settings)
    folders = {file.rpartition("/")[0] + "/" for file in REFERENCE_TABLES.values()}
    present = {found.name for folder in folders for found in lake.list(folder)}
    return not set(REFERENCE_TABLES.values()) <= present


def _is_interruption(event: dg.DagsterEvent) -> bool:
    if event.event_type == dg.DagsterEventType.RUN_FAILURE:
        return event.job_failure_data.failure_reason is RunFailureReason.UNEXPECTED_TERMINATION
    return event.event_type == dg.DagsterEventType.RUN_CANCELED


def _failures(result: dg.ExecuteInProcessResult) -> list[str]:
    failures = [event for event in result.all_events if event.is_step_failure]
    return [_reason(event) for event in failures] or ["the run failed before its first step"]


def _reason(event: dg.DagsterEvent) -> str:
    failure = event.step_failure_data
    if failure.user_failure_data and failure.user_failure_data.description:
        return f"{event.step_key}: {failure.user_failure_data.description}"
    cause = failure.error
    while cause and cause.cause:
        cause = cause.cause
    # An error's message begins with its class, whose path says nothing to the reader.
    return f"{event.step_key}: {_CLASS.sub('', cause.message).strip() if cause else event.message}"
