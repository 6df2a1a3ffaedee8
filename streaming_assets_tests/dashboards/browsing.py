"""A real browser for the page tests, and what every page must keep to while one looks at it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from streaming_assets.testing import CACHE
from streaming_assets_tests.tools import fetch, kept, need

LAUNCH = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
_AXE = "axe-core@4.14.1"


class Visitor:
    """Opens pages, and notes what no page may do: an error in the console, a request to another host."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.complaints: list[str] = []
        self.address = ""
        self._has_left = False

    def open(self, address: str, phone: bool = False, until: Literal["load", "commit"] = "load") -> Page:
        """The page at `address`, when its heading is there; or when the first byte is."""
        self.address = address.split("/", 3)[2]
        page = self.context.new_page()
        if phone:
            page.set_viewport_size(PHONE)
        page.on("console", lambda message: self._complain(message.type, message.text))
        page.on("pageerror", lambda error: self._complain("error", f"exception: {error}"))
        page.on("request", lambda request: self._check(request.url))
        page.goto(address, wait_until=until)
        if until == "load":
            page.wait_for_selector("h1")
        return page

    def leave(self) -> None:
        """Close all pages, before the server ends. What they say then, of a request cut short, is no complaint."""
        self._has_left = True
        for page in self.context.pages:
            page.close()

    def _complain(self, kind: str, text: str) -> None:
        if not self._has_left and kind in ("error", "warning"):
            self.complaints.append(f"{kind}: {text}")

    def _check(self, url: str) -> None:
        if not url.startswith((f"http://{self.address}/", "data:", "blob:")):
            self.complaints.append(f"request to {url}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = need("chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=LAUNCH)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def browser_context(browser: Browser) -> BrowserContext:
    """One for all tests, so that scripts are fetched once; the pages keep nothing in it."""
    context = browser.new_context(viewport=DESKTOP)
    context.set_default_timeout(15_000)
    return context


@pytest.fixture
def visitor(browser_context: BrowserContext) -> Iterator[Visitor]:
    """A visitor whose pages must not have complained by the end of the test."""
    one = Visitor(browser_context)
    yield one
    one.leave()
    assert not one.complaints, "; ".join(one.complaints)


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, which judges a page's accessibility; kept in the project's cache."""
    return kept(CACHE / "axe", _AXE, _install_axe, "node_modules/axe-core/axe.min.js").read_text()


def _install_axe(folder: Path) -> None:
    fetch(need("npm"), "install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts", _AXE)
