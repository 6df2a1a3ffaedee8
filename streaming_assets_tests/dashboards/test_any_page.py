"""What holds on all pages, in a browser: freshness, failures, new snapshots, downloads, accessibility."""

import csv
import io
import os
from datetime import date, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from streaming_assets.dashboards import app, pages
from streaming_assets.dashboards.pages import PAGES
from streaming_assets.published.manifest import MANIFEST, Hours
from streaming_assets.settings import PROJECT_ROOT
from streaming_assets.testing.publishing import publish
from streaming_assets_tests.dashboards import facts
from streaming_assets_tests.dashboards.browsing import Visitor
from streaming_assets_tests.dashboards.serving import served
from streaming_assets_tests.dashboards.world import (
    AS_OF,
    LAST_DAY,
    Marts,
    World,
    facts_of,
    make_world,
    marts_of,
)

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("browser")]

FIRST, LAST = date(2025, 2, 1), date(2025, 2, 9)
SCHEME = "data-mantine-color-scheme"
RANGE = f"from={FIRST}&to={LAST}"
NOW = AS_OF + timedelta(minutes=7)


def downloaded(page: Page, chart: str) -> list[dict[str, str]]:
    """The rows of the file that a click on a chart's link brings."""
    with page.expect_download() as download:
        page.click(f"#{chart}-download")
    assert download.value.suggested_filename.startswith(chart)
    return list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))


def test_the_csv_of_each_kpi_chart_holds_its_days(visitor: Visitor, address: str, world: World) -> None:
    page = visitor.open(f"{address}/?{RANGE}")
    days = [FIRST + timedelta(days=n) for n in range(9)]
    users = downloaded(page, "daily-active-users")
    assert [row["day"] for row in users] == [str(day) for day in days]
    for day, row in zip(days, users, strict=True):
        assert (int(row["free"]), int(row["paid"]), int(row["all"])) == facts.active_users(world, day)
    for day, row in zip(days, downloaded(page, "daily-ad-revenue"), strict=True):
        assert row["day"] == str(day)
        assert float(row["ad_revenue_usd"]) == pytest.approx(facts.ad_revenue(world, day))


def test_the_csv_of_each_music_chart_holds_all_its_rows(visitor: Visitor, address: str, world: World) -> None:
    page = visitor.open(f"{address}/music?{RANGE}&state=FL&q=moon")
    rows = facts.listens(world, FIRST, LAST, "FL")
    for chart, column in (("genres", "genre"), ("artists", "artist")):
        got = downloaded(page, chart)
        assert [(row[column], int(row["streams"])) for row in got] == facts.ranked(rows[column])
        assert sum(float(row["share"]) for row in got) == pytest.approx(1)
    by_state = facts.ranked(facts.listens(world, FIRST, LAST).state_code)
    assert [(row["state_code"], int(row["streams"])) for row in downloaded(page, "states")] == by_state
    songs = {(row["title"], row["artist"]): int(row["streams"]) for row in downloaded(page, "songs")}
    counted = facts.songs(world, FIRST, LAST, "FL")
    assert songs == {song: streams for song, streams in counted.items() if "moon" in " ".join(song).lower()}


def test_the_age_of_the_data_stands_above_a_page_with_a_warning_once_it_is_too_old(
    visitor: Visitor, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "POLL_SECONDS", 0.3)
    now = AS_OF + timedelta(minutes=90)
    with served(published, lambda: now) as url:
        page = visitor.open(url)
        expect(page.locator("#freshness")).to_contain_text("Data as of 12 Feb 2025, 00:00 UTC")
        expect(page.locator("#freshness .age")).to_have_text("90 min old")
        assert page.inner_text("#stale") == ""
        now += timedelta(minutes=1)
        expect(page.locator("#freshness .age")).to_have_text("91 min old")
        expect(page.locator("#stale")).to_contain_text("Check in Dagster")
        visitor.leave()


def test_an_open_page_takes_up_a_new_snapshot_without_a_reload(
    visitor: Visitor, tmp_path: Path, marts: Marts, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From nothing published, to no rows, to some days, to a damaged manifest, to all days."""
    monkeypatch.setattr(app, "POLL_SECONDS", 0.3)
    early = {
        name: {day: rows for day, rows in days.items() if day < date(2025, 1, 27)}
        for name, days in marts.items()
    }
    with served(tmp_path, NOW) as url:
        kpi, music = visitor.open(url), visitor.open(f"{url}/music")
        for page in (kpi, music):
            expect(page.locator("h1")).to_have_text("No data has been published yet")
            assert "make dev" in page.inner_text("#page")
        publish(tmp_path, {}, AS_OF)
        expect(kpi.locator("h1")).to_have_text("No users yet")
        expect(music.locator("h1")).to_have_text("No streams yet")
        assert "Look in Dagster whether" in music.inner_text("#page")
        publish(tmp_path, early, AS_OF)
        expect(kpi.locator("#kpi-subtitle")).to_contain_text("20 to 26 Jan 2025")
        expect(music.locator("#music-subtitle")).to_contain_text("6 to 26 Jan 2025")
        (tmp_path / MANIFEST).write_text("damaged")
        for page in (kpi, music):
            expect(page.locator("h1")).to_have_text("The published data can't be read")
        publish(tmp_path, marts, AS_OF, replace_all=True)
        expect(kpi.locator("#kpi-subtitle")).to_contain_text("3 to 9 Feb 2025")
        wanted = facts.week(world, date(2025, 2, 3), 4.99)["total-users"]
        assert int(kpi.locator("#total-users").get_attribute("data-value")) == wanted
        listens = facts.listens(world, date(2025, 1, 15), LAST_DAY)
        expect(music.locator("#music-subtitle")).to_contain_text(f"{len(listens):,} streams")
        visitor.leave()


def test_a_page_takes_up_a_snapshot_and_keeps_its_filters_and_what_is_open(
    visitor: Visitor, tmp_path: Path, marts: Marts, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "POLL_SECONDS", 0.3)
    publish(tmp_path, {name: dict(list(days.items())[:-1]) for name, days in last_days(marts).items()}, AS_OF)
    with served(tmp_path, NOW) as url:
        page = visitor.open(f"{url}/music?from=2025-02-09&to=2025-02-10&state=TX")
        before = page.inner_text("#music-subtitle")
        late = AS_OF - timedelta(hours=5)
        publish(
            tmp_path, last_days(marts), AS_OF, hours=Hours(first=late - timedelta(days=6), absent=(late,))
        )
        page.locator("#whole-until summary", has_text="1 hour missing or late").click()
        expect(page.locator("#whole-until .definition")).to_contain_text("11 Feb 2025, 19:00 to 20:00")
        for _ in range(2):
            with page.expect_response("**/_dash-update-component*"):
                pass  # it polled
        expect(page.locator("#whole-until .definition")).to_be_visible()
        assert page.inner_text("#music-subtitle") == before
        assert page.input_value("#music-state") == "Texas"
        assert page.url.endswith("?from=2025-02-09&to=2025-02-10&state=TX")
        visitor.leave()


def last_days(marts: Marts) -> Marts:
    return {name: dict(sorted(days.items())[-5:]) for name, days in marts.items()}


def test_a_page_that_loads_while_snapshots_are_replaced_shows_one_of_them(
    visitor: Visitor, tmp_path: Path, marts: Marts
) -> None:
    """Two worlds take turns while pages load; no page shows a mixture, none fails."""
    worlds = [last_days(marts), last_days(marts_of(make_world(users=100, seed=8)))]
    publish(tmp_path, worlds[1], AS_OF)
    with served(tmp_path, NOW) as url:
        seen = set()
        for turn in range(4):
            page = visitor.open(f"{url}/music", until="commit")
            publish(tmp_path, worlds[turn % 2], AS_OF, replace_all=True)
            expect(page.locator("#songs-grid [col-id=rank].ag-cell").first).to_have_text("1")
            seen.add((page.inner_text("#music-subtitle"), page.inner_text("#artists .bar-value >> nth=0")))
            page.close()
        assert len(seen) <= 2
        visitor.leave()


MARKUP = "<img src=x onerror=alert(1)>"


def test_names_with_markup_are_text(visitor: Visitor, tmp_path: Path) -> None:
    """On all pages; an image would be asked for, which no visitor's page may do."""
    world = make_world(users=100, seed=8)
    for column in ("title", "artist", "genre"):
        world.listens[column] = MARKUP
    world.departures["reason_page"] = MARKUP
    publish(tmp_path, last_days(marts_of(world) | facts_of(world)), AS_OF)
    with served(tmp_path, NOW) as url:
        for path, shown in (
            (
                "/music",
                ("#artists .bar-name", "#genres .legend-name", "#songs-grid [col-id=title].ag-cell"),
            ),
            ("/music?q=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E", ("#songs-found",)),
            ("/music?state=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E", ("#notices",)),
            ("/listeners", ("#departures-rows th",)),
            ("/habits", ("#next-songs .bar-name", "#next-songs-detail")),
        ):
            page = visitor.open(url + path)
            for place in shown:
                expect(page.locator(place).first).to_contain_text(MARKUP)
            assert page.locator("img[src=x]").count() == 0
        visitor.leave()


@pytest.mark.parametrize("asked", PAGES, ids=lambda asked: asked.name)
def test_a_page_is_drawn_once_when_it_is_opened(visitor: Visitor, address: str, asked: pages.Page) -> None:
    redrawn: list[str] = []

    def note(request: Request) -> None:
        if f"{asked.name}-subtitle.children" in (request.post_data or ""):
            redrawn.append(request.url)

    visitor.context.on("request", note)
    page = visitor.open(f"{address}{asked.path}?last=28")
    page.wait_for_load_state("networkidle")
    assert redrawn == []
    with page.expect_response(lambda response: bool(redrawn)):
        page.locator(f"#{asked.name}-preset label", has_text="7 days").click()
    visitor.context.remove_listener("request", note)


def test_a_filter_that_fails_says_so_and_the_page_keeps_what_it_shows(
    visitor: Visitor, tmp_path: Path, marts: Marts
) -> None:
    late = {
        name: {d: rows for d, rows in days.items() if d > date(2025, 1, 12)} for name, days in marts.items()
    }
    manifest = publish(tmp_path, late, AS_OF)
    with served(tmp_path, NOW) as url:
        page = visitor.open(f"{url}/music?from=2025-02-01&to=2025-02-03")
        before = page.inner_text("#artists")
        for day, file in manifest.tables["mart_daily_genre_streams"].days.items():
            if file and day < date(
                2025, 1, 20
            ):  # those of the newest days, and of what these are compared with, stay
                (tmp_path / file.file).unlink()
        page.click("#music-days")
        page.get_by_role("button", name="Month before").click()
        page.get_by_role("button", name="14 January 2025", exact=True).click()
        page.get_by_role("button", name="15 January 2025", exact=True).click()
        expect(page.locator("#failure")).to_contain_text("This could not be shown")
        expect(page.locator("#failure")).to_contain_text("Materialise dashboard_snapshot")
        assert page.inner_text("#artists") == before
        page.click("#music-days")
        page.get_by_role("button", name="Next month").click()
        page.get_by_role("button", name="5 February 2025", exact=True).click()
        page.get_by_role("button", name="6 February 2025", exact=True).click()
        expect(page.locator("#music-subtitle")).to_contain_text("5 to 6 Feb 2025")
        expect(page.locator("#failure")).to_be_empty()
        visitor.leave()


def test_an_address_that_is_no_page_leads_back(visitor: Visitor, address: str) -> None:
    page = visitor.open(f"{address}/nowhere")
    expect(page.locator("h1")).to_have_text("There is no such page")
    page.click("text=To the KPIs")
    expect(page.locator("h1")).to_have_text("Business KPIs")


@pytest.mark.parametrize("path", [page.path for page in PAGES])
def test_a_phone_needs_no_sideways_scrolling(visitor: Visitor, address: str, path: str) -> None:
    page = visitor.open(address + path, phone=True)
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    beyond = page.evaluate(
        "[...document.querySelectorAll('.card, button, input, a.download')]"
        ".filter(e => e.getBoundingClientRect().right > 391 && e.offsetParent).map(e => e.outerHTML.slice(0, 90))"
    )
    assert beyond == []


@pytest.mark.parametrize(
    "path",
    [
        "/",
        f"/music?{RANGE}&state=TX",
        "/music?state=VT&genre=Rock",
        "/listeners?step=back&left=Help",
        "/habits?weekday=5&hour=17&minutes=15",
        "/nowhere",
    ],
)
def test_axe_finds_no_serious_violation(visitor: Visitor, address: str, axe: str, path: str) -> None:
    page = visitor.open(address + path)
    page.wait_for_timeout(500)
    cards = page.locator(".charts .card")
    assert cards.count() == page.locator(".charts .card .about .definition").count(), (
        "each says what it shows"
    )
    page.evaluate(axe)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        expect(page.locator("html")).to_have_attribute(SCHEME, scheme)
        found = page.evaluate("axe.run().then(result => result.violations)")
        serious = [
            (issue["id"], issue["impact"], node["html"][:200], node["failureSummary"][:300])
            for issue in found
            if issue["impact"] in ("serious", "critical")
            for node in issue["nodes"]
        ]
        assert serious == [], scheme


def test_pages_take_the_colours_that_a_visitor_prefers_until_others_are_chosen(
    browser: Browser, address: str
) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(f"{address}/habits", wait_until="commit")
    page.wait_for_selector("#scheme")
    assert page.get_attribute("html", SCHEME) == "dark"
    assert page.evaluate(background) == "rgb(10, 12, 19)"
    page.click("#scheme")
    expect(page.locator("html")).to_have_attribute(SCHEME, "light")
    assert page.evaluate(background) == "rgb(244, 246, 251)"
    page.click("text=Music")
    page.wait_for_selector("h1 >> text=Music charts")
    assert page.get_attribute("html", SCHEME) == "light"
    page.reload(wait_until="commit")
    page.wait_for_selector("body")
    assert page.get_attribute("html", SCHEME) == "light", "before anything is drawn"
    context.close()


def test_every_control_is_reached_by_tab(visitor: Visitor, address: str) -> None:
    page = visitor.open(f"{address}/music")
    reached = []
    for _ in range(90):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.id || document.activeElement.className || 'body'")
        )
    for control in (
        "nav-kpis",
        "nav-habits",
        "music-days",
        "music-state",
        "states-download",
        "artists-download",
        "songs-search",
    ):
        assert control in reached
    assert sum("state" in name and "code" in name for name in reached) == 51


def test_screenshots(visitor: Visitor, address: str, tmp_path: Path) -> None:
    """Those of docs/images: `SCREENSHOTS=docs/images pytest -k screenshots` writes them anew, at all widths."""
    asked = "SCREENSHOTS" in os.environ
    folder = PROJECT_ROOT / os.environ["SCREENSHOTS"] if asked else tmp_path
    for one in PAGES:
        page = visitor.open(address + one.path)
        for width in (1440, 1024, 390) if asked else (1440,):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(500)
            image = page.screenshot(path=folder / f"dashboard-{one.name}-{width}.png", full_page=True)
            assert len(image) > 30_000
