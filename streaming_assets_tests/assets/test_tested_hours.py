"""The verdict of a dbt test: a bad hour's failure stays until that hour was tested again."""

from collections.abc import Iterator

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming_assets.assets.tested_hours import FAILING, failing_before, still_failing, verdicts
from streaming_assets.lake.names import HOUR, hours_between
from streaming_assets.partitions import Span, key_of
from streaming_assets_tests.graph import hour

CHECK = dg.AssetCheckKey(dg.AssetKey("table"), "never_null")
some_spans = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 9)).map(lambda pair: (hour(pair[0]), hour(sum(pair)))),
    max_size=4,
)


def hours_of(found: list[Span]) -> set:
    return {at for span in found for at in hours_between(*span)}


@given(some_spans, some_spans, some_spans)
def test_what_fails_is_what_failed_and_was_not_tested_again_or_fails_now(
    before: list[Span], tested: list[Span], failing: list[Span]
) -> None:
    found = hours_of(still_failing(before, tested, failing))
    assert found == (hours_of(before) - hours_of(tested)) | hours_of(failing)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def run(instance: dg.DagsterInstance, first: int, end: int, bad: list[int]) -> dg.AssetCheckResult:
    """A run over the hours [first, end), which fails if any of `bad` is among them; its verdict is kept."""
    span = (hour(first), hour(end))
    failing = [(hour(number), hour(number) + HOUR) for number in bad if first <= number < end]
    dbt = dg.AssetCheckResult(asset_key=CHECK.asset_key, check_name=CHECK.name, passed=not failing)
    (told,) = verdicts(instance, {CHECK: dbt}, [span], {CHECK: failing}).values()
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(CHECK.asset_key, CHECK.name, passed=told.passed, metadata=told.metadata)
    )
    return told


def test_another_hours_run_does_not_turn_a_failure_into_a_pass(instance: dg.DagsterInstance) -> None:
    assert run(instance, 0, 3, []).passed
    assert not run(instance, 3, 5, [4]).passed
    carried = run(instance, 5, 6, [4])
    assert not carried.passed
    assert carried.metadata[FAILING].value == [[key_of(hour(4)), key_of(hour(4))]]
    assert carried.description == f"Hours that failed before have not been run since: {key_of(hour(4))}"
    assert not run(instance, 6, 9, [4, 7]).passed
    assert failing_before(instance, CHECK) == [(hour(4), hour(5)), (hour(7), hour(8))]
    assert not run(instance, 4, 5, [7]).passed, "hour 7 is still bad"
    assert run(instance, 7, 8, []).passed
    assert failing_before(instance, CHECK) == []
