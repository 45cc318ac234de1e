"""The HTTP API for front ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, json, request

from flask_abx import ABX, Exposure
from tests.checks.browser import Browser

if TYPE_CHECKING:
    from tests.conftest import MakeApp

PATH = "/api/v1/experiments"
DEFINITIONS = {
    "price": {
        "variants": {"low": {"flags": {"cost": 1}}, "high": {"flags": {"cost": 2}}}
    },
    "headline": {"variants": ["control", "bold"]},
    "secret": {"variants": ["a", "b"], "private": True},
}
OWN = {"Sec_Fetch_Site": "same-origin"}


@pytest.fixture
def shop(make_app: MakeApp) -> Flask:
    """An application with two public experiments and a private one."""
    return make_app(DEFINITIONS)


def body(browser: Browser, path: str = PATH) -> dict[str, Any]:
    """Ask and give the JSON of the answer."""
    visit = browser.visit(path)
    assert visit.status == 200
    assert visit.headers["Content-Type"] == "application/json"
    told: dict[str, Any] = json.loads(visit.served)
    return told


def test_all_public_experiments_are_told_in_order(shop: Flask) -> None:
    told = body(Browser(shop))
    assert list(told) == ["experiments", "flags", "units", "version"]
    assert [each["key"] for each in told["experiments"]] == ["headline", "price"]
    for each in told["experiments"]:
        assert list(each) == ["flags", "in_experiment", "key", "reason", "variant"]
        assert (each["in_experiment"], each["reason"]) == (True, "allocated")
    assert told["version"].startswith("c")
    assert len(told["version"]) == 13


def test_it_tells_what_the_page_serves_and_exposes_nobody(shop: Flask) -> None:
    browser = Browser(shop)
    first = browser.visit(PATH)
    [told] = [
        each["variant"]
        for each in json.loads(first.served)["experiments"]
        if each["key"] == "headline"
    ]
    assert (first.recorded, first.cookie_names) == ((), ["__Host-abx"])
    assert json.loads(first.served)["units"] == {"visitor": first.visitor}
    page = browser.visit("/")
    assert (page.served, page.exposed) == (told, [f"headline:{told}"])


def test_one_experiment_is_told(shop: Flask) -> None:
    browser = Browser(shop)
    [price] = [each for each in body(browser)["experiments"] if each["key"] == "price"]
    assert body(browser, f"{PATH}/price") == price
    assert price["flags"] == {"cost": {"low": 1, "high": 2}[price["variant"]]}


@pytest.mark.parametrize("path", [PATH, f"{PATH}/headline"])
def test_what_has_not_changed_is_not_sent_again(shop: Flask, path: str) -> None:
    browser = Browser(shop)
    first = browser.visit(path)
    tag = browser.visit(path).headers["ETag"]
    again = browser.visit(path, If_None_Match=tag)
    assert (again.status, again.served, again.cookies) == (304, "", ())
    assert again.headers["ETag"] == tag
    for visit in (first, again):
        assert visit.headers["Cache-Control"] == "private, no-cache"
        assert "Cookie" in visit.headers["Vary"]


def test_another_visitor_has_another_tag(shop: Flask) -> None:
    tags = {Browser(shop).visit(PATH).headers["ETag"] for _ in range(5)}
    assert len(tags) == 5


@pytest.mark.parametrize("key", ["nothing", "secret", "no%20key"])
@pytest.mark.parametrize(("method", "end"), [("GET", ""), ("POST", "/exposure")])
def test_what_is_unknown_or_private_is_a_problem(
    shop: Flask, key: str, method: str, end: str
) -> None:
    visit = Browser(shop).visit(f"{PATH}/{key}{end}", method=method, **OWN)
    told = json.loads(visit.served)
    assert (visit.status, visit.is_silent) == (404, True)
    assert visit.headers["Content-Type"] == "application/problem+json"
    assert visit.headers["Cache-Control"] == "no-store"
    assert told["status"] == 404
    assert told["type"] == "urn:flask-abx:problem:unknown-experiment"
    assert told["detail"] == f"There is no experiment {key.replace('%20', ' ')!r}."


def test_private_experiments_and_their_flags_are_nowhere(make_app: MakeApp) -> None:
    hidden = {"variants": {"a": {"flags": {"x": 1}}, "b": {}}, "private": True}
    told = body(Browser(make_app({"secret": hidden})))
    assert (told["experiments"], told["flags"]) == ([], {})


def test_an_exposure_by_hand_is_recorded_once(shop: Flask) -> None:
    browser = Browser(shop)
    visits = [
        browser.visit(f"{PATH}/headline/exposure", method="POST", **OWN)
        for _ in range(3)
    ]
    [exposure] = [record for visit in visits for record in visit.recorded]
    assert isinstance(exposure, Exposure)
    assert [(visit.status, visit.served) for visit in visits] == [(204, "")] * 3
    assert exposure.units == {"visitor": visits[0].visitor}
    assert browser.visit("/").served == exposure.variant
    assert browser.visit("/").is_silent


ORIGINS = [
    pytest.param({"Sec_Fetch_Site": "same-origin"}, True, id="same origin"),
    pytest.param({"Origin": "https://localhost"}, True, id="origin"),
    pytest.param({"Sec_Fetch_Site": "same-site"}, False, id="same site"),
    pytest.param({"Sec_Fetch_Site": "cross-site"}, False, id="cross site"),
    pytest.param({"Sec_Fetch_Site": "none"}, False, id="typed"),
    pytest.param({"Origin": "http://localhost"}, False, id="other scheme"),
    pytest.param({"Origin": "https://localhost:8000"}, False, id="other port"),
    pytest.param({"Origin": "https://localhost.evil.example"}, False, id="longer"),
    pytest.param({"Origin": "null"}, False, id="null"),
    pytest.param(
        {"Sec_Fetch_Site": "cross-site", "Origin": "https://localhost"},
        False,
        id="the browser knows better",
    ),
    pytest.param({}, False, id="nothing told"),
]


@pytest.mark.parametrize(("headers", "is_taken"), ORIGINS)
def test_an_exposure_is_taken_from_our_own_pages_only(
    shop: Flask,
    headers: dict[str, str],
    is_taken: bool,  # noqa: FBT001 - pytest passes by name
) -> None:
    path = f"{PATH}/headline/exposure"
    visit = Browser(shop).visit(path, method="POST", **headers)
    if is_taken:
        assert (visit.status, len(visit.exposed)) == (204, 1)
    else:
        assert (visit.status, visit.is_silent) == (403, True)
        assert json.loads(visit.served)["type"].endswith(":foreign-origin")


@pytest.mark.parametrize("path", [PATH, f"{PATH}/headline"])
def test_a_head_gets_no_cookie(shop: Flask, path: str) -> None:
    visit = Browser(shop).visit(path, method="HEAD")
    assert (visit.status, visit.served, visit.is_silent) == (200, "", True)


def test_a_crawler_is_told_the_control(shop: Flask) -> None:
    visit = Browser(shop).visit(f"{PATH}/headline", User_Agent="Googlebot/2.1")
    told = json.loads(visit.served)
    assert visit.is_silent
    assert (told["variant"], told["in_experiment"]) == ("control", False)


def test_the_user_is_told_where_known(make_app: MakeApp) -> None:
    abx = ABX()
    abx.unit_loader(lambda: request.headers.get("X-User"))
    abx.attributes_loader(lambda: {"tenant": "acme"})
    shop = make_app({"price": {"variants": ["a", "b"], "unit": "tenant"}}, abx=abx)
    visit = Browser(shop).visit(PATH, X_User="7")
    assert json.loads(visit.served)["units"] == {
        "visitor": visit.visitor,
        "user": "7",
        "tenant": "acme",
    }


@pytest.mark.parametrize("debug", [False, True])
def test_an_override_is_told_in_debug(
    make_app: MakeApp,
    debug: bool,  # noqa: FBT001 - pytest passes by name
) -> None:
    shop = make_app(
        {"headline": {"variants": ["control", "bold"], "traffic": 0}}, DEBUG=debug
    )
    told = body(Browser(shop), f"{PATH}/headline?abx=headline:bold")
    assert (told["variant"], told["reason"]) == (
        ("bold", "forced") if debug else ("control", "traffic")
    )


@pytest.mark.parametrize(
    ("prefix", "path", "status"),
    [("/ab", "/ab/experiments", 200), ("/ab", PATH, 404), (None, PATH, 404)],
)
def test_the_prefix_is_a_setting(
    make_app: MakeApp, prefix: str | None, path: str, status: int
) -> None:
    assert Browser(make_app(ABX_API_PREFIX=prefix)).visit(path).status == status
