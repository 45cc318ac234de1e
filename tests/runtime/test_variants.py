"""`g.abx`: a mapping for code that inspects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from flask import Flask, g, render_template_string

from flask_abx import ABX
from tests.checks.browser import Browser, records_of

if TYPE_CHECKING:
    from tests.conftest import MakeApp

TWO = {
    "headline": {"variants": ["control", "bold"]},
    "price": {"variants": ["low", "high"]},
}


@pytest.fixture
def abx() -> ABX:
    """The extension under test."""
    return ABX()


@pytest.fixture
def shop(make_app: MakeApp, abx: ABX) -> Flask:
    """An application with two experiments, in debug."""
    shop = make_app(TWO, abx=abx, DEBUG=True)

    @shop.get("/peek")
    def peek() -> str:
        return str(g.abx["headline"])

    @shop.get("/honest")
    def honest() -> str:
        return f"{g.abx['headline']} {abx.variant('headline')}"

    @shop.get("/by-hand")
    def by_hand() -> str:
        abx.expose("headline")
        return str(g.abx["headline"])

    @shop.get("/all")
    def everything() -> dict[str, str]:
        return dict(g.abx)

    return shop


def test_it_is_a_mapping(shop: Flask) -> None:
    with shop.test_request_context():
        assert list(g.abx) == ["headline", "price"]
        assert len(g.abx) == 2
        assert "headline" in g.abx
        assert "nothing" not in g.abx
        assert g.abx.get("nothing") is None
        assert dict(g.abx).keys() == {**g.abx}.keys()
        assert repr(g.abx) == "<Variants of 2 experiments>"
        with pytest.raises(KeyError):
            g.abx["nothing"]


def test_reading_all_resolves_all_and_exposes_nobody(shop: Flask) -> None:
    visit = Browser(shop).visit("/all")
    assert (visit.status, visit.recorded) == (200, ())
    assert visit.headers["Vary"] == "Cookie"


def test_it_tells_what_is_served(shop: Flask, abx: ABX) -> None:
    with shop.test_request_context():
        variants = dict(g.abx)
        assert variants == {key: abx.variant(key) for key in TWO}


def test_it_is_of_the_request_that_asks(shop: Flask) -> None:
    with shop.test_request_context():
        outer, mapping = dict(g.abx), g.abx
        seen = set()
        for _ in range(30):
            with shop.test_request_context():
                seen.add(mapping["headline"])
        assert seen == {"control", "bold"}
        assert dict(mapping) == outer


def test_hooks_and_templates_see_it(unwired: Flask, abx: ABX) -> None:
    seen: list[str] = []
    unwired.before_request(lambda: seen.append(g.abx["headline"]))
    abx.init_app(unwired)
    unwired.get("/")(lambda: render_template_string("{{ g.abx['headline'] }}"))
    visit = Browser(unwired).visit()
    assert ([visit.served], visit.recorded) == (seen, ())


def test_a_value_that_was_only_peeked_at_is_told_once(
    shop: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        assert Browser(shop).visit("/peek").recorded == ()
    assert caplog.text.count("g.abx['headline'] was read but nobody was exposed") == 1


@pytest.mark.parametrize("path", ["/honest", "/by-hand", "/all"])
def test_a_value_that_was_exposed_or_inspected_is_not_told(
    shop: Flask, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    Browser(shop).visit(path)
    assert "was read but nobody was exposed" not in caplog.text


def test_outside_of_debug_nothing_is_told(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    shop = make_app()
    shop.get("/peek")(lambda: g.abx["headline"])
    assert Browser(shop).visit("/peek").recorded == ()
    assert caplog.text == ""


def test_a_class_of_g_of_ones_own_is_kept(unwired: Flask, abx: ABX) -> None:
    class Own(unwired.app_ctx_globals_class):  # type: ignore[name-defined, misc]
        colour = "red"

    unwired.app_ctx_globals_class = Own
    abx.init_app(unwired)
    with unwired.app_context():
        assert g.colour == "red"
        assert list(g.abx) == ["headline"]
    assert records_of(unwired) == []
