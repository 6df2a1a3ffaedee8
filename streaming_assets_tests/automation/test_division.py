"""Spans that fail without a culprit: divided until the bad hours are alone, in few attempts, and not for ever."""

from collections.abc import Callable
from math import ceil, log2

from hypothesis import example, given
from hypothesis import strategies as st

from streaming_assets.automation.failures import (
    MOST_WITHOUT_SUCCESS,
    Cause,
    Outcome,
    halves,
    to_try_next,
    work_off,
)
from streaming_assets.lake.names import HOUR, hours_between
from streaming_assets.partitions import Span
from streaming_assets_tests.graph import hour

Attempt = Callable[[Span], Outcome]


class Runs:
    """Attempts that fail if their span holds a bad hour."""

    def __init__(self, bad: set[int], cause: Cause = Cause.UNKNOWN) -> None:
        self.bad, self.cause = {hour(number) for number in bad}, cause
        self.tried: list[Span] = []
        self.done: set = set()

    def __call__(self, span: Span) -> Outcome:
        self.tried.append(span)
        hours = set(hours_between(*span))
        if hours & self.bad:
            return Outcome(self.cause, ("failed",))
        self.done |= hours
        return Outcome()


_cases = st.integers(1, 48).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1))))


@given(_cases)
@example((48, set(range(0, 48, 2))))
@example((48, set(range(47))))
@example((48, set(range(24))))
def test_all_hours_but_the_bad_ones_get_done_in_few_attempts(case: tuple[int, set[int]]) -> None:
    hours, bad = case
    runs = Runs(bad)
    failed = list(work_off([(hour(0), hour(hours))], runs))
    if len(bad) < hours:
        assert runs.done == {hour(number) for number in range(hours)} - runs.bad
        assert sorted(span for span, _ in failed) == [(at, at + HOUR) for at in sorted(runs.bad)]
    assert len(runs.tried) <= max(2 * len(bad), 1) * (ceil(log2(hours)) + 1) + 1


@given(st.integers(1, 2000), st.integers(0, 1999))
def test_one_bad_hour_of_many_takes_two_attempts_a_halving(hours: int, bad: int) -> None:
    runs = Runs({bad % hours})
    assert len(list(work_off([(hour(0), hour(hours))], runs))) == 1
    assert len(runs.tried) <= 2 * ceil(log2(hours)) + 1
    assert len(runs.done) == hours - 1


def test_what_is_no_matter_of_hours_is_not_divided_for_ever() -> None:
    for cause, attempts in [
        (Cause.SURROUNDINGS, 1),
        (Cause.LOCKED, 1),
        (Cause.UNKNOWN, MOST_WITHOUT_SUCCESS),
    ]:
        runs = Runs(set(range(8760)), cause)
        failed = list(work_off([(hour(0), hour(8760))], runs))
        assert len(runs.tried) == attempts
        told = sorted(span for span, _ in failed)
        assert (told[0][0], told[-1][1]) == (hour(0), hour(8760)), "no hour is passed over in silence"
        assert all(outcome.said for _, outcome in failed)


def test_halves_are_whole_hours_and_cover_the_span() -> None:
    assert halves((hour(0), hour(1))) == []
    assert halves((hour(0), hour(5))) == [(hour(0), hour(2)), (hour(2), hour(5))]


def test_who_died_is_tried_once_more_before_it_is_divided() -> None:
    span = (hour(0), hour(4))
    assert to_try_next(span, Cause.DIED, is_repeat=False) == [span]
    assert to_try_next(span, Cause.DIED, is_repeat=True) == halves(span)
    assert to_try_next(span, Cause.LOCKED, is_repeat=True) == [span]
    assert to_try_next(span, Cause.SURROUNDINGS, is_repeat=True) == []
