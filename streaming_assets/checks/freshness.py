"""Freshness by partition: the hour that ended must be in the facts half an hour later, whatever older hours are run."""

from collections.abc import Sequence

import dagster as dg

DEADLINE = "30 * * * *"


def build_freshness_checks(assets: Sequence[dg.AssetKey]) -> Sequence[dg.AssetChecksDefinition]:
    """A check for each asset that its newest ended hour was materialised by half past."""
    return dg.build_time_partition_freshness_checks(assets=list(assets), deadline_cron=DEADLINE)


def build_freshness_sensor(checks: Sequence[dg.AssetChecksDefinition]) -> dg.SensorDefinition:
    """Evaluates the checks when their deadlines pass."""
    return dg.build_sensor_for_freshness_checks(
        freshness_checks=list(checks),
        name="freshness",
        minimum_interval_seconds=300,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
