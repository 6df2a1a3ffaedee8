"""The verdict of a dbt test, which looks at the hours of a run at once: it fails as long as any hour is known to fail.

A test has one verdict a run, for a year of hours too. So that another hour's run does not turn a bad hour's failure
into a pass, a failing verdict names its hours, and the next one goes on from them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from streaming_assets.dagster_runtime.private_names import AssetCheckExecutionRecordStatus
from streaming_assets.lake.names import HOUR, hours_between
from streaming_assets.partitions import Span, hour_of, key_of, spans

FAILING = "failing_hours"  # metadata of a verdict: first and last partition of each span
_EVALUATED = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}


def failing_before(instance: dg.DagsterInstance, check: dg.AssetCheckKey) -> list[Span]:
    """The hours that the check's last verdict named as failing."""
    log = instance.event_log_storage
    for record in log.get_asset_check_execution_history(check, limit=1, status=_EVALUATED):
        told = record.evaluation.metadata.get(FAILING) if record.evaluation else None
        listed: Any = told.value if told else []
        return [(hour_of(first), hour_of(last) + HOUR) for first, last in listed]
    return []


def still_failing(before: Iterable[Span], tested: Iterable[Span], failing: Iterable[Span]) -> list[Span]:
    """The spans that fail now: those that failed before and were not tested again, and those that failed now."""
    hours = {hour for span in before for hour in hours_between(*span)}
    hours -= {hour for span in tested for hour in hours_between(*span)}
    return spans(hours | {hour for span in failing for hour in hours_between(*span)})


def verdict(result: dg.AssetCheckResult, before: list[Span], failing: list[Span]) -> dg.AssetCheckResult:
    """`result` of the newest hours, with all hours that fail.

    Args:
        result: as dbt tells it.
        before: hours that failed earlier and were not tested again.
        failing: all that fail.
    """
    if not failing:
        return result
    told = [[key_of(start), key_of(end - HOUR)] for start, end in failing]
    earlier = (
        "Hours that failed before have not been run since: "
        if before and result.passed
        else "Failing hours: "
    )
    return dg.AssetCheckResult(
        asset_key=result.asset_key,
        check_name=result.check_name,
        passed=False,
        severity=result.severity,
        metadata={**result.metadata, FAILING: told},
        description=earlier
        + ", ".join(first if first == last else f"{first} to {last}" for first, last in told),
    )


def verdicts(
    instance: dg.DagsterInstance,
    results: Mapping[dg.AssetCheckKey, dg.AssetCheckResult],
    tested: list[Span],
    failing: Mapping[dg.AssetCheckKey, list[Span]],
) -> dict[dg.AssetCheckKey, dg.AssetCheckResult]:
    """The verdict of each test after it looked at the hours `tested` and failed in `failing`."""
    told = {}
    for key, result in results.items():
        before = still_failing(failing_before(instance, key), tested, [])
        told[key] = verdict(result, before, still_failing(before, [], failing.get(key, [])))
    return told
