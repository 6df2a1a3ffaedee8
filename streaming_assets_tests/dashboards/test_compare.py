"""The days with which a view's are compared."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from streaming_assets.dashboards.compare import against_before
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot

STREAMS = "mart_daily_state_streams"


@pytest.mark.parametrize(
    ("first", "last", "as_of", "wanted"),
    [
        ((2, 5), (2, 11), (2, 12, 0), ", up 50.0% on 29 Jan to 4 Feb 2025"),
        ((2, 11), (2, 11), (2, 12, 0), ", up 50.0% on Tue 4 Feb 2025 and up 50.0% on Mon 10 Feb 2025"),
        ((2, 3), (2, 11), (2, 12, 0), ", up 50.0% on 20 to 28 Jan 2025"),
        ((2, 5), (2, 11), (2, 11, 14), ", whole days up 50.0% on 29 Jan to 3 Feb 2025"),
        ((2, 11), (2, 11), (2, 11, 14), ""),  # no whole day
        ((1, 8), (1, 8), (2, 12, 0), ", up 50.0% on Tue 7 Jan 2025"),
        ((1, 12), (1, 18), (2, 12, 0), ""),  # the data does not reach so far back
    ],
)
def test_whole_days_are_compared_with_those_of_whole_weeks_before(
    published: Path,
    first: tuple[int, int],
    last: tuple[int, int],
    as_of: tuple[int, int, int],
    wanted: str,
) -> None:
    whole = Snapshot.open(published)
    moment = datetime(2025, *as_of, tzinfo=UTC)
    snapshot = Snapshot(published, whole.manifest.model_copy(update={"as_of": moment}), whole.database)
    view = View(date(2025, *first), date(2025, *last))
    compared = against_before(snapshot, view, STREAMS, lambda of: 3 if of.first == view.first else 2)
    assert compared == wanted
    assert not wanted or " as " in against_before(snapshot, view, STREAMS, lambda _: 2)


@pytest.mark.parametrize(
    ("hour", "wanted"),
    [
        (14, ", until 14:00 up 50.0% on Tue 4 Feb 2025 and up 50.0% on Mon 10 Feb 2025"),
        (0, ""),  # no whole hour
    ],
)
def test_a_day_that_is_not_over_is_compared_until_the_same_hour(
    published: Path, hour: int, wanted: str
) -> None:
    whole = Snapshot.open(published)
    moment = datetime(2025, 2, 11, hour, 30, tzinfo=UTC)
    snapshot = Snapshot(published, whole.manifest.model_copy(update={"as_of": moment}), whole.database)
    today = View(date(2025, 2, 11), date(2025, 2, 11))
    asked = []

    def so_far(of: View, until: int) -> int:
        asked.append(until)
        return 3 if of == today else 2

    assert against_before(snapshot, today, STREAMS, lambda _: 1, so_far) == wanted
    assert {*asked} <= {14}
    assert against_before(snapshot, today, STREAMS, lambda _: 1) == "", "a number that has no hours"
