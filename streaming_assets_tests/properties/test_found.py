"""Schedules that once ended otherwise than a rebuild, and what they are about."""

from collections.abc import Callable

import pytest

from streaming_assets_tests.properties.machine import Schedules
from streaming_assets_tests.properties.site import HALF_DAY, Change, Info, Listen, View


def first_record_changes_within_an_hour(schedules: Schedules) -> None:
    """The hour's first record gives way to one with the registration that another hour's record has, too."""
    schedules.land([(0, Info(1, HALF_DAY, 0, "free", "Ada")), (2, Listen(1, 1, 0, 0, "free", 0, 0))])
    schedules.land([(1, Info(1, 2 * HALF_DAY, HALF_DAY, "free", "Bo"))])
    schedules.materialise(0, 2)
    schedules.land([(0, Info(1, 0, HALF_DAY, "free", "Bo"))])


def records_of_one_moment_differ(schedules: Schedules) -> None:
    """Two hours hold a user's record of the same moment with another registration: the first hour's counts."""
    schedules.land([(1, Info(1, 0, 0, "free", "Ada"))])
    schedules.materialise(1, 0)
    schedules.land([(0, Info(1, 0, HALF_DAY, "paid", "Bo"))])


def copies_of_a_change_differ(schedules: Schedules) -> None:
    """Two hours hold the same change with another level: the first hour's counts."""
    schedules.land([(1, Change(1, 1, 0, HALF_DAY, "paid"))])
    schedules.materialise(1, 0)
    schedules.land([(0, Change(1, 1, 0, HALF_DAY, "free"))])


def session_of_no_postal_code(schedules: Schedules) -> None:
    """An empty postal code keys session and place alike."""
    schedules.land([(0, View(1, 1, 0, 0, "free", "Home", 2, True, None))])


def day_loses_its_only_session(schedules: Schedules) -> None:
    """A late row makes the session start the day before: the snapshot must lose the later day."""
    schedules.land([(0, View(1, 1, 0, 2 * HALF_DAY, "free", "Home", 0, True, None))])
    schedules.materialise(0, 0)
    schedules.land([(1, View(1, 1, 0, 0, "free", "Home", 0, True, None))])


def state_called_as_the_roll_up(schedules: Schedules) -> None:
    """An event's state code ALL is no state, so the marts' roll-up has no second row."""
    schedules.land([(0, Listen(1, 1, 0, 0, "free", 0, 4)), (0, Listen(1, 1, 1, 0, "free", 0, 0))])
    schedules.land([(0, View(1, 1, 2, 0, "free", "Home", 4, True, None))])


@pytest.mark.integration
@pytest.mark.parametrize("finish", ["in order", "backwards", "at once"])
@pytest.mark.parametrize(
    "steps",
    [
        first_record_changes_within_an_hour,
        records_of_one_moment_differ,
        copies_of_a_change_differ,
        session_of_no_postal_code,
        day_loses_its_only_session,
        state_called_as_the_roll_up,
    ],
    ids=lambda steps: steps.__name__,
)
def test_once_failed(steps: Callable[[Schedules], None], finish: str) -> None:
    schedules = Schedules()
    schedules.begin(finish)
    steps(schedules)
    schedules.teardown()
