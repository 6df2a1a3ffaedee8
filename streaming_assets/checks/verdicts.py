"""A verdict an hour: how a check tells Dagster what it found in each hour of a run, one hour or a year alike."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import dagster as dg
from dagster._core.events import (
    DagsterEvent,
    DagsterEventBatchMetadata,
    DagsterEventType,
    generate_event_batch_id,
)

from streaming_assets.partitions import key_of


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
    batch, last = generate_event_batch_id(), max(verdicts, default=None)
    for hour, verdict in sorted(verdicts.items()):
        yield DagsterEvent.from_step(
            DagsterEventType.ASSET_CHECK_EVALUATION,
            step,
            dg.AssetCheckEvaluation(
                asset_key=spec.asset_key,
                check_name=spec.name,
                partition=key_of(hour),
                passed=verdict.passed,
                metadata=verdict.metadata,
                severity=verdict.severity,
                description=verdict.description,
                blocking=False,
            ),
            f"{spec.name} of {spec.asset_key.to_user_string()}, {key_of(hour)}: "
            + ("passed" if verdict.passed else "did not pass"),
            DagsterEventBatchMetadata(batch, is_end=hour == last),
        )
    yield dg.Output(None, spec.get_python_identifier())
