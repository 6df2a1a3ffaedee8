"""Schedules that once ended otherwise than a rebuild, or would with one mistake (test_seeded_mistakes), by name."""

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


def change_of_level_comes_late(schedules: Schedules) -> None:
    """A change arrives after a listen that follows it: the listen takes the user's new row."""
    schedules.land([(0, Info(1, 0, 0, "free", "Ada")), (0, Listen(1, 1, 0, 2 * HALF_DAY, "paid", 0, 0))])
    schedules.materialise(0, 0)
    schedules.land([(1, Change(1, 1, 1, HALF_DAY, "paid"))])


def hour_grows(schedules: Schedules) -> None:
    """An hour that was materialised gets another object."""
    schedules.land([(0, Listen(1, 1, 0, 0, "free", 0, 0))])
    schedules.materialise(0, 0)
    schedules.land([(0, Listen(1, 1, 1, 0, "free", 0, 0))])


def listen_is_in_two_hours(schedules: Schedules) -> None:
    """Of copies in two hours the earlier one's stays when the later hour is materialised."""
    schedules.land([(0, Listen(1, 1, 0, 0, "free", 0, 0)), (2, Listen(1, 1, 0, 0, "free", 0, 0))])
    schedules.materialise(0, 0)


def session_goes_on_in_another_hour(schedules: Schedules) -> None:
    """A view within a day of a session of another hour is one of its views."""
    schedules.land([(0, View(1, 1, 0, 0, "free", "Home", 0, True, None))])
    schedules.materialise(0, 0)
    schedules.land([(1, View(1, 1, 1, HALF_DAY, "free", "Home", 0, True, None))])


def reference_learns_of_a_song(schedules: Schedules) -> None:
    """A song that a listen named joins the reference, under the same name and without a genre."""
    schedules.land([(0, Listen(1, 1, 0, 0, "free", 0, 0))])
    schedules.materialise(0, 0)
    schedules.learn()


def registration_comes_late(schedules: Schedules) -> None:
    """A user's record arrives after listens: all of them take the registered user's row."""
    schedules.land([(0, Listen(1, 1, n, n * HALF_DAY, "free", 0, 0)) for n in (1, 2)])
    schedules.materialise(0, 0)
    schedules.land([(1, Info(1, HALF_DAY, 0, "free", "Ada"))])


def reason_for_leaving_comes_late(schedules: Schedules) -> None:
    """Somebody cancels; the page that led to it, the settings between them, and a page after it come in later hours."""
    schedules.land([(0, View(1, 1, 2, 3, "free", "Cancel", 0, True, None))])
    schedules.materialise(0, 0)
    schedules.land([(1, View(1, 1, 1, 2, "free", "Settings", 0, True, None))])
    schedules.land([(2, View(1, 1, 0, 1, "free", "Lab", 0, True, None))])
    schedules.land([(2, View(1, 1, 3, 4, "free", "Home", 0, True, None))])


def fact_is_new_in_a_warehouse(schedules: Schedules) -> None:
    """A warehouse of a former version has no table of departures: a run of any hour fills it with those of all."""
    schedules.land([(0, View(1, 1, 1, 2, "paid", "Submit Downgrade", 0, True, None))])
    schedules.land([(0, View(1, 1, 0, 1, "paid", "Home", 0, True, None))])
    schedules.materialise(0, 0)
    schedules.lack("fact_churn_events")
    schedules.land([(4, View(2, 2, 0, 2 * HALF_DAY, "free", "Cancel", 0, True, None))])


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
        change_of_level_comes_late,
        hour_grows,
        listen_is_in_two_hours,
        session_goes_on_in_another_hour,
        reference_learns_of_a_song,
        registration_comes_late,
        reason_for_leaving_comes_late,
        fact_is_new_in_a_warehouse,
    ],
    ids=lambda steps: steps.__name__,
)
def test_known_schedule(steps: Callable[[Schedules], None], finish: str) -> None:
    schedules = Schedules()
    schedules.begin(finish)
    steps(schedules)
    schedules.teardown()
