"""The KPI page in a browser, against counts of the facts."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from streaming_assets.dashboards.charts import charts_of
from streaming_assets.dashboards.kpi_tiles import TILES
from streaming_assets.dashboards.metrics import metrics, models
from streaming_assets.testing.publishing import publish
from streaming_assets_tests.dashboards import facts
from streaming_assets_tests.dashboards.browsing import Visitor
from streaming_assets_tests.dashboards.serving import PRICE, served
from streaming_assets_tests.dashboards.world import MISSING_DAY, Marts, World

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("browser")]

WEEK = date(2025, 2, 3)  # the newest complete week


def table(page: Page, chart: str) -> dict[str, list[str]]:
    """The rows of a chart's table, by day."""
    rows = page.locator(f"#{chart} tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    )
    return {row[0]: row[1:] for row in rows}


def tile_values(page: Page) -> dict[str, float]:
    tiles = page.locator(".tile").evaluate_all("all => all.map(tile => [tile.id, tile.dataset.value])")
    return {name: float(value) for name, value in tiles}


def test_each_tile_equals_a_count_of_the_facts(visitor: Visitor, address: str, world: World) -> None:
    page = visitor.open(address)
    now = facts.week(world, WEEK, PRICE)
    before = facts.week(world, WEEK - timedelta(days=7), PRICE)
    assert tile_values(page) == pytest.approx(now)
    assert "3 to 9 Feb 2025" in page.inner_text("#kpi-subtitle")
    for name, value in now.items():
        change = page.locator(f"#{name} .change")
        relative = value / before[name] - 1
        assert "▲" in change.inner_text() if relative > 0 else "▼" in change.inner_text()
        assert f"{abs(relative):.1%}" in change.inner_text()
        assert ("change-up" in change.get_attribute("class")) == (relative > 0)
    written = {name: page.inner_text(f"#{name} .tile-value") for name in now}
    assert written == {
        "total-users": f"{now['total-users']:.0f}",
        "conversion-rate": f"{now['conversion-rate']:.2%}",
        "recurring-revenue": f"${now['recurring-revenue']:.2f}",
        "arpu-free": f"${now['arpu-free']:.3f}",
    }


def test_the_definition_of_a_tile_opens_by_keyboard(visitor: Visitor, address: str) -> None:
    page = visitor.open(address)
    page.locator("#arpu-free summary").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("advertising revenue divided by its free users")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("advertising revenue divided by its free users")).to_be_hidden()


def test_each_tile_and_chart_says_what_it_shows(visitor: Visitor, address: str) -> None:
    """In the metric's own words, and of a chart in those of the tables."""
    page = visitor.open(address)
    said = page.locator(".card:has(.about)").evaluate_all(
        "cards => cards.map(card => [card.id, card.querySelector('.definition p').textContent])"
    )
    shown = {named.name: named.metric for named in (*TILES, *charts_of("kpi"))}
    assert dict(said) == {name: metrics()[metric]["description"] for name, metric in shown.items() if metric}
    page.locator("#daily-active-users .about summary").click()
    expect(page.locator("#daily-active-users .definition")).to_contain_text(
        f"mart_daily_active_users: {models()['mart_daily_active_users']['description']}"
    )
    expect(page.locator("#daily-active-users .definition")).to_be_visible()


def test_a_date_range_changes_the_charts_and_leaves_the_tiles(
    visitor: Visitor, address: str, world: World
) -> None:
    page = visitor.open(address)
    tiles = tile_values(page)
    page.click("#kpi-days")
    first, last = MISSING_DAY - timedelta(days=2), MISSING_DAY + timedelta(days=1)
    for day in (first, last):
        page.get_by_role("button", name=f"{day.day} January 2025", exact=True).click()
    expect(page.locator("#daily-active-users tbody tr")).to_have_count(4)
    users, revenue = table(page, "daily-active-users"), table(page, "daily-ad-revenue")
    for day in (first, first + timedelta(days=1), last):
        label = f"{day:%a} {day.day} Jan 2025"
        assert users[label] == [str(count) for count in facts.active_users(world, day)]
        assert revenue[label] == [f"{facts.ad_revenue(world, day):,.2f}"]
    assert users["Wed 22 Jan 2025"] == ["–", "–", "–"]
    assert revenue["Wed 22 Jan 2025"] == ["–"]
    assert tile_values(page) == tiles
    # Three days with two bars each, and none where the day is missing.
    bars = page.locator("#daily-active-users-chart .recharts-bar-rectangle path")
    assert bars.count() == 6
    assert page.url.endswith(f"?from={first}&to={last}")


def test_a_bar_tells_its_day_and_numbers(visitor: Visitor, address: str, world: World) -> None:
    page = visitor.open(f"{address}/?from=2025-02-03&to=2025-02-03")
    page.locator("#daily-active-users-chart .recharts-bar-rectangle").first.hover(force=True)
    tooltip = page.locator("#daily-active-users-chart .recharts-tooltip-wrapper")
    free, paid, _ = facts.active_users(world, WEEK)
    expect(tooltip).to_contain_text("Mon 3 Feb 2025")
    expect(tooltip).to_contain_text(f"Free{free}")
    expect(tooltip).to_contain_text(f"Paid{paid}")


def test_a_link_reproduces_the_view(visitor: Visitor, address: str) -> None:
    page = visitor.open(f"{address}/?from=2025-01-30&to=2025-02-02")
    assert page.inner_text("#kpi-days") == "30 Jan 2025 – 2 Feb 2025"
    assert len(table(page, "daily-active-users")) == 4


def test_an_unfinished_day_is_drawn_as_such(visitor: Visitor, tmp_path: Path, marts: Marts) -> None:
    """Bars and a point of their own colour, named in legend, heading and table; no line falls to it."""
    now = datetime(2025, 2, 11, 14, 0, tzinfo=UTC)
    publish(tmp_path, marts, now)
    with served(tmp_path, now) as url:
        page = visitor.open(f"{url}/?from=2025-02-09&to=2025-02-11")
        for chart in ("daily-active-users", "daily-ad-revenue"):
            expect(page.locator(f"#{chart}-detail")).to_contain_text("11 Feb so far, until 14:00 UTC")
            assert [*table(page, chart)][-1] == "Tue 11 Feb 2025, until 14:00"
        bars = page.locator("#daily-active-users-chart .recharts-bar-rectangle path")
        assert [bars.nth(n).get_attribute("fill") for n in range(bars.count())].count(
            "var(--free-so-far)"
        ) == 1
        expect(page.locator("#daily-active-users-chart")).to_contain_text("Free, so far")
        expect(page.locator("#daily-ad-revenue-chart")).to_contain_text("Revenue, so far")
        line = page.locator("#daily-ad-revenue-chart .recharts-area-curve").first.get_attribute("d")
        assert line.count("L") == 1, "from the 9th to the 10th, and no further"
        page.locator("#kpi-preset label", has_text="Today").click()
        page.wait_for_url("**/?last=1")
        expect(page.locator("#daily-ad-revenue tbody th")).to_have_text(["Tue 11 Feb 2025, until 14:00"])
        page.goto(f"{url}/?from=2025-02-08&to=2025-02-10")
        expect(page.locator("#daily-active-users-chart")).not_to_contain_text("so far")
        visitor.leave()


def test_labels_of_days_stand_at_equal_distances(visitor: Visitor, address: str) -> None:
    page = visitor.open(address)
    ticks = page.locator("#daily-active-users-chart .recharts-xAxis .recharts-cartesian-axis-tick text")
    expect(ticks).to_have_count(6)
    xs = [float(ticks.nth(n).get_attribute("x")) for n in range(6)]
    steps = [right - left for left, right in pairwise(xs)]
    assert max(steps) - min(steps) < 1


def test_an_address_outside_the_data_says_what_is_shown(visitor: Visitor, address: str) -> None:
    page = visitor.open(f"{address}/?from=2031-01-01&to=2031-01-31")
    expect(page.locator("#notices")).to_contain_text("not of all of 1 to 31 Jan 2031; 11 Feb 2025 is shown")
    expect(page.locator("#daily-active-users tbody tr")).to_have_count(1)


def test_back_undoes_a_change_of_the_days(visitor: Visitor, address: str) -> None:
    page = visitor.open(address)
    expect(page.locator("#daily-active-users tbody tr")).to_have_count(28)
    page.click("#kpi-days")
    for day in (20, 22):
        page.get_by_role("button", name=f"{day} January 2025", exact=True).click()
    expect(page.locator("#daily-active-users tbody tr")).to_have_count(3)
    page.wait_for_url("**from=2025-01-20**")
    page.go_back()
    expect(page.locator("#daily-active-users tbody tr")).to_have_count(28)
    expect(page.locator("#kpi-days")).to_have_text("15 Jan 2025 – 11 Feb 2025")
    page.go_forward()
    expect(page.locator("#daily-active-users tbody tr")).to_have_count(3)
    expect(page.locator("#kpi-days")).to_have_text("20 Jan 2025 – 22 Jan 2025")
