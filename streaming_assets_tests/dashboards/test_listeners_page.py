"""The pages of listeners and their habits in a browser, against counts of the facts."""

import re
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from playwright.sync_api import expect

from streaming_assets.testing.publishing import publish
from streaming_assets_tests.dashboards.browsing import Visitor
from streaming_assets_tests.dashboards.serving import served
from streaming_assets_tests.dashboards.world import Marts, World, facts_of

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("browser")]


def test_the_triangle_and_the_funnel_follow_the_days(visitor: Visitor, address: str, world: World) -> None:
    page = visitor.open(f"{address}/listeners?from=2025-01-06&to=2025-01-19")
    first = world.sessions.groupby("user_id").event_date.min()
    new = first[(first >= date(2025, 1, 13)) & (first <= date(2025, 1, 19))].index
    later = world.sessions[
        (world.sessions.event_date >= date(2025, 1, 20)) & world.sessions.user_id.isin(new)
    ]
    came = later[later.event_date <= date(2025, 1, 26)].user_id.nunique()
    cells = page.locator("#retention-rows tr").nth(1).locator("th, td").all_inner_texts()
    assert cells[:3] == ["13 Jan 2025", str(len(new)), f"{came / len(new):.0%}"]
    expect(page.locator("#retention-rows tr")).to_have_count(2)
    expect(page.locator("#funnel-steps .bar-value").first).to_have_text(
        f"{(first <= date(2025, 1, 19)).sum()} · 100.0%"
    )
    page.click("#listeners-days")
    for day in (13, 14):
        page.get_by_role("button", name=f"{day} January 2025", exact=True).click()
    expect(page.locator("#retention-rows tr")).to_have_count(1)
    page.wait_for_url("**/listeners?from=2025-01-13&to=2025-01-14")
    page.locator("#retention-rows button").click()  # a click on a mark shows its days: a cohort's week
    page.wait_for_url("**/listeners?from=2025-01-13&to=2025-01-19")
    expect(page.locator("#level-changes-rows tr")).to_have_count(7)
    bar = page.locator("#level-changes-chart .recharts-bar-rectangle path").first
    bar.click()  # and the day of a bar
    expect(page.locator("#level-changes-rows tr")).to_have_count(1)
    page.wait_for_url("**/listeners?from=2025-01-13&to=2025-01-13")
    page.go_back()
    expect(page.locator("#level-changes-rows tr")).to_have_count(7)
    page.locator("#new-users-chart .recharts-bar-rectangle path").first.click()
    expect(page.locator("#retention-rows tr")).to_have_count(1)


def test_a_day_and_a_week_that_are_not_over_are_drawn_pale(
    visitor: Visitor, tmp_path: Path, marts: Marts, world: World
) -> None:
    now = datetime(2025, 2, 11, 14, 0, tzinfo=UTC)
    publish(tmp_path, marts | facts_of(world), now)
    with served(tmp_path, now) as url:
        page = visitor.open(f"{url}/listeners?last=7")
        for chart, of, whole in (("new-users", "10 Feb", 1), ("level-changes", "11 Feb", 6)):
            expect(page.locator(f"#{chart}-rows th")).to_have_count(whole + 1)
            expect(page.locator(f"#{chart}-rows th").last).to_have_text(f"{of}, so far")
            fills = page.locator(f"#{chart}-chart .recharts-bar-rectangle path").evaluate_all(
                "bars => bars.map(bar => bar.getAttribute('fill'))"
            )
            assert fills.count("var(--series-1-so-far)") == 1, "the first series of the newest bar"
            assert fills.count("var(--series-1)") == whole
        page.locator("#new-users-chart .recharts-bar-rectangle path").last.click()
        page.wait_for_url("**/listeners?from=2025-02-10&to=2025-02-11")
        visitor.leave()


@pytest.mark.parametrize(
    ("page_path", "chart"),
    [
        ("/", "daily-active-users"),
        ("/", "daily-ad-revenue"),
        ("/listeners", "new-users"),
        ("/listeners", "level-changes"),
        ("/listeners", "retention"),
    ],
)
def test_the_keyboard_shows_the_days_that_a_click_on_a_mark_shows(
    visitor: Visitor, address: str, page_path: str, chart: str
) -> None:
    page = visitor.open(f"{address}{page_path}?from=2025-01-13&to=2025-01-26")
    page.wait_for_load_state("networkidle")  # a chart that is drawn anew takes the focus with it
    table = page.locator(f"#{chart} .as-table summary")
    if table.count():
        table.focus()
        page.keyboard.press("Enter")
    week = chart in ("new-users", "retention")
    button = page.locator(f"#{chart}-rows button").nth(0)
    expect(button).to_have_accessible_description("Show these days alone")
    for _ in range(40):
        page.keyboard.press("Tab")
        if button.evaluate("button => button === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{page_path}?from=2025-01-13&to=2025-01-{19 if week else 13}")
    expect(page.locator(f"#{chart}-rows tr")).to_have_count(1)
    expect(page.locator(".date-range button")).to_be_focused()


def test_a_preset_shows_the_newest_days_and_compares_them(
    visitor: Visitor, address: str, world: World
) -> None:
    page = visitor.open(f"{address}/habits")
    names = ["Newest day", "7 days", "28 days", "12 weeks", "Custom"]  # the data ends before today
    expect(page.locator("#habits-preset label")).to_have_text(names)
    page.locator("#habits-preset label", has_text="7 days").click()
    expect(page.locator("#habits-days")).to_have_text("5 Feb 2025 – 11 Feb 2025")
    now, before = (
        len(world.listens[(world.listens.event_date >= first) & (world.listens.event_date <= last)])
        for first, last in (
            (date(2025, 2, 5), date(2025, 2, 11)),
            (date(2025, 1, 29), date(2025, 2, 4)),
        )
    )
    moved = f"{'up' if now > before else 'down'} {abs(now / before - 1):.1%} on 29 Jan to 4 Feb 2025"
    expect(page.locator("#habits-subtitle")).to_contain_text(f"{now:,} streams in all states")
    expect(page.locator("#habits-subtitle")).to_contain_text(moved)
    page.wait_for_url("**/habits?last=7")
    page.click("#habits-days")
    for day in (6, 7):
        page.get_by_role("button", name=f"{day} February 2025", exact=True).click()
    expect(page.locator("#habits-preset input:checked")).to_have_value("custom")
    page.wait_for_url("**/habits?from=2025-02-06&to=2025-02-07")
    page.go_back()
    expect(page.locator("#habits-preset input:checked")).to_have_value("7")


def test_a_table_is_copied_as_it_stands(visitor: Visitor, address: str) -> None:
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visitor.open(f"{address}/habits?last=7")
    page.wait_for_load_state("networkidle")  # a chart that is drawn anew closes its table
    page.locator("#session-songs summary", has_text="Show as table").click()
    page.locator("#session-songs .copy").click()
    expect(page.locator("#session-songs .copy")).to_contain_text("Copied")
    rows = page.evaluate("navigator.clipboard.readText()").split("\n")
    assert rows[0] == "Songs\tSessions"
    assert [row.split("\t") for row in rows[1:]] == page.locator("#session-songs tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    )


def test_the_songs_played_next_are_those_after_the_one_chosen(visitor: Visitor, address: str) -> None:
    page = visitor.open(f"{address}/habits?last=7")
    expect(page.locator("#next-songs-detail")).to_contain_text("After ")
    page.click("#next-songs-of")
    second = page.get_by_role("option").nth(2)
    name = second.inner_text()
    second.click()
    expect(page.locator("#next-songs-detail")).to_contain_text(f"After {name}, in all states")
    expect(page).to_have_url(re.compile(r"\?last=7&song=[0-9a-f]{32}$"))
    counts = page.locator("#next-songs .bar-value").all_inner_texts()
    again = visitor.open(page.url)
    expect(again.locator("#next-songs-of")).to_have_value(name)
    assert again.locator("#next-songs .bar-value").all_inner_texts() == counts
    page.locator("#habits-preset label", has_text="28 days").click()
    expect(page.locator("#habits-subtitle")).to_contain_text("15 Jan")
    expect(page.locator("#next-songs-detail")).to_contain_text(f"After {name}")
    following = page.locator("#next-songs .bar-name").nth(1)
    named = following.inner_text()
    following.click()  # and so on, from song to song
    expect(page.locator("#next-songs-detail")).to_contain_text(f"After {named}")
    expect(page.locator("#next-songs-of")).to_have_value(named)
    wrong = visitor.open(f"{address}/habits?song=rain")
    expect(wrong.locator("#notices")).to_contain_text("“rain” is no key of a song")


def test_the_heat_map_follows_the_state(visitor: Visitor, address: str, world: World) -> None:
    page = visitor.open(f"{address}/habits?from=2025-02-01&to=2025-02-09&state=TX")
    rows = world.listens[
        (world.listens.state_code == "TX")
        & (world.listens.event_date >= date(2025, 2, 1))
        & (world.listens.event_date <= date(2025, 2, 9))
    ]
    plays = Counter((at.weekday(), at.hour) for at in rows["at"])
    cells = page.locator("#play-hours-rows td").all_text_contents()
    assert [int(cell) for cell in cells] == [plays[at // 24, at % 24] for at in range(7 * 24)]
    expect(page.locator("#habits-subtitle")).to_contain_text(f"{len(rows):,} streams in Texas")


def test_clicks_on_hours_and_bars_filter_what_follows_them(visitor: Visitor, address: str) -> None:
    page = visitor.open(f"{address}/habits")
    page.wait_for_load_state("networkidle")  # a chart that is drawn anew is another element
    page.locator("#play-hours-rows tr").nth(4).locator("td").nth(17).click()
    page.wait_for_url("**/habits?last=28&hour=17&weekday=5")
    expect(page.locator(".chip")).to_contain_text(["17:00 to 18:00", "Fridays"])
    plays = int(page.locator("#play-hours-rows .cell-chosen").text_content().replace(",", ""))
    expect(page.locator("#habits-subtitle")).to_contain_text(f"{plays:,} streams in all states")
    page.wait_for_load_state("networkidle")
    page.locator("#session-lengths-chart .recharts-bar-rectangle path").nth(1).click()
    page.wait_for_url("**/habits?last=28&hour=17&minutes=15&weekday=5")
    for place in ("#habits-subtitle", "#play-hours-detail", "#next-songs-detail"):
        expect(page.locator(place)).to_contain_text("not filtered by “Sessions of 15–30 minutes”")
    lengths = page.locator("#session-lengths-rows tr").nth(1)
    expect(lengths.locator("button")).to_have_attribute("aria-pressed", "true")
    sessions = page.locator("#session-songs-rows td").all_text_contents()
    assert sum(map(int, sessions)) == int(lengths.locator("td").text_content())
    page.go_back()
    expect(page.locator(".chip")).to_have_count(2)


@pytest.mark.parametrize(
    ("path", "chart", "row", "set_"),
    [
        ("/music", "genres", 1, "genre="),
        ("/habits", "play-hours", 0, "weekday=1"),
        ("/habits", "session-songs", 2, "songs=2"),
        ("/listeners", "funnel", 3, "step=paid"),
        ("/listeners", "departures", 0, "left="),
    ],
    ids=["genre", "weekday", "songs", "step", "page"],
)
def test_the_keyboard_sets_the_filter_that_a_click_on_a_mark_sets(
    visitor: Visitor, address: str, path: str, chart: str, row: int, set_: str
) -> None:
    page = visitor.open(f"{address}{path}?last=28")
    page.wait_for_load_state("networkidle")  # a chart that is drawn anew takes the focus with it
    table = page.locator(f"#{chart} .as-table summary")
    if table.count():
        table.press("Enter")
    button = page.locator(f"#{chart}-rows tr").nth(row).get_by_role("button")
    expect(button).to_have_attribute("aria-pressed", "false")
    button.press("Enter")
    page.wait_for_url(f"**{path}?last=28&{set_}*")
    expect(page.locator(".chips")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator(".chip")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{path}?last=28")
    expect(page.locator(".chip")).to_have_count(0)
