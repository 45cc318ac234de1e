"""The callables that say who it is and what is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, request

from flask_abx import ABX, SetupError
from tests.checks.browser import Browser

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.conftest import MakeApp

PAIR = ["control", "bold"]
DEFINITIONS = {
    "headline": {"variants": PAIR},
    "for_users": {"variants": PAIR, "unit": "user"},
    "for_swiss": {"variants": PAIR, "audience": {"country": "CH"}},
    "for_tenants": {"variants": PAIR, "unit": "tenant", "audience": {"country": "CH"}},
}


@pytest.fixture
def abx() -> ABX:
    """The extension under test."""
    return ABX()


@pytest.fixture
def shop(make_app: MakeApp, abx: ABX) -> Flask:
    """An application that tells the reason of the experiments in the query, in turn."""
    shop = make_app(DEFINITIONS, abx=abx)

    @shop.get("/reasons")
    def reasons() -> str:
        keys = request.args["keys"].split(",")
        told = []
        for key in keys:
            abx.variant(key)
            told.append(str(abx.assignment(key).reason))
        return " ".join(told)

    return shop


def test_each_is_asked_at_most_once_a_request(shop: Flask, abx: ABX) -> None:
    asked: list[str] = []

    @abx.unit_loader
    def load_user() -> str:
        asked.append("user")
        return "7"

    @abx.attributes_loader
    def load_attributes() -> dict[str, object]:
        asked.append("attributes")
        return {"country": "CH", "tenant": "acme"}

    keys = "for_swiss,for_users,for_tenants,headline,for_swiss"
    visit = Browser(shop).visit(f"/reasons?keys={keys}")
    assert visit.served == " ".join(["allocated"] * 5)
    assert sorted(asked) == ["attributes", "user"]


def test_nobody_is_asked_for_what_the_browser_remembers(
    make_app: MakeApp, abx: ABX
) -> None:
    asked: list[str] = []
    abx.unit_loader(lambda: asked.append("user"))
    abx.attributes_loader(lambda: asked.append("attributes"))
    browser = Browser(make_app(abx=abx))
    browser.visit()
    asked.clear()
    assert browser.visit().is_silent
    assert browser.visit("/plain").is_silent
    assert asked == []


@pytest.mark.parametrize("role", ["unit_loader", "attributes_loader"])
def test_one_that_raises_is_logged_and_asked_again_at_the_next_read(
    shop: Flask, abx: ABX, role: str, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[int] = []

    def load() -> object:
        asked.append(1)
        if len(asked) < 3:
            raise ConnectionError("the directory is down")
        return "7" if role == "unit_loader" else {"country": "CH", "tenant": "acme"}

    getattr(abx, role)(load)
    key = "for_users" if role == "unit_loader" else "for_tenants"
    visit = Browser(shop).visit(f"/reasons?keys={key},{key},{key}")
    assert visit.served == "no_unit allocated allocated"
    assert len(visit.exposed) == 1
    assert caplog.text.count("ConnectionError: the directory is down") == 2


def test_a_raising_user_loader_spoils_no_experiment_on_visitors(
    shop: Flask, abx: ABX, caplog: pytest.LogCaptureFixture
) -> None:
    @abx.unit_loader
    def load() -> str:
        raise ConnectionError("the directory is down")

    visit = Browser(shop).visit()
    assert visit.exposed == [f"headline:{visit.served}"]
    assert visit.recorded[0].units == {"visitor": visit.visitor}
    assert "The user of a record is not known." in caplog.text


@pytest.mark.parametrize("nothing", [None, {}])
def test_attributes_that_are_not_known_are_none(
    shop: Flask, abx: ABX, nothing: dict[str, object] | None
) -> None:
    abx.attributes_loader(lambda: nothing)
    visit = Browser(shop).visit("/reasons?keys=for_swiss,for_tenants")
    assert visit.served == "audience no_unit"


def test_attributes_that_are_no_mapping_serve_the_control(
    shop: Flask, abx: ABX, caplog: pytest.LogCaptureFixture
) -> None:
    abx.attributes_loader(lambda: ["CH"])  # type: ignore[arg-type, return-value]
    visit = Browser(shop).visit("/reasons?keys=for_swiss")
    assert (visit.served, visit.recorded) == ("no_unit", ())
    assert "The attributes loader returned ['CH'], must be a dict." in caplog.text


def test_the_attributes_hold_the_ids_and_prefer_their_own(
    make_app: MakeApp, abx: ABX
) -> None:
    audience = {"user": "7", "country": "CH"}
    shop = make_app({"headline": {"variants": PAIR, "audience": audience}}, abx=abx)
    user = ["7"]
    abx.unit_loader(lambda: user[0])
    abx.attributes_loader(lambda: {"country": "CH"})
    assert len(Browser(shop).visit().exposed) == 1
    user[0] = "8"
    assert Browser(shop).visit().exposed == []


def test_a_segment_in_code_decides(make_app: MakeApp, abx: ABX) -> None:
    @abx.segment("vip")
    def is_vip(attributes: Mapping[str, object]) -> bool:
        return bool(attributes.get("plan") == "gold")

    audience = {"$segment": "vip"}
    shop = make_app({"headline": {"variants": PAIR, "audience": audience}}, abx=abx)
    abx.attributes_loader(lambda: {"plan": request.headers.get("X-Plan")})
    assert len(Browser(shop).visit(X_Plan="gold").exposed) == 1
    assert Browser(shop).visit(X_Plan="tin").exposed == []


def registrations(abx: ABX) -> dict[str, Callable[[Any], object]]:
    """Give every way to register a callable."""
    return {
        "unit loader": abx.unit_loader,
        "attributes loader": abx.attributes_loader,
        "segment 'vip', function": abx.segment("vip"),
        "consent callable": abx.consent,
    }


@pytest.mark.parametrize("role", registrations(ABX()))
def test_a_coroutine_function_is_refused(abx: ABX, role: str) -> None:
    async def load() -> None: ...

    with pytest.raises(SetupError, match=f"The {role} 'load' is a coroutine function"):
        registrations(abx)[role](load)


@pytest.mark.parametrize("role", registrations(ABX()))
def test_one_that_comes_after_the_first_request_is_refused(
    make_app: MakeApp, abx: ABX, role: str
) -> None:
    def load() -> None: ...

    shop = make_app(abx=abx)
    registrations(abx)[role](load)
    Browser(shop).visit("/plain")
    with pytest.raises(SetupError, match=f"The {role} 'load' is registered after"):
        registrations(abx)[role](load)


def test_a_loader_that_reads_a_variant_breaks_no_page(
    make_app: MakeApp, abx: ABX
) -> None:
    @abx.unit_loader
    def load() -> str:
        abx.variant("for_swiss")
        return "7"

    shop = make_app(DEFINITIONS | {"headline": {"variants": PAIR, "unit": "user"}})
    visit = Browser(shop).visit()
    assert visit.status == 200
