"""From an address to a view and back."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming_assets.dashboards.states import NAMES, TILES
from streaming_assets.dashboards.views import Extent, View

EXTENT = Extent(date(2025, 1, 6), date(2025, 2, 11))
days = st.dates(EXTENT.first, EXTENT.last)


ANY_MARK = {name: lambda _: "" for name in ("genre", "hour")}


@given(
    days,
    days,
    st.sampled_from(["ALL", *NAMES]),
    st.text(max_size=100),
    st.dictionaries(st.sampled_from(list(ANY_MARK)), st.text(min_size=1)),
)
def test_an_address_gives_back_its_view(
    one: date, other: date, state: str, search: str, marks: dict[str, str]
) -> None:
    view = View(min(one, other), max(one, other), state, search, marks=tuple(sorted(marks.items())))
    assert View.of_address(view.address(), EXTENT, amiss=ANY_MARK) == view


@given(st.text())
def test_any_address_gives_a_view_within_the_data(query: str) -> None:
    view = View.of_address(query, EXTENT)
    assert EXTENT.first <= view.first <= view.last <= EXTENT.last


@pytest.mark.parametrize(
    ("query", "view", "notice"),
    [
        ("", View(date(2025, 1, 15), date(2025, 2, 11)), None),
        ("?last=7", View(date(2025, 2, 5), date(2025, 2, 11), preset=7), None),
        ("?last=84&state=TX", View(EXTENT.first, EXTENT.last, "TX", preset=84), None),
        ("?last=six", View(date(2025, 1, 15), date(2025, 2, 11)), "last=“six” is none of 1, 7, 28, 84 days"),
        ("?last=7&from=2025-02-01&to=2025-02-02", View(date(2025, 2, 1), date(2025, 2, 2)), None),
        ("?from=2025-02-01", View(date(2025, 2, 1), date(2025, 2, 11)), None),
        ("?from=2025-02-05&to=2025-02-01", View(date(2025, 2, 1), date(2025, 2, 5)), None),
        (
            "?from=1999-01-01&to=2099-01-01",
            View(EXTENT.first, EXTENT.last),
            "There is data of 6 Jan to 11 Feb 2025, not of all of 1 Jan 1999 to 1 Jan 2099; "
            "6 Jan to 11 Feb 2025 is shown.",
        ),
        ("?to=2024-12-31&from=2024-12-01", View(EXTENT.first, EXTENT.first), "6 Jan 2025 is shown"),
        ("?from=2025-02-05&to=2025-02-12", View(date(2025, 2, 5), EXTENT.last), "5 to 11 Feb 2025 is shown"),
        ("?from=soon", View(date(2025, 1, 15), date(2025, 2, 11)), "“soon” is no date"),
        ("?state=tx", View(date(2025, 1, 15), date(2025, 2, 11), "TX"), None),
        ("?state=ZZ", View(date(2025, 1, 15), date(2025, 2, 11)), "“ZZ” is no state"),
        ("?state=TX&state=CA", View(date(2025, 1, 15), date(2025, 2, 11), "TX"), None),
    ],
)
def test_what_an_address_asks_for(query: str, view: View, notice: str | None) -> None:
    found = View.of_address(query, EXTENT)
    assert (found.first, found.last, found.state) == (view.first, view.last, view.state)
    assert (
        [notice in text for text in found.notices] == ([True] if notice else [])
        if notice
        else not found.notices
    )


@pytest.mark.parametrize(
    ("range_", "view"),
    [
        (["2025-01-08", "2025-01-09"], View(date(2025, 1, 8), date(2025, 1, 9))),
        (["2025-01-08", None], None),
        ([None, None], View(date(2025, 1, 15), date(2025, 2, 11), preset=28)),
        (None, View(date(2025, 1, 15), date(2025, 2, 11), preset=28)),
    ],
)
def test_what_the_controls_ask_for(range_: list[str | None] | None, view: View | None) -> None:
    assert View.of_controls(range_, EXTENT) == view


SEVEN = View(date(2025, 2, 5), date(2025, 2, 11), preset=7)


@pytest.mark.parametrize(
    ("range_", "has_chosen_days", "view"),
    [
        (["2025-01-08", "2025-01-09"], False, SEVEN),  # a new snapshot, or the preset itself
        (["2025-01-08", "2025-01-09"], True, View(date(2025, 1, 8), date(2025, 1, 9))),
        (["2025-02-05", "2025-02-11"], True, SEVEN),
        (["2025-02-05", None], True, None),
    ],
)
def test_a_preset_moves_with_the_data_until_days_are_chosen(
    range_: list[str | None], has_chosen_days: bool, view: View | None
) -> None:
    assert View.of_controls(range_, EXTENT, preset="7", has_chosen_days=has_chosen_days) == view
    assert View.of_address(SEVEN.address(), EXTENT) == SEVEN


def test_every_state_has_a_square_of_its_own_on_the_map() -> None:
    assert set(TILES) == set(NAMES)
    assert len(set(TILES.values())) == 51


def test_a_state_that_only_the_data_knows_can_be_asked_for() -> None:
    names = NAMES | {"No state": "No state"}
    view = View.of_address("?state=No+state", EXTENT, names)
    assert (view.state, view.notices) == ("No state", ())
    assert View.of_address(view.address(), EXTENT, names) == view


def test_days_of_one_day_of_the_week() -> None:
    view = View(date(2025, 1, 6), date(2025, 1, 20), marks=(("weekday", "1"),))
    assert view.days() == [date(2025, 1, 6), date(2025, 1, 13), date(2025, 1, 20)]
