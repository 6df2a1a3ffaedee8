"""How a check tells Dagster what it found: in each hour of a run, one or a year of them, or in all at once."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.event_api import AssetRecordsFilter
from dagster._core.events import (
    DagsterEvent,
    DagsterEventBatchMetadata,
    DagsterEventType,
    generate_event_batch_id,
)
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from streaming_assets.lake.names import HOUR, hours_between
from streaming_assets.partitions import hour_of, key_of, spans

_HOURS_A_QUERY = 1_000  # below the parameters that a statement may have


@dataclass(frozen=True)
class Verdict:
    """What a check says of an hour; `metadata` as Dagster takes it."""

    passed: bool
    metadata: Mapping[str, Any] = field(default_factory=dict)
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
    description: str | None = None


def report(
    context: dg.AssetCheckExecutionContext, spec: dg.AssetCheckSpec, verdicts: Mapping[datetime, Verdict]
) -> Iterator[DagsterEvent | dg.Output[None]]:
    """Evaluate a check, whose partitions are hours, in each hour of `verdicts`.

    An `AssetCheckResult` names the partition of the run, so it has none in a run over a range. An
    `AssetCheckEvaluation` names its own, but Dagster stores each by itself: as events of one batch, which is how it
    stores a range's materialisations, the verdicts of a year take seconds instead of minutes.
    """
    step = context.op_execution_context._step_execution_context
    batch, last = generate_event_batch_id(), max(map(key_of, verdicts), default=None)
    for evaluation in _evaluations(context, spec, verdicts):
        yield DagsterEvent.from_step(
            DagsterEventType.ASSET_CHECK_EVALUATION,
            step,
            evaluation,
            f"{spec.name} of {spec.asset_key.to_user_string()}, {evaluation.partition}: "
            + ("passed" if evaluation.passed else "did not pass"),
            DagsterEventBatchMetadata(batch, is_end=evaluation.partition == last),
        )
    yield dg.Output(None, spec.get_python_identifier())


def report_one_by_one(
    context: dg.AssetCheckExecutionContext, spec: dg.AssetCheckSpec, verdicts: Mapping[datetime, Verdict]
) -> Iterator[dg.AssetCheckEvaluation | dg.Output[None]]:
    """The same, each stored by itself."""
    yield from _evaluations(context, spec, verdicts)
    yield dg.Output(None, spec.get_python_identifier())


def _evaluations(
    context: dg.AssetCheckExecutionContext, spec: dg.AssetCheckSpec, verdicts: Mapping[datetime, Verdict]
) -> Iterator[dg.AssetCheckEvaluation]:
    """In the hours' order, which is that of their partitions' keys."""
    judged = _newest_materialisations(context.instance, spec.asset_key, verdicts)
    for hour, verdict in sorted(verdicts.items()):
        yield dg.AssetCheckEvaluation(
            asset_key=spec.asset_key,
            check_name=spec.name,
            partition=key_of(hour),
            passed=verdict.passed,
            metadata=verdict.metadata,
            severity=verdict.severity,
            description=verdict.description,
            blocking=False,
            target_materialization_data=judged.get(key_of(hour)),
        )


def report_at_once(
    instance: dg.DagsterInstance,
    specs: Mapping[dg.AssetCheckKey, dg.AssetCheckSpec],
    results: Mapping[dg.AssetCheckKey, dg.AssetCheckResult],
) -> Iterator[dg.AssetCheckEvaluation | dg.Output[None]]:
    """Evaluate checks that have no partitions, of assets that have.

    For each `AssetCheckResult` as such, Dagster lists all partitions of its asset, 0.2 s for two years of hours, only
    to find that they are too many to look at. An `AssetCheckEvaluation` brings with it what it is of.
    """
    newest = {}
    for record in instance.get_asset_records(sorted({key.asset_key for key in results})):
        if event := record.asset_entry.last_materialization_record:
            newest[record.asset_entry.asset_key] = AssetCheckEvaluationTargetMaterializationData(
                storage_id=event.storage_id, run_id=event.run_id, timestamp=event.timestamp
            )
    for key, result in results.items():
        yield dg.AssetCheckEvaluation(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=result.passed,
            metadata=result.metadata,
            severity=result.severity,
            description=result.description,
            blocking=False,
            target_materialization_data=newest.get(key.asset_key),
        )
        yield dg.Output(None, specs[key].get_python_identifier())


def failing_near(
    instance: dg.DagsterInstance, check: dg.AssetCheckKey, hours: Iterable[datetime], within: timedelta
) -> list[datetime]:
    """Hours beside `hours`, no further than `within`, whose last verdict is that the check failed."""
    judged = {*hours}
    reach = within // HOUR * HOUR
    near = {
        hour for start, end in spans(judged) for hour in hours_between(start - reach, end + reach)
    } - judged
    infos = instance.event_log_storage.get_asset_check_partition_info(
        [check], partition_keys=sorted(map(key_of, near))
    )
    failed = [i for i in infos if i.latest_execution_status is AssetCheckExecutionRecordStatus.FAILED]
    return [hour_of(info.partition_key) for info in failed if info.partition_key]


def _newest_materialisations(
    instance: dg.DagsterInstance, asset: dg.AssetKey, hours: Iterable[datetime]
) -> dict[str | None, AssetCheckEvaluationTargetMaterializationData]:
    """By partition, what a verdict is of; the pages hold one that does not name the newest for out of date."""
    found: dict[str | None, AssetCheckEvaluationTargetMaterializationData] = {}
    keys = sorted(map(key_of, hours))
    for first in range(0, len(keys), _HOURS_A_QUERY):
        some = keys[first : first + _HOURS_A_QUERY]
        ids = instance.event_log_storage.get_latest_storage_id_by_partition(
            asset, DagsterEventType.ASSET_MATERIALIZATION, set(some)
        )
        records = AssetRecordsFilter(asset_key=asset, storage_ids=sorted(ids.values()))
        for record in instance.fetch_materializations(records, limit=len(some)).records if ids else ():
            found[record.partition_key] = AssetCheckEvaluationTargetMaterializationData(
                storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
            )
    return found
