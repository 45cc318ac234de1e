"""What people agreed to: purposes, our cookie, our records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flask_abx import ABX, Event
from tests.checks.browser import Browser, records_of

if TYPE_CHECKING:
    from flask import Flask

    from tests.conftest import MakeApp

PAIR = ["control", "bold"]
BOTH = {"storage", "measurement"}


class Agreed:
    """A consent callable that says yes to some purposes, and what it was asked."""

    def __init__(self, purposes: set[str]) -> None:
        self.purposes = purposes
        self.asked: list[str] = []

    def __call__(self, purpose: str) -> bool:
        self.asked.append(purpose)
        return purpose in self.purposes


def agreeing(make_app: MakeApp, purposes: set[str], **fields: object) -> Flask:
    """Make an application whose visitors agree to some purposes."""
    abx = ABX()
    abx.consent(Agreed(purposes))
    return make_app({"headline": {"variants": PAIR, **fields}}, abx=abx)


@pytest.mark.parametrize(
    "fields",
    [{"sensitive": True}, {"consent": "ads"}, {"sensitive": True, "consent": "ads"}],
)
def test_without_a_callable_a_purpose_counts_as_refused(
    make_app: MakeApp, fields: dict[str, object]
) -> None:
    shop = make_app({"headline": {"variants": PAIR, **fields}})
    visit = Browser(shop).visit()
    assert (visit.served, visit.is_silent) == ("control", True)


@pytest.mark.parametrize(
    ("fields", "purposes", "is_in"),
    [
        pytest.param({"consent": "ads"}, {"ads"}, True, id="its own"),
        pytest.param({"consent": "ads"}, {"sensitive"}, False, id="another"),
        pytest.param({"sensitive": True}, {"sensitive"}, True, id="sensitive"),
        pytest.param({"sensitive": True, "consent": "ads"}, {"ads"}, False, id="half"),
        pytest.param(
            {"sensitive": True, "consent": "ads"}, {"ads", "sensitive"}, True, id="both"
        ),
    ],
)
def test_an_experiment_needs_all_its_purposes(
    make_app: MakeApp,
    fields: dict[str, object],
    purposes: set[str],
    is_in: bool,  # noqa: FBT001 - pytest passes by name
) -> None:
    visit = Browser(agreeing(make_app, BOTH | purposes, **fields)).visit()
    assert visit.exposed == ([f"headline:{visit.served}"] if is_in else [])


def test_without_storage_there_is_no_cookie_and_no_visitor(make_app: MakeApp) -> None:
    browser = Browser(agreeing(make_app, {"measurement"}))
    visit, signup = browser.visit(), browser.visit("/signup", method="POST")
    assert (visit.served, visit.is_silent) == ("control", True)
    assert (signup.status, signup.is_silent) == (200, True)


def test_a_user_is_served_without_storage(make_app: MakeApp) -> None:
    abx = ABX()
    abx.consent(Agreed({"measurement"}))
    abx.unit_loader(lambda: "7")
    shop = make_app({"headline": {"variants": PAIR, "unit": "user"}}, abx=abx)
    first, second = Browser(shop).visit(), Browser(shop).visit()
    event = Browser(shop).visit("/signup", method="POST").events[0]

    assert (first.exposed, first.cookies) == ([f"headline:{first.served}"], ())
    assert first.recorded[0].units == {"user": "7"}
    assert second.is_silent
    assert (event.units, event.variants) == ({"user": "7"}, {})


def test_without_measurement_nothing_is_recorded(make_app: MakeApp) -> None:
    browser = Browser(agreeing(make_app, {"storage"}))
    first, second = browser.visit(), browser.visit()
    signup = browser.visit("/signup", method="POST")

    assert (first.cookie_names, first.recorded) == (["__Host-abx"], ())
    assert first.token.startswith(f"1~{first.visitor}.")
    assert (second.served, second.is_silent) == (first.served, True)
    assert signup.is_silent


def test_who_agrees_later_is_recorded_from_then_on(make_app: MakeApp) -> None:
    abx, agreed = ABX(), Agreed({"storage"})
    abx.consent(agreed)
    browser = Browser(make_app(abx=abx))
    first = browser.visit()
    agreed.purposes.add("measurement")
    second = browser.visit()
    assert second.exposed == [f"headline:{first.served}"]
    assert second.visitor == first.visitor


def test_who_withdraws_is_neither_known_nor_told_a_variant(make_app: MakeApp) -> None:
    abx, agreed = ABX(), Agreed(set(BOTH))
    abx.consent(agreed)
    browser = Browser(make_app(abx=abx))
    browser.visit()
    agreed.purposes.clear()
    visit = browser.visit()
    assert (visit.served, visit.is_silent) == ("control", True)


def test_raising_means_no(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    abx = ABX()

    @abx.consent
    def consent(purpose: str) -> bool:
        raise ConnectionError("the consent store is down")

    visit = Browser(make_app(abx=abx)).visit()
    assert (visit.status, visit.served, visit.is_silent) == (200, "control", True)
    assert "The consent callable raised for 'storage', taken as no." in caplog.text


def test_each_purpose_is_asked_once_a_request(make_app: MakeApp) -> None:
    abx, agreed = ABX(), Agreed(BOTH | {"ads"})
    abx.consent(agreed)
    shop = make_app({"headline": {"variants": PAIR, "consent": "ads"}}, abx=abx)

    @shop.get("/often")
    def often() -> str:
        for _ in range(3):
            abx.track("seen")
        return abx.variant("headline")

    Browser(shop).visit("/often")
    assert sorted(agreed.asked) == ["ads", "measurement", "storage"]


def test_a_job_asks_too(make_app: MakeApp) -> None:
    abx = ABX()
    abx.consent(Agreed({"measurement"}))
    shop = make_app(
        {
            "headline": {"variants": PAIR, "unit": "user", "consent": "ads"},
            "price": {"variants": PAIR, "unit": "user"},
        },
        abx=abx,
    )
    with shop.app_context(), abx.as_unit("7"):
        assert abx.assignment("headline").reason == "no_consent"
        abx.variant("price")
        abx.track("billed")
    event = records_of(shop)[-1]
    assert isinstance(event, Event)
    assert list(event.variants) == ["price"]
