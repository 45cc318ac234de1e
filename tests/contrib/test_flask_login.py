"""Flask-Login: who is logged in, and who logs in or out in mid-request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from flask import Flask, request
from flask_login import LoginManager, UserMixin, login_user, logout_user

from flask_abx import ABX, Exposure
from tests.checks.browser import Browser

if TYPE_CHECKING:
    from tests.conftest import MakeApp

PAIR = ["control", "bold"]
DEFINITIONS = {
    "headline": {"variants": PAIR},
    "for_users": {"variants": PAIR, "unit": "user"},
    "for_both": {"variants": PAIR, "unit": ["user", "visitor"]},
}


def with_login(shop: Flask, abx: ABX) -> Flask:
    """Give an application users, and pages that log in and out in the middle."""

    class User(UserMixin):  # type: ignore[misc]  # it ships no types
        def __init__(self, user: str) -> None:
            self.id = user

    manager = LoginManager(shop)
    manager.user_loader(User)

    def read(key: str) -> str:
        before = f"{abx.assignment(key).reason}"
        abx.variant(key)
        abx.track("read")
        return before

    @shop.get("/read")
    def only_read() -> str:
        return read(request.args["key"])

    @shop.get("/login/<user>")
    def login(user: str) -> str:
        before = read(request.args["key"])
        login_user(User(user))
        return f"{before} {read(request.args['key'])}"

    @shop.get("/logout")
    def logout() -> str:
        before = read(request.args["key"])
        logout_user()
        return f"{before} {read(request.args['key'])}"

    return shop


@pytest.fixture
def shop(make_app: MakeApp) -> Flask:
    """An application with users."""
    abx = ABX()
    return with_login(make_app(DEFINITIONS, abx=abx), abx)


def test_who_is_logged_in_is_the_user(shop: Flask) -> None:
    browser = Browser(shop)
    browser.visit("/login/7?key=headline")
    [exposure, event] = browser.visit("/read?key=for_users").recorded
    assert isinstance(exposure, Exposure)
    assert (exposure.unit_type, exposure.unit) == ("user", "7")
    assert event.units["user"] == "7"


def test_nobody_logged_in_is_no_user(shop: Flask) -> None:
    visit = Browser(shop).visit("/read?key=for_users")
    assert (visit.served, visit.exposed) == ("no_unit", [])
    assert set(visit.events[0].units) == {"visitor"}


def test_a_login_in_mid_request_counts_from_then_on(shop: Flask) -> None:
    visit = Browser(shop).visit("/login/7?key=for_users")
    before, after = visit.events
    assert visit.served == "no_unit allocated"
    assert len(visit.exposed) == 1
    assert (set(before.units), set(after.units)) == ({"visitor"}, {"visitor", "user"})
    assert "for_users" in after.variants


def test_a_logout_in_mid_request_counts_from_then_on(shop: Flask) -> None:
    browser = Browser(shop)
    browser.visit("/login/7?key=for_users")
    visit = browser.visit("/logout?key=for_users")
    before, after = visit.events
    assert visit.served == "sticky no_unit"
    assert ("for_users" in before.variants, "for_users" in after.variants) == (
        True,
        False,
    )
    assert (set(before.units), set(after.units)) == ({"visitor", "user"}, {"visitor"})


def test_a_login_in_mid_request_changes_nothing_for_the_visitor(shop: Flask) -> None:
    visit = Browser(shop).visit("/login/7?key=headline")
    assert visit.served == "allocated sticky"
    assert len(visit.exposed) == 1


def test_the_first_user_takes_over_in_mid_request_and_the_second_is_hashed(
    shop: Flask,
) -> None:
    browser = Browser(shop)
    first = browser.visit("/login/7?key=for_both")
    [met] = first.exposed
    assert first.served == "allocated sticky"
    browser.visit("/logout?key=headline")
    second = browser.visit("/login/8?key=headline")
    alone = Browser(shop)
    alone.visit("/login/8?key=headline")
    after = browser.visit("/read?key=for_both")

    assert second.status == 200
    assert after.served == "allocated"
    assert after.exposed == alone.visit("/read?key=for_both").exposed
    assert met in {"for_both:control", "for_both:bold"}


def test_a_loader_of_ones_own_is_asked_instead(make_app: MakeApp) -> None:
    abx = ABX()
    abx.unit_loader(lambda: "own")
    browser = Browser(with_login(make_app(DEFINITIONS, abx=abx), abx))
    [exposure, _] = browser.visit("/read?key=for_users").recorded
    assert isinstance(exposure, Exposure)
    assert exposure.unit == "own"


def test_each_application_of_one_extension_hears_its_logins(make_app: MakeApp) -> None:
    abx = ABX()
    shops = [with_login(make_app(DEFINITIONS, abx=abx), abx) for _ in range(2)]
    for shop in shops:
        visit = Browser(shop).visit("/login/7?key=for_users")
        assert visit.served == "no_unit allocated"


def test_an_application_without_logins_has_no_user(make_app: MakeApp) -> None:
    visit = Browser(make_app(DEFINITIONS)).visit("/signup", method="POST")
    assert set(visit.events[0].units) == {"visitor"}
