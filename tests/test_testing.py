"""The helpers for the tests of applications."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest
from flask import Flask, g

from flask_abx import ABX, Event, Exposure, UnknownExperiment, UnknownVariant
from flask_abx.errors import UsageError
from flask_abx.runtime.state import state_of
from flask_abx.testing import force, recorded
from tests.checks.browser import Browser

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tests.conftest import MakeApp

CONTEXTS: dict[str, Callable[[Flask], AbstractContextManager[object]]] = {
    "none": lambda _: nullcontext(),
    "application": lambda shop: shop.app_context(),
    "request": lambda shop: shop.test_request_context(),
}


@pytest.fixture
def abx() -> ABX:
    """The extension under test."""
    return ABX()


@pytest.fixture
def shop(make_app: MakeApp, abx: ABX) -> Flask:
    """An application under test."""
    return make_app(abx=abx, TESTING=True)


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("variant", ["control", "bold"])
def test_everybody_gets_the_forced_variant(
    shop: Flask, context: str, variant: str
) -> None:
    with CONTEXTS[context](shop), force(shop, {"headline": variant}):
        served = [shop.test_client().get("/").text for _ in range(10)]
    assert served == [variant] * 10


def test_it_holds_in_the_context_that_is_pushed(shop: Flask, abx: ABX) -> None:
    with shop.test_request_context():
        before = abx.variant("headline")
        for variant in ("control", "bold"):
            with force(shop, {"headline": variant}):
                assert abx.variant("headline") == variant
                assert g.abx["headline"] == variant
                assert abx.assignment("headline").reason == "forced"
        assert abx.variant("headline") == before


def test_it_records_in_a_context_that_read_before(shop: Flask, abx: ABX) -> None:
    with shop.test_request_context():
        abx.variant("headline")
        with recorded(shop) as records, force(shop, {"headline": "bold"}):
            abx.variant("headline")
            abx.variant("headline")
    [exposure] = records
    assert isinstance(exposure, Exposure)
    assert (exposure.variant, exposure.reason) == ("bold", "forced")


def test_it_leaves_the_context_as_it_was(shop: Flask, abx: ABX) -> None:
    with shop.test_request_context():
        with force(shop, {"headline": "bold"}):
            abx.variant("headline")
        with recorded(shop) as records:
            served = abx.variant("headline")
            abx.track("signup")
    exposure, event = records
    assert isinstance(exposure, Exposure)
    assert isinstance(event, Event)
    assert (exposure.variant, exposure.reason) == (served, "allocated")
    assert event.variants == {"headline": served}


def test_forcing_is_nested_and_undone(shop: Flask) -> None:
    def served() -> str:
        return shop.test_client().get("/").text

    with force(shop, {"headline": "bold"}):
        with force(shop, {"headline": "control"}):
            assert served() == "control"
        assert served() == "bold"
        with force(shop, {}):
            assert served() == "bold"
    assert {served() for _ in range(40)} == {"control", "bold"}


def test_forcing_is_undone_when_the_test_fails(shop: Flask) -> None:
    with pytest.raises(AssertionError), force(shop, {"headline": "bold"}):
        raise AssertionError
    assert state_of(shop).forced.variants == {}


def test_an_exposure_is_recorded_once_and_the_event_carries_it(shop: Flask) -> None:
    browser = Browser(shop)
    with force(shop, {"headline": "bold"}), recorded(shop) as records:
        browser.visit()
        browser.visit()
        browser.visit("/signup", method="POST")
    exposure, event = records
    assert isinstance(exposure, Exposure)
    assert isinstance(event, Event)
    assert (exposure.variant, exposure.reason) == ("bold", "forced")
    assert event.variants == {"headline": "bold"}


def test_an_event_of_who_met_nothing_carries_nothing(shop: Flask) -> None:
    with force(shop, {"headline": "bold"}), recorded(shop) as records:
        Browser(shop).visit()
        Browser(shop).visit("/signup", method="POST")
    event = records[-1]
    assert isinstance(event, Event)
    assert event.variants == {}


def test_a_forced_variant_is_never_in_the_cookie(shop: Flask) -> None:
    browser = Browser(shop)
    with force(shop, {"headline": "bold"}):
        visit = browser.visit()
    assert "headline" not in visit.token
    assert len(browser.visit().exposed) == 1


def test_a_returning_visitor_is_forced_too_and_gets_the_own_back(shop: Flask) -> None:
    browser = Browser(shop)
    own = browser.visit().served
    other = "bold" if own == "control" else "control"
    with force(shop, {"headline": other}):
        assert browser.visit().served == other
        assert browser.visit("/signup", method="POST").events[0].variants == {
            "headline": other
        }
    assert (browser.visit().served, browser.visit().is_silent) == (own, True)


@pytest.mark.parametrize(
    "fields",
    [
        {"traffic": 0.0},
        {"audience": {"country": "nowhere"}},
        {"status": "draft"},
        {"status": "paused"},
        {"closed": True},
        {"start_at": "2200-01-01T00:00:00Z"},
    ],
)
def test_it_forces_whatever_the_definition_says(
    make_app: MakeApp, fields: dict[str, object]
) -> None:
    shop = make_app({"headline": {"variants": ["control", "bold"], **fields}})
    with force(shop, {"headline": "bold"}):
        visit = Browser(shop).visit()
    assert (visit.served, visit.exposed) == ("bold", ["headline:bold"])


def test_what_is_not_served_is_not_recorded(make_app: MakeApp) -> None:
    sensitive = {"variants": ["control", "bold"], "sensitive": True}
    browser = Browser(make_app({"headline": sensitive}))
    with force(browser.app, {"headline": "bold"}):
        visit = browser.visit()
        signup = browser.visit("/signup", method="POST")
    assert (visit.served, visit.exposed) == ("control", [])
    assert signup.events[0].variants == {}


@pytest.mark.parametrize("status", ["concluded", "archived"])
def test_nobody_forces_what_is_over(make_app: MakeApp, status: str) -> None:
    shop = make_app({"headline": {"variants": ["a", "b"], "status": status}})
    with pytest.raises(UsageError, match=f"'headline' is {status} and serves 'a'"):
        force(shop, {"headline": "b"}).__enter__()
    assert state_of(shop).forced.variants == {}


def test_other_experiments_are_assigned_and_recorded_as_ever(
    make_app: MakeApp, abx: ABX
) -> None:
    pair = {"variants": ["control", "bold"]}
    shop = make_app({"headline": pair, "price": pair}, abx=abx)

    @shop.get("/both")
    def both() -> str:
        abx.variant("headline")
        return abx.variant("price") + abx.variant("price")

    with force(shop, {"headline": "bold"}):
        visit = Browser(shop).visit("/both")
    price = visit.exposed[1].removeprefix("price:")
    assert visit.exposed[0] == "headline:bold"
    assert (visit.served, len(visit.exposed)) == (price * 2, 2)
    assert f"~price:1:{price}." in visit.token


@pytest.mark.parametrize("debug", [False, True])
def test_a_forced_read_is_not_told_as_peeked_at(
    make_app: MakeApp,
    abx: ABX,
    debug: bool,  # noqa: FBT001 - pytest passes by name
    caplog: pytest.LogCaptureFixture,
) -> None:
    shop = make_app(abx=abx, TESTING=True, DEBUG=debug)
    shop.get("/honest")(lambda: g.abx["headline"] + abx.variant("headline"))
    with force(shop, {"headline": "bold"}):
        assert Browser(shop).visit("/honest").served == "boldbold"
    assert "nobody was exposed" not in caplog.text


def test_a_name_that_is_not_defined_is_refused(shop: Flask) -> None:
    with pytest.raises(UnknownExperiment, match="did you mean 'headline'"):
        force(shop, {"headlin": "bold"}).__enter__()
    with pytest.raises(UnknownVariant, match="has no variant 'blod'"):
        force(shop, {"headline": "blod"}).__enter__()
    assert state_of(shop).forced.variants == {}


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_record_is_seen_when_it_is_made(shop: Flask, abx: ABX, context: str) -> None:
    seen: list[int] = []
    with CONTEXTS[context](shop), recorded(shop) as records:

        @shop.get("/watched")
        def watched() -> str:
            abx.variant("headline")
            seen.append(len(records))
            abx.track("signup")
            seen.append(len(records))
            return ""

        shop.test_client().get("/watched")
    assert seen == [1, 2]
    assert [record.type for record in records] == ["exposure", "event"]


def test_only_the_records_of_the_block_and_the_application_are_seen(
    shop: Flask, make_app: MakeApp
) -> None:
    other = make_app()
    Browser(shop).visit()
    with recorded(shop) as records:
        Browser(other).visit()
    Browser(shop).visit()
    assert records == []


def test_a_unit_that_was_recorded_before_is_recorded_again_in_a_block(
    make_app: MakeApp, abx: ABX
) -> None:
    shop = make_app(
        {"headline": {"variants": ["control", "bold"], "unit": "user"}}, abx=abx
    )

    def work() -> None:
        with shop.app_context(), abx.as_unit("7"):
            abx.variant("headline")

    work()
    for _ in range(2):
        with recorded(shop) as records:
            work()
            work()
        assert len(records) == 1
    with recorded(shop) as outside:
        pass
    assert outside == []
    before = len(state_of(shop).seen)
    work()
    assert len(state_of(shop).seen) == before == 1


def test_a_job_is_forced(make_app: MakeApp, abx: ABX) -> None:
    shop = make_app(
        {"headline": {"variants": ["control", "bold"], "unit": "user"}}, abx=abx
    )
    for variant in ("control", "bold"):
        with (
            force(shop, {"headline": variant}),
            recorded(shop) as records,
            shop.app_context(),
            abx.as_unit("7"),
        ):
            assert abx.variant("headline") == variant
            abx.track("billed")
        exposure, event = records
        assert isinstance(exposure, Exposure)
        assert isinstance(event, Event)
        assert exposure.variant == variant
        assert event.variants == {"headline": variant}
