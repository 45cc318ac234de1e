"""What a page is told: `abx.payload()`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from flask import Flask, json, render_template_string

from flask_abx import ABX
from tests.checks.browser import Browser

if TYPE_CHECKING:
    from tests.conftest import MakeApp
    from tests.runtime.conftest import Sign

ANNA = "a" * 32
RATES = {"a": {"flags": {"rate": 1}}, "b": {"flags": {"rate": 2}}}
COSTS = {"low": {"flags": {"cost": 1}}, "high": {"flags": {"cost": 2}}}
DOCUMENT = {
    "experiments": {
        "secret": {"variants": RATES, "private": True},
        "price": {"variants": COSTS},
        "headline": {"variants": ["control", "bold"]},
    },
    "flags": {"banner": False},
}


@pytest.fixture
def abx() -> ABX:
    """The extension under test."""
    return ABX()


@pytest.fixture
def shop(make_app: MakeApp, abx: ABX) -> Flask:
    """An application whose pages hold the payload."""
    shop = make_app({}, abx=abx, ABX_DEFINITIONS=DOCUMENT)
    shop.get("/page")(lambda: render_template_string("{{ abx.payload()|tojson }}"))
    shop.add_url_rule("/one", "one", lambda: abx.payload("headline", expose=True))
    shop.add_url_rule("/none", "none", lambda: abx.payload("secret", "nothing"))
    return shop


def test_it_is_the_body_of_the_api(shop: Flask, sign: Sign) -> None:
    browser = Browser(shop, {"__Host-abx": sign(f"1~{ANNA}~price:1:high")})
    told = json.loads(browser.visit("/page").served)
    assert told == json.loads(browser.visit("/api/v1/experiments").served)
    assert told["units"] == {"visitor": ANNA}
    assert told["flags"] == {"banner": False, "cost": 2}
    assert [each["key"] for each in told["experiments"]] == ["headline", "price"]
    assert told["experiments"][1] == {
        "key": "price",
        "variant": "high",
        "in_experiment": True,
        "reason": "sticky",
        "flags": {"cost": 2},
    }


def test_it_exposes_nobody(shop: Flask) -> None:
    visit = Browser(shop).visit("/page")
    assert (visit.recorded, visit.cookie_names) == ((), ["__Host-abx"])


def test_it_exposes_what_is_named_when_told_to(shop: Flask) -> None:
    visit = Browser(shop).visit("/one")
    [told] = json.loads(visit.served)["experiments"]
    assert visit.exposed == [f"headline:{told['variant']}"]


def test_what_is_private_or_unknown_is_left_out(shop: Flask) -> None:
    assert json.loads(Browser(shop).visit("/none").served)["experiments"] == []


@pytest.mark.parametrize("path", ["/page", "/none"])
def test_a_page_that_names_its_visitor_is_private(
    shop: Flask, sign: Sign, path: str
) -> None:
    browser = Browser(shop, {"__Host-abx": sign(f"1~{ANNA}")})
    visit = browser.visit(path)
    assert ANNA in visit.served
    assert visit.cookies == ()
    assert visit.headers.get("Cache-Control") == "private"
    assert visit.headers.get("Vary") == "Cookie"
