"""Which variants an event carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from flask import Flask, request

from flask_abx import ABX
from tests.checks.browser import Browser

if TYPE_CHECKING:
    from tests.conftest import MakeApp
    from tests.runtime.conftest import Sign

NAME = "__Host-abx"
ANNA = "a" * 32
PAIR = ["control", "bold"]


@pytest.fixture
def abx() -> ABX:
    """The extension under test."""
    extension = ABX()
    extension.unit_loader(lambda: request.headers.get("X-User"))
    return extension


@pytest.fixture
def shop(make_app: MakeApp, abx: ABX) -> Flask:
    """An application that only inspects at `/inspect`."""
    shop = make_app(
        {"headline": {"variants": PAIR}, "price": {"variants": PAIR}}, abx=abx
    )

    @shop.get("/inspect")
    def inspect() -> str:
        return abx.assignment("price").variant + str(abx.assignments())

    @shop.post("/both")
    def both() -> str:
        abx.track("early")
        served = abx.variant("headline")
        abx.track("late")
        return served

    return shop


def labels(browser: Browser, **headers: str) -> dict[str, str]:
    """Track an event and give what it carries."""
    [event] = browser.visit("/signup", method="POST", **headers).events
    return dict(event.variants)


def test_what_was_never_read_is_absent(shop: Flask) -> None:
    assert labels(Browser(shop)) == {}


def test_what_was_only_inspected_is_absent(shop: Flask) -> None:
    browser = Browser(shop)
    browser.visit("/inspect")
    browser.visit("/api/v1/experiments")
    assert labels(browser) == {}


def test_what_another_visitor_read_is_absent(shop: Flask) -> None:
    Browser(shop).visit()
    assert labels(Browser(shop)) == {}


def test_what_was_read_three_requests_ago_is_present(shop: Flask) -> None:
    browser = Browser(shop)
    served = browser.visit().served
    for path in ("/plain", "/inspect", "/plain"):
        browser.visit(path)
    assert labels(browser) == {"headline": served}


def test_what_is_read_in_the_same_request_counts_from_then_on(shop: Flask) -> None:
    visit = Browser(shop).visit("/both", method="POST")
    assert [dict(event.variants) for event in visit.events] == [
        {},
        {"headline": visit.served},
    ]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"status": "concluded"}, id="concluded"),
        pytest.param({"status": "archived"}, id="archived"),
        pytest.param({"status": "draft"}, id="draft"),
        pytest.param({"end_at": "2020-01-01T00:00:00Z"}, id="past its end"),
        pytest.param({"iteration": 2}, id="another iteration"),
        pytest.param({"variants": ["control", "wild"]}, id="a variant that is gone"),
        pytest.param({"unit": "user"}, id="another unit"),
    ],
)
def test_what_no_longer_counts_is_absent(
    make_app: MakeApp, abx: ABX, sign: Sign, fields: dict[str, object]
) -> None:
    shop = make_app({"headline": {"variants": PAIR, **fields}}, abx=abx)
    jar = {NAME: sign(f"1~{ANNA}~headline:1:bold~gone:1:bold")}
    assert labels(Browser(shop, jar)) == {}


def test_what_is_paused_or_closed_still_counts(
    make_app: MakeApp, abx: ABX, sign: Sign
) -> None:
    definitions = {
        "paused": {"variants": PAIR, "status": "paused"},
        "closed": {"variants": PAIR, "closed": True},
    }
    jar = {NAME: sign(f"1~{ANNA}~paused:1:bold~closed:1:bold")}
    browser = Browser(make_app(definitions, abx=abx), jar)
    assert labels(browser) == {"closed": "bold", "paused": "bold"}


def test_a_user_carries_what_the_user_met_and_nobody_else(
    make_app: MakeApp, abx: ABX
) -> None:
    shop = make_app({"headline": {"variants": PAIR, "unit": "user"}}, abx=abx)
    browser = Browser(shop)
    served = browser.visit(X_User="anna").served
    assert labels(browser, X_User="anna") == {"headline": served}
    assert labels(browser, X_User="bert") == {}
    assert labels(browser) == {}


def test_two_users_of_one_browser_keep_their_own(make_app: MakeApp, abx: ABX) -> None:
    shop = make_app(
        {"headline": {"variants": PAIR, "unit": ["user", "visitor"]}}, abx=abx
    )
    browser = Browser(shop)
    first = browser.visit().served
    anna, bert = (browser.visit(X_User=user) for user in ("anna", "bert"))
    alone = Browser(shop).visit(X_User="bert")

    assert (anna.served, anna.recorded) == (first, ())
    assert (bert.served, bert.exposed) == (alone.served, [f"headline:{bert.served}"])
    for _ in range(2):
        assert labels(browser, X_User="anna") == {"headline": first}
        assert labels(browser, X_User="bert") == {"headline": bert.served}
        assert browser.visit(X_User="anna").is_silent
        assert browser.visit(X_User="bert").is_silent
