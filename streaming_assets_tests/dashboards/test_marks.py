"""The marks by which a click filters a page: each is set and followed, or a caption says that it is not."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from streaming_assets.dashboards import board, marks, pages
from streaming_assets.dashboards.charts import all_charts, charts_of
from streaming_assets.dashboards.marks import MARKS, Mark
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot

SOME = View(date(2025, 2, 1), date(2025, 2, 9))


@pytest.fixture(scope="module")
def snapshot(published: Path) -> Snapshot:
    return Snapshot.open(published)


@pytest.mark.parametrize("mark", MARKS.values(), ids=MARKS.keys())
def test_a_click_on_one_chart_sets_a_mark_and_another_follows_it(mark: Mark) -> None:
    assert [chart.page for chart in all_charts() if mark.name in chart.sets] == [mark.page]
    assert {chart.page for chart in all_charts() if mark.name in chart.follows} == {mark.page}


@pytest.mark.parametrize("mark", MARKS.values(), ids=MARKS.keys())
def test_a_value_in_the_address_is_taken_and_anything_else_is_named(snapshot: Snapshot, mark: Mark) -> None:
    assert mark.values(snapshot), "the world has some"
    for value in mark.values(snapshot):
        asked = replace(SOME, marks=((mark.name, value),))
        view = board.view_of(mark.page, snapshot, asked.address())
        assert view == asked
        assert marks.labels(asked) == {mark.name: mark.label(value)}
    view = board.view_of(mark.page, snapshot, f"?{mark.name}=%3Cb%3E")
    assert view
    assert (view.marks, view.notices) == ((), (f"“<b>” is no {mark.what}; all are shown.",))


def test_a_mark_of_another_page_is_none(snapshot: Snapshot) -> None:
    view = board.view_of("music", snapshot, "?hour=17")
    assert view
    assert view.marks == ()


@pytest.mark.parametrize("mark", MARKS.values(), ids=MARKS.keys())
def test_what_a_chart_follows_changes_its_rows_and_of_the_rest_it_says_so(
    snapshot: Snapshot, mark: Mark
) -> None:
    values = sorted(mark.values(snapshot))
    value = values[len(values) // 2]
    view = replace(SOME, marks=((mark.name, value),))
    for chart in charts_of(mark.page):
        is_changed = [*chart.rows(snapshot, view)] != [*chart.rows(snapshot, SOME)]
        assert is_changed == (mark.name in chart.follows), chart.name
        is_heeded = mark.name in (*chart.sets, *chart.follows)
        assert board.note(chart, view) == ("" if is_heeded else f"; not filtered by “{mark.label(value)}”")
    told = pages.BY_NAME[mark.page].subtitle(snapshot, view)
    assert ("not filtered" in told) == (mark.name in ("minutes", "songs"))
