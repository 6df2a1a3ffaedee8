"""Freshness by partition: the hour that ended must be in the facts half an hour later, whatever older hours are run."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import dagster as dg

DEADLINE = "30 * * * *"
FRESHNESS = "freshness_check"  # as Dagster names it


def build_freshness_checks(assets: Sequence[dg.AssetKey]) -> Sequence[dg.AssetChecksDefinition]:
    """A check for each asset that its newest ended hour was materialised by half past."""
    with _supersession_known():
        return dg.build_time_partition_freshness_checks(assets=list(assets), deadline_cron=DEADLINE)


def build_freshness_sensor(checks: Sequence[dg.AssetChecksDefinition]) -> dg.SensorDefinition:
    """Evaluates the checks when their deadlines pass."""
    with _supersession_known():
        return dg.build_sensor_for_freshness_checks(
            freshness_checks=list(checks),
            name="freshness",
            minimum_interval_seconds=300,
            default_status=dg.DefaultSensorStatus.RUNNING,
        )


@contextmanager
def _supersession_known() -> Iterator[None]:
    """Freshness policies, which Dagster names instead, are blind to partitions: an old hour's run makes them pass."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.SupersessionWarning)
        yield
