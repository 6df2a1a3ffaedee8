"""The music page in a browser, against counts of the facts."""

import re
from datetime import date
from time import monotonic

import pytest
from playwright.sync_api import Page, expect

from streaming_assets_tests.dashboards import facts
from streaming_assets_tests.dashboards.browsing import Visitor
from streaming_assets_tests.dashboards.world import QUIET_STATES, World

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("browser")]

PATIENCE_SECONDS = 10
FIRST, LAST = date(2025, 1, 15), date(2025, 2, 11)  # the newest 28 days, with which the page opens


def genres(page: Page) -> list[tuple[str, str]]:
    rows = page.locator("#genres .legend li").evaluate_all(
        "all => all.map(li => [li.querySelector('.legend-name').textContent,"
        " li.querySelector('.legend-share').textContent])"
    )
    return [tuple(row) for row in rows]


def artists(page: Page) -> list[tuple[str, int]]:
    names = page.locator("#artists .bar-name").all_inner_texts()
    counts = page.locator("#artists .bar-value").all_inner_texts()
    return [(name, int(count.replace(",", ""))) for name, count in zip(names, counts, strict=True)]


def grid_rows(page: Page) -> list[tuple[int, str, str, int]]:
    """The rows in view, in order."""
    expect(page.locator("#songs-grid [col-id=rank].ag-cell").first).to_have_text(re.compile(r"\d"))
    rows = page.locator("#songs-grid .ag-center-cols-container .ag-row").evaluate_all(
        """rows => rows
            .filter(row => row.querySelector('[col-id=rank]') && row.querySelector('[col-id=rank]').textContent)
            .sort((a, b) => a.getAttribute('row-index') - b.getAttribute('row-index'))
            .map(row => ['rank', 'title', 'artist', 'streams']
                .map(name => row.querySelector(`[col-id=${name}]`).textContent))"""
    )
    return [
        (int(rank), title, artist, int(streams.replace(",", ""))) for rank, title, artist, streams in rows
    ]


def shows(world: World, page: Page, state: str = "ALL", first: date = FIRST, last: date = LAST) -> None:
    """Assert that every chart and the first songs are those of the range and state."""
    rows = facts.listens(world, first, last, state)
    expect(page.locator("#music-subtitle")).to_contain_text(f"{len(rows):,} streams")
    by_genre = facts.ranked(rows.genre)
    wanted = [(name, f"{count / len(rows):.1%}") for name, count in by_genre[:5]]
    if by_genre[5:]:
        wanted.append(("Others", f"{sum(count for _, count in by_genre[5:]) / len(rows):.1%}"))
    deadline = monotonic() + PATIENCE_SECONDS  # the charts come after the subtitle, each by itself
    while genres(page) != wanted and monotonic() < deadline:
        page.wait_for_timeout(50)
    assert genres(page) == wanted
    assert artists(page) == facts.ranked(rows.artist)[:10]
    counted = facts.songs(world, first, last, state)
    expect(page.locator("#songs-found")).to_contain_text(f"{len(counted)} songs")
    expect(page.locator("#songs-grid [col-id=streams].ag-cell").first).to_have_text(
        f"{max(counted.values()):,}"
    )
    songs = grid_rows(page)
    assert len(songs) == 12
    assert [streams for _, _, _, streams in songs] == sorted(counted.values(), reverse=True)[:12]
    assert all(counted[title, artist] == streams for _, title, artist, streams in songs)


def test_the_charts_equal_counts_of_the_facts(visitor: Visitor, address: str, world: World) -> None:
    page = visitor.open(f"{address}/music")
    shows(world, page)
    labels = page.locator(".state").evaluate_all("all => all.map(tile => tile.ariaLabel)")
    counted = dict(facts.ranked(facts.listens(world, FIRST, LAST).state_code))
    assert len(labels) == 51
    for name, code in (("California", "CA"), ("Texas", "TX"), ("Rhode Island", "RI")):
        assert any(label.startswith(f"{code}, {name}: {counted[code]:,} streams") for label in labels)
    assert "VT, Vermont: no streams" in labels


def test_a_state_chosen_from_the_list_filters_all_charts_but_the_map(
    visitor: Visitor, address: str, world: World
) -> None:
    page = visitor.open(f"{address}/music")
    california = page.get_by_role("button", name="California").get_attribute("aria-label")
    page.click("#music-state")
    page.keyboard.type("Texa")
    page.keyboard.press("Enter")
    expect(page.locator("#music-subtitle")).to_contain_text("in Texas")
    shows(world, page, "TX")
    assert page.get_by_role("button", name="California").get_attribute("aria-label") == california
    expect(page.get_by_role("button", name="Texas")).to_have_attribute("aria-pressed", "true")
    page.click("#music-state")
    page.keyboard.type("All st")
    page.keyboard.press("Enter")
    expect(page.locator("#music-subtitle")).to_contain_text("in all states")
    shows(world, page)


def test_a_click_on_the_map_filters_and_a_second_shows_all(
    visitor: Visitor, address: str, world: World
) -> None:
    page = visitor.open(f"{address}/music")
    ohio = page.get_by_role("button", name="Ohio")
    ohio.click()
    expect(page.locator("#music-subtitle")).to_contain_text("in Ohio")
    expect(page.locator("#music-state")).to_have_value("Ohio")
    shows(world, page, "OH")
    expect(page).to_have_url(re.compile("state=OH"))
    expect(ohio).to_be_focused()
    page.keyboard.press("Enter")  # the same by keyboard, where the focus was left
    expect(page.locator("#music-subtitle")).to_contain_text("in all states")
    expect(ohio).to_have_attribute("aria-pressed", "false")
    expect(page).not_to_have_url(re.compile("state="))


def test_a_date_range_filters_all_charts(visitor: Visitor, address: str, world: World) -> None:
    page = visitor.open(f"{address}/music")
    page.click("#music-days")
    page.get_by_role("button", name="14 January 2025", exact=True).click()
    page.get_by_role("button", name="20 January 2025", exact=True).click()
    expect(page.locator("#music-subtitle")).to_contain_text("14 to 20 Jan 2025")
    shows(world, page, first=date(2025, 1, 14), last=date(2025, 1, 20))


def test_songs_are_paged_sorted_and_searched_on_the_server(
    visitor: Visitor, address: str, world: World
) -> None:
    counted = facts.songs(world, FIRST, LAST)
    by_streams = sorted(counted.values(), reverse=True)
    page = visitor.open(f"{address}/music")
    assert [row[0] for row in grid_rows(page)] == list(range(1, 13))
    page.click("#songs-grid .ag-paging-button[aria-label='Next Page']")
    expect(page.locator("#songs-grid [col-id=rank].ag-cell", has_text="13")).to_be_visible()
    second = grid_rows(page)
    assert [row[0] for row in second] == list(range(13, 25))
    assert [row[3] for row in second] == by_streams[12:24]
    page.click("#songs-grid .ag-paging-button[aria-label='Last Page']")
    expect(page.locator("#songs-grid [col-id=rank].ag-cell", has_text=str(len(counted)))).to_be_visible()
    assert grid_rows(page)[-1][3] == by_streams[-1]

    page.click("#songs-grid .ag-header-cell[col-id=title]")
    titles = sorted((title for title, _ in counted), key=str.lower)
    expect(page.locator("#songs-grid [row-index='0'] [col-id=title]")).to_have_text(titles[0])
    assert [row[1] for row in grid_rows(page)] == titles[:12]
    page.click("#songs-grid .ag-header-cell[col-id=title]")
    expect(page.locator("#songs-grid [row-index='0'] [col-id=title]")).to_have_text(titles[-1])

    page.fill("#songs-search", "harbor")
    matching = {song for song in counted if "harbor" in " ".join(song).lower()}
    expect(page.locator("#songs-found")).to_have_text(f"{len(matching)} songs with “harbor”")
    assert all("Harbor" in artist for _, _, artist, _ in grid_rows(page))
    page.fill("#songs-search", "no such song")
    expect(page.locator("#songs-found")).to_have_text("No song matches with “no such song”")
    expect(page.locator("#songs-grid .ag-center-cols-container .ag-row")).to_have_count(0)


def test_a_click_on_an_artist_shows_its_songs(visitor: Visitor, address: str, world: World) -> None:
    page = visitor.open(f"{address}/music")
    name, _ = artists(page)[0]
    page.get_by_role("button", name=name, exact=True).click()
    expect(page.locator("#songs-search")).to_have_value(name)
    songs = {song for song in facts.songs(world, FIRST, LAST) if song[1] == name}
    expect(page.locator("#songs-found")).to_have_text(f"{len(songs)} songs with “{name}”")
    expect(page).to_have_url(re.compile("q="))


def test_a_click_on_a_genre_filters_the_page_and_its_chip_takes_it_away(
    visitor: Visitor, address: str, world: World
) -> None:
    page = visitor.open(f"{address}/music?genre=Polka")
    expect(page.locator("#notices")).to_contain_text("“Polka” is no genre in the data; all are shown")
    whole = genres(page)
    page.wait_for_load_state("networkidle")  # a chart that is drawn anew is another element
    page.locator("#genres-chart svg").first.click(
        position={"x": 188, "y": 73}
    )  # the ring, where the first begins
    page.wait_for_url("**/music?last=28&genre=*")
    rows = facts.listens(world, FIRST, LAST)
    rows = rows[rows.genre == whole[0][0]]
    expect(page.locator("#music-subtitle")).to_contain_text(f"{len(rows):,} streams")
    expect(page.locator("#genres .legend .choice").first).to_have_attribute("aria-pressed", "true")
    assert (genres(page), artists(page)) == (whole, facts.ranked(rows.artist)[:10])
    expect(page.locator("#songs-found")).to_contain_text(f"{rows.pk_song.nunique()} songs")
    texas = (rows.state_code == "TX").sum()
    expect(page.get_by_role("button", name="Texas")).to_have_accessible_name(
        re.compile(f"^TX, Texas: {texas} streams")
    )
    page.locator(".chip", has_text=whole[0][0]).press("Enter")
    expect(page.locator(".chip")).to_have_count(0)
    page.wait_for_url("**/music?last=28")
    shows(world, page)


def test_a_link_reproduces_the_view(visitor: Visitor, address: str, world: World) -> None:
    page = visitor.open(f"{address}/music")
    page.get_by_role("button", name="New York").click()
    expect(page.locator("#music-subtitle")).to_contain_text("in New York")
    page.fill("#songs-search", "rain")
    expect(page.locator("#songs-found")).to_contain_text("“rain”")
    page.wait_for_url("**/music?last=28&state=NY&q=rain")
    again = visitor.open(page.url)
    expect(again.locator("#songs-found")).to_have_text(page.inner_text("#songs-found"))
    assert again.input_value("#songs-search") == "rain"
    assert again.input_value("#music-state") == "New York"
    assert (genres(again), artists(again), grid_rows(again)) == (genres(page), artists(page), grid_rows(page))
    expect(again.get_by_role("button", name="New York")).to_have_attribute("aria-pressed", "true")


def test_an_unknown_state_in_the_address_is_said_and_all_are_shown(
    visitor: Visitor, address: str, world: World
) -> None:
    page = visitor.open(f"{address}/music?state=Atlantis&from=never")
    notices = page.locator("#notices").inner_text()
    assert "“Atlantis” is no state in the data" in notices
    assert "“never” is no date" in notices
    shows(world, page)


def test_a_state_without_streams_says_so(visitor: Visitor, address: str) -> None:
    page = visitor.open(f"{address}/music?state={QUIET_STATES[0]}")
    for chart in ("genres", "artists"):
        expect(page.locator(f"#{chart}")).to_contain_text("No streams in Vermont")
    expect(page.locator("#songs-found")).to_have_text("No song matches")
    page.get_by_role("button", name="Vermont").click()  # chosen again, all states are back
    expect(page.locator("#music-subtitle")).to_contain_text("in all states")


def test_back_goes_through_the_filters_and_then_to_the_page_before(
    visitor: Visitor, address: str, world: World
) -> None:
    page = visitor.open(address)
    page.click("text=Music")
    expect(page.locator("#music-subtitle")).to_contain_text("in all states")
    page.get_by_role("button", name="Ohio").click()
    expect(page.locator("#music-subtitle")).to_contain_text("in Ohio")
    page.get_by_role("button", name="Texas").click()
    expect(page.locator("#music-subtitle")).to_contain_text("in Texas")
    page.fill("#songs-search", "rain")
    expect(page.locator("#songs-found")).to_contain_text("“rain”")
    page.fill("#songs-search", "rainy")  # typed on: the same step
    expect(page.locator("#songs-found")).to_contain_text("“rainy”")
    page.go_back()
    expect(page.locator("#songs-search")).to_have_value("")
    shows(world, page, "TX")
    page.go_back()
    expect(page.locator("#music-state")).to_have_value("Ohio")
    shows(world, page, "OH")
    page.go_forward()
    shows(world, page, "TX")
    page.go_back()
    page.go_back()
    shows(world, page)
    page.go_back()
    expect(page.locator("h1")).to_have_text("Business KPIs")


@pytest.mark.parametrize("width", [1024, 1440])
def test_a_download_stands_beside_its_heading(visitor: Visitor, address: str, width: int) -> None:
    for path in ("/", "/music"):
        page = visitor.open(address + path)
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(200)
        tops = page.evaluate(
            "[...document.querySelectorAll('.card-head')].filter(e => e.querySelector('.download')).map(head => ["
            "head.querySelector('h2').getBoundingClientRect().bottom,"
            "head.querySelector('.download').getBoundingClientRect().top,"
            "head.querySelector('.download').getBoundingClientRect().height])"
        )
        assert all(top < bottom and height < 36 for bottom, top, height in tops), tops
