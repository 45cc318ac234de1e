"""The script of the front-ends page, in a real browser."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.docs.runner import Page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "front-ends.md"
HEADLINES = {"control": "Welcome", "bold": "Start now!"}


@pytest.mark.browser
def test_the_script_shows_the_variant_and_tells_that_it_was_seen(
    tmp_path: Path,
) -> None:
    with Page(PAGE, tmp_path) as page, sync_playwright() as playwright:
        page.follow()
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        tab = browser.new_page()
        for _ in range(2):
            with tab.expect_response("**/exposure") as told:
                tab.goto(page.address)
            assert told.value.status == 204
        shown = tab.text_content("#headline")
        browser.close()
        (exposure,) = (json.loads(line) for line in page.new_records().splitlines())
    assert shown == HEADLINES[exposure["variant"]]
