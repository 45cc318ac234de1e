"""The report in a real browser: narrow and wide, light and dark, on paper."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from playwright.sync_api import sync_playwright

from flask_abx.results.charts import forest_svg
from flask_abx.results.showing.page import list_page, page, style_hash
from tests.results.shown import (
    SHOWN,
    crowded,
    harm,
    hostile,
    measureless,
    untrusted,
    winner,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

    from flask_abx.results.shapes import Results

CHROMIUM = Path("/usr/bin/chromium")
STORIES = [*SHOWN.values(), hostile, crowded, measureless]
POLICY = (
    f"default-src 'none'; style-src {style_hash()}; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not CHROMIUM.exists(), reason=f"Chromium is not installed at {CHROMIUM}."
    ),
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
def opened(
    browser: Browser,
    html: str,
    width: int = 1280,
    scheme: Literal["light", "dark"] = "light",
) -> Iterator[tuple[Page, list[str]]]:
    """Open a page under a strict policy; collect what it asks for or complains of."""
    context = browser.new_context(
        viewport={"width": width, "height": 860}, color_scheme=scheme
    )
    noted: list[str] = []
    try:
        shown = context.new_page()
        shown.on("console", lambda message: noted.append(message.text))
        shown.on("pageerror", lambda error: noted.append(str(error)))
        shown.on("request", lambda request: noted.append(request.url))
        shown.route(
            "http://report.test/",
            lambda route: route.fulfill(
                body=html,
                content_type="text/html; charset=utf-8",
                headers={"Content-Security-Policy": POLICY},
            ),
        )
        shown.goto("http://report.test/", wait_until="load")
        yield shown, noted
    finally:
        context.close()


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
@pytest.mark.parametrize("width", [400, 760, 1024, 1280])
def test_a_page_fits_asks_for_nothing_and_has_no_complaint(
    browser: Browser, story: Callable[[], Results], width: int
) -> None:
    with opened(browser, page(story()), width) as (shown, noted):
        assert shown.evaluate("document.documentElement.scrollWidth") == width
        assert [one for one in noted if not one.startswith("data:")] == [
            "http://report.test/"
        ]


@pytest.mark.parametrize("width", [400, 1280])
def test_the_list_fits(browser: Browser, width: int) -> None:
    results = [story() for story in STORIES]
    with opened(browser, list_page(results), width) as (shown, _):
        assert shown.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("story", [harm, untrusted], ids=lambda story: story.__name__)
@pytest.mark.parametrize("width", [400, 1000, 1010, 1280])
def test_nothing_is_cut_off(
    browser: Browser, story: Callable[[], Results], width: int
) -> None:
    # A region that scrolls by itself may be wider than it shows; nothing else may.
    script = """() => [...document.querySelectorAll('main *')]
        .filter(one => !one.closest('.scroll, svg, .unseen, details'))
        .filter(one => one.getClientRects().length)
        .filter(one => {
            const card = one.closest('.card')?.getBoundingClientRect();
            return card && one.getBoundingClientRect().right > card.right + 1;
        }).map(one => one.outerHTML.slice(0, 80))"""
    with opened(browser, page(story()), width) as (shown, _):
        assert shown.evaluate(script) == []


def test_light_and_dark_differ(browser: Browser) -> None:
    script = "() => getComputedStyle(document.documentElement).backgroundColor"
    with opened(browser, page(winner())) as (shown, _):
        light = shown.evaluate(script)
    with opened(browser, page(winner()), scheme="dark") as (shown, _):
        assert (light, shown.evaluate(script)) == (
            "rgb(244, 245, 247)",
            "rgb(11, 14, 18)",
        )


def test_a_page_is_printed_light(browser: Browser) -> None:
    script = "() => getComputedStyle(document.body).color"
    with opened(browser, page(winner()), scheme="dark") as (shown, _):
        shown.emulate_media(media="print", color_scheme="dark")
        assert shown.evaluate(script) == "rgb(20, 24, 31)"


def test_a_table_that_is_stacked_stays_a_table(browser: Browser) -> None:
    with opened(browser, page(winner()), 400) as (shown, _):
        table = shown.get_by_role("table", name="Each treatment on each metric")
        assert table.get_by_role("row").count() == 9
        assert table.get_by_role("cell", name="better since 20 Nov").count() == 1


def test_a_chart_over_time_is_told_once_whatever_the_width(browser: Browser) -> None:
    for width in (400, 1280):
        with opened(browser, page(winner()), width) as (shown, _):
            charts = shown.get_by_role("img", name="Effect on Sign-up over time")
            assert charts.count() == 1


def test_what_scrolls_can_be_reached_with_the_keyboard(browser: Browser) -> None:
    with opened(browser, page(winner()), 400) as (shown, _):
        region = shown.get_by_role("region", name="Samples").last
        region.focus()
        assert region.evaluate("one => one === document.activeElement")


def test_a_chart_alone_is_light_and_dark(browser: Browser) -> None:
    script = "() => getComputedStyle(document.querySelector('.x-card')).fill"
    fills = []
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        shown = context.new_page()
        shown.set_content(forest_svg(winner()))
        fills.append(shown.evaluate(script))
        context.close()
    assert fills == ["rgb(255, 255, 255)", "rgb(20, 24, 30)"]
