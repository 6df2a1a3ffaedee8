"""Same tables in any order: drawn schedules of arrivals and runs end as a rebuild does.

`make test` draws the same 200 schedules each time, so that a change is judged by itself. With `PROPERTY_SCHEDULES`
set, that many are drawn anew; `make soak` draws 5,000.
"""

import os

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from streaming_assets_tests.properties.machine import Schedules

DRAWN_ANEW = os.environ.get("PROPERTY_SCHEDULES")
SCHEDULES = int(DRAWN_ANEW or 200)
# So that workers share them, and that a long run shows how far it is.
SHARDS = max(4, SCHEDULES // 250)


@pytest.mark.integration
@pytest.mark.timeout(600 + 4 * SCHEDULES)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_any_schedule_equals_a_rebuild(shard: int) -> None:
    machine = type(f"Schedules{shard}", (Schedules,), {})
    run_state_machine_as_test(
        machine if DRAWN_ANEW else seed(shard)(machine),
        settings=settings(
            max_examples=-(-SCHEDULES // SHARDS),
            stateful_step_count=14,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
