"""Same tables in any order: drawn schedules of arrivals and runs end as a rebuild does.

`PROPERTY_SCHEDULES` is how many schedules are drawn in all: 300 unless set; `make soak` draws 5,000.
"""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from streaming_assets_tests.properties.machine import Schedules

SCHEDULES = int(os.environ.get("PROPERTY_SCHEDULES", "300"))
SHARDS = 4  # so that workers share them


@pytest.mark.integration
@pytest.mark.timeout(600 + 4 * SCHEDULES)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_any_schedule_equals_a_rebuild(shard: int) -> None:
    run_state_machine_as_test(
        Schedules,
        settings=settings(
            max_examples=-(-SCHEDULES // SHARDS),
            stateful_step_count=14,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
