"""From http to https, and behind a proxy: the visitor stays the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_abx import ABX
from tests.checks.browser import Browser

if TYPE_CHECKING:
    from flask import Flask

SECURE = {"X_Forwarded_Proto": "https"}


class ProxiedBrowser(Browser):
    """A browser that sees https where the application is sent http."""

    def _keep(self, header: str, scheme: str) -> None:
        super()._keep(header, "https")


def visits_on_the_way_to_https(shop: Flask, fixed: Flask) -> list[str]:
    """Visit by http, by a proxy that Flask does not know, and by one that it does."""
    browser = Browser(shop)
    first = browser.visit(scheme="http")
    assert first.cookie_names == ["abx"]
    unknown = browser.visit(scheme="http", **SECURE)
    jar = "; ".join(f"{name}={value}" for name, value in browser.jar.items())
    behind = ProxiedBrowser(fixed).visit(scheme="http", cookie=jar, **SECURE)
    assert behind.cookie_names == ["__Host-abx"]
    assert "Secure" in behind.cookies[0]
    after = Browser(fixed, {"__Host-abx": behind.token}).visit(scheme="https")
    assert unknown.is_silent
    assert after.is_silent
    assert behind.recorded == ()
    assert behind.visitor == first.visitor
    return [first.served, unknown.served, behind.served, after.served]


def wired(unwired: Flask, *, inside: bool | None) -> Flask:
    """Set up an application, with ProxyFix inside or outside of our own frame."""
    abx, shop = ABX(), type(unwired)("shop")
    shop.config.update(unwired.config)
    shop.get("/")(lambda: abx.variant("headline"))
    if inside:
        shop.wsgi_app = ProxyFix(shop.wsgi_app, x_for=1, x_proto=1)  # type: ignore[method-assign]
    abx.init_app(shop)
    if inside is False:
        shop.wsgi_app = ProxyFix(shop.wsgi_app, x_for=1, x_proto=1)  # type: ignore[method-assign]
    return shop


@pytest.mark.parametrize("inside", [False, True], ids=["outside", "inside"])
def test_a_visitor_stays_the_same_on_the_way_to_https(
    unwired: Flask,
    inside: bool,  # noqa: FBT001 - pytest passes by name
) -> None:
    for _ in range(10):
        plain = wired(unwired, inside=None)
        served = visits_on_the_way_to_https(plain, wired(unwired, inside=inside))
        assert len(set(served)) == 1


def test_a_proxy_that_flask_does_not_know_is_told_once(
    unwired: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    shop = wired(unwired, inside=None)
    for _ in range(3):
        ProxiedBrowser(shop).visit(scheme="http", **SECURE)
    line = "app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)"
    assert caplog.text.count(line) == 1


@pytest.mark.parametrize("inside", [False, True])
def test_a_proxy_that_flask_knows_is_not_told(
    unwired: Flask,
    caplog: pytest.LogCaptureFixture,
    inside: bool,  # noqa: FBT001 - pytest passes by name
) -> None:
    ProxiedBrowser(wired(unwired, inside=inside)).visit(scheme="http", **SECURE)
    assert "ProxyFix" not in caplog.text
