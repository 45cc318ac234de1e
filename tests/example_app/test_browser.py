"""The shop in a real browser, on a telephone and on a desk."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")
PAGES = ["/", "/tea/sencha", "/basket", "/business", "/lab"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not CHROMIUM.exists(), reason=f"Chromium is not installed at {CHROMIUM}."
    ),
    # The development server leaves a file open when a browser drops its connection.
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Chromium once, without any traffic of its own."""
    arguments = ["--no-sandbox", "--disable-background-networking", "--disable-sync"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=arguments, timeout=60_000
        )
        yield started
        started.close()


@contextmanager
def served(shop: Flask) -> Iterator[str]:
    """Serve the shop on a free port."""
    server = make_server("127.0.0.1", 0, shop, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()


@contextmanager
def opened(browser: Browser, width: int) -> Iterator[Page]:
    """Open a page of one width in a fresh profile."""
    context = browser.new_context(viewport={"width": width, "height": 860})
    try:
        yield context.new_page()
    finally:
        context.close()


@pytest.mark.parametrize("width", [400, 1360])
def test_no_page_is_wider_than_the_screen_or_complains(
    shop: Flask, browser: Browser, width: int
) -> None:
    complaints: list[str] = []
    with served(shop) as base, opened(browser, width) as page:
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        for path in PAGES:
            page.goto(base + path, wait_until="networkidle")
            found = page.evaluate("document.documentElement.scrollWidth")
            assert (path, found) == (path, width)
    assert complaints == []


def test_the_lab_shows_the_same_page_in_both_variants(
    shop: Flask, browser: Browser
) -> None:
    with served(shop) as base, opened(browser, 1360) as page:
        page.goto(f"{base}/lab", wait_until="networkidle")
        frames = [frame for frame in page.frames if "abx=headline" in frame.url]
        heads = {frame.locator("h1").first.inner_text() for frame in frames}

        assert len(heads) == 2
        assert [cookie["name"] for cookie in page.context.cookies()].count(
            "abx_preview"
        ) == 0


def test_a_basket_is_bought_with_clicks(shop: Flask, browser: Browser) -> None:
    with served(shop) as base, opened(browser, 400) as page:
        page.goto(f"{base}/tea/sencha")
        page.get_by_role("button", name="Add to basket").click()
        page.get_by_role("link", name="checkout").last.click()
        page.get_by_role("button", name="Buy for").click()

        assert page.url.startswith(f"{base}/thanks")
        assert "Thank you" in page.locator("h1").inner_text()
