"""Looking at a variant by hand: `?abx=headline:bold`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flask_abx import ABX, Event
from tests.checks.browser import Browser

if TYPE_CHECKING:
    from flask import Flask

    from tests.conftest import MakeApp
    from tests.runtime.conftest import Sign

NAME = "__Host-abx"
ANNA = "a" * 32
TWO = {
    "headline": {"variants": ["control", "bold"]},
    "price": {"variants": ["low", "high"]},
}


@pytest.fixture
def shop(make_app: MakeApp) -> Flask:
    """An application in debug, whose `/both` reads two experiments."""
    abx = ABX()
    shop = make_app(TWO, abx=abx, DEBUG=True)

    @shop.get("/both")
    def both() -> str:
        return f"{abx.variant('headline')} {abx.variant('price')}"

    @shop.get("/reason")
    def reason() -> str:
        return str(abx.assignment("headline").reason)

    return shop


@pytest.mark.parametrize("variant", ["control", "bold"])
def test_it_shows_the_variant_and_keeps_it_for_the_session(
    shop: Flask, variant: str
) -> None:
    browser = Browser(shop)
    shown = browser.visit(f"/?abx=headline:{variant}")
    [cookie] = shown.cookies
    assert (shown.served, shown.recorded) == (variant, ())
    assert cookie.startswith(f"abx_preview=headline:{variant};")
    assert not {"Max-Age", "Expires"} & {
        part.strip().partition("=")[0] for part in cookie.split(";")
    }
    after = browser.visit("/")
    assert (after.served, after.is_silent) == (variant, True)
    assert browser.visit("/reason").served == "forced"


def test_several_are_shown_and_added(shop: Flask) -> None:
    browser = Browser(shop)
    assert browser.visit("/both?abx=headline:bold,price:high").served == "bold high"
    assert browser.visit("/both?abx=price:low").served == "bold low"
    assert browser.visit("/both").served == "bold low"
    assert Browser(shop).visit("/both?abx=price:low&abx=headline:bold").served == (
        "bold low"
    )


def test_it_is_never_recorded_and_never_in_the_cookie(shop: Flask) -> None:
    browser = Browser(shop)
    browser.visit("/both?abx=headline:bold")
    signup = browser.visit("/signup", method="POST")
    both = browser.visit("/both")
    assert "headline:1" not in browser.jar[NAME]
    assert [event.variants for event in signup.events] == [
        {"price": both.served.split()[1]}
    ]
    assert "headline" not in " ".join(both.exposed)


def test_a_sticky_visitor_is_shown_another_and_keeps_the_own(
    shop: Flask, sign: Sign
) -> None:
    jar = {NAME: sign(f"1~{ANNA}~headline:1:control")}
    browser = Browser(shop, jar)
    assert browser.visit("/?abx=headline:bold").served == "bold"
    del browser.jar["abx_preview"]
    assert browser.visit("/").served == "control"
    assert browser.jar == jar


@pytest.mark.parametrize("frame", ["iframe", "frame"])
def test_a_frame_shows_it_and_keeps_nothing(shop: Flask, frame: str) -> None:
    visit = Browser(shop).visit("/?abx=headline:bold", Sec_Fetch_Dest=frame)
    assert (visit.served, visit.is_silent) == ("bold", True)
    assert visit.headers["Cache-Control"] == "private"


def test_two_frames_do_not_disturb_each_other_or_the_page(shop: Flask) -> None:
    browser = Browser(shop)
    browser.visit("/?abx=headline:bold")
    for variant in ("control", "bold", "control"):
        path = f"/?abx=headline:{variant}"
        assert browser.visit(path, Sec_Fetch_Dest="iframe").served == variant
    assert browser.visit("/").served == "bold"


def test_a_reset_forgets_overrides_and_assignments(shop: Flask, sign: Sign) -> None:
    browser = Browser(shop, {NAME: sign(f"1~{ANNA}~headline:1:bold")})
    browser.visit("/?abx=headline:control")
    browser.visit("/plain?abx=reset")
    assert browser.jar == {}
    fresh = browser.visit("/")
    assert fresh.exposed == [f"headline:{fresh.served}"]
    assert fresh.visitor != ANNA


def test_a_page_that_resets_and_reads_makes_another_visitor(
    shop: Flask, sign: Sign
) -> None:
    browser = Browser(shop, {NAME: sign(f"1~{ANNA}~headline:1:bold")})
    visit = browser.visit("/?abx=reset")
    assert visit.exposed == [f"headline:{visit.served}"]
    assert list(browser.jar) == [NAME]
    assert ANNA not in browser.jar[NAME]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("headlin:bold", "Experiment 'headlin' is not defined"),
        ("headline:purple", "Experiment 'headline' has no variant 'purple'"),
        ("headline", "Experiment 'headline' has no variant ''"),
        ("headline:bold:x", "has no variant 'bold:x'"),
    ],
)
def test_what_is_not_defined_is_told_and_ignored(
    shop: Flask, asked: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    visit = Browser(shop).visit(f"/?abx={asked}")
    # Who asks for a variant takes what is shown for it, so nobody is counted.
    assert (visit.status, visit.exposed) == (200, [])
    assert "?abx= is ignored: " in caplog.text
    assert told in caplog.text


def test_a_kept_override_of_a_removed_experiment_is_ignored(shop: Flask) -> None:
    visit = Browser(shop, {"abx_preview": "gone:x~headline:bold~\xff"}).visit()
    assert (visit.status, visit.served) == (200, "bold")


@pytest.mark.parametrize("query", ["abx=headline:wild", "abx=reset"])
def test_it_does_nothing_outside_of_debug_and_testing(
    make_app: MakeApp, sign: Sign, query: str
) -> None:
    shop = make_app({"headline": {"variants": ["control", "bold", "wild"]}})
    jar = {NAME: sign(f"1~{ANNA}~headline:1:bold"), "abx_preview": "headline:wild"}
    browser = Browser(shop, dict(jar))
    visit = browser.visit(f"/?{query}")
    assert (visit.served, visit.is_silent) == ("bold", True)
    assert browser.visit("/").served == "bold"
    assert browser.jar == jar


def test_strict_alone_does_not_allow_it(make_app: MakeApp, sign: Sign) -> None:
    jar = {NAME: sign(f"1~{ANNA}~headline:1:bold")}
    shop = make_app(ABX_STRICT=True)
    assert Browser(shop, jar).visit("/?abx=headline:control").served == "bold"


def test_testing_allows_it(make_app: MakeApp) -> None:
    shop = make_app(TESTING=True, ABX_STRICT=False)
    for variant in ("control", "bold"):
        assert Browser(shop).visit(f"/?abx=headline:{variant}").served == variant


def test_it_shows_a_draft(make_app: MakeApp) -> None:
    draft = {"variants": ["control", "bold"], "status": "draft"}
    shop = make_app({"headline": draft}, DEBUG=True)
    assert Browser(shop).visit("/?abx=headline:bold").served == "bold"


def test_the_first_read_of_a_request_is_told_with_the_other(
    make_app: MakeApp, sign: Sign, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    abx = ABX()
    shop = make_app(abx=abx, DEBUG=True)

    @shop.get("/twice")
    def twice() -> str:
        return abx.variant("headline") + abx.variant("headline")

    Browser(shop, {NAME: sign(f"1~{ANNA}~headline:1:bold")}).visit("/twice")
    line = "abx headline -> bold (sticky)  ?abx=headline:control shows the other"
    assert [each.getMessage() for each in caplog.records].count(line) == 1


def test_an_event_beside_an_override_still_counts(shop: Flask) -> None:
    visit = Browser(shop).visit("/signup?abx=headline:bold", method="POST")
    [event] = visit.events
    assert isinstance(event, Event)
    assert event.variants == {}
