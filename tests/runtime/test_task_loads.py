"""What comes with a task: whom it acts for in the contexts that it meets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flask_abx import ABX
from flask_abx.runtime.task import TaskLoad, luggage
from tests.checks.browser import Browser, records_of

if TYPE_CHECKING:
    from flask import Flask

    from tests.conftest import MakeApp

PAIR = ["control", "bold"]
DEFINITIONS = {
    "headline": {"variants": PAIR},
    "for_users": {"variants": PAIR, "unit": "user"},
}


@pytest.fixture
def abx() -> ABX:
    """The extension under test."""
    return ABX()


@pytest.fixture
def shop(make_app: MakeApp, abx: ABX) -> Flask:
    """An application that assigns visitors and users."""
    return make_app(DEFINITIONS, abx=abx)


def carried_of(shop: Flask, abx: ABX, user: str) -> str:
    """Give what carries a user."""
    with shop.app_context(), abx.as_unit(user):
        return abx.carry()


def test_a_task_acts_for_whom_it_carries_in_a_context_that_stays(
    shop: Flask, abx: ABX
) -> None:
    texts = [carried_of(shop, abx, user) for user in ("anna", "bert")]
    with shop.app_context():
        abx.track("idle")
        for text in texts:
            load = TaskLoad(text)
            load.take_up()
            abx.track("paid")
            load.put_down()
        users = [each.units.get("user") for each in records_of(shop)]
        assert users == ["anna", "bert"]
        assert abx.assignment("for_users").reason == "no_unit"


def test_a_task_outside_a_context_passes_on_what_it_met(shop: Flask, abx: ABX) -> None:
    load = TaskLoad(carried_of(shop, abx, "anna"))
    load.take_up()
    with shop.app_context():
        abx.variant("for_users")
    text = luggage()
    load.put_down()
    assert text is not None
    with shop.app_context(), abx.as_unit(text):
        assert abx.assignment("for_users").reason == "sticky"


def test_a_request_within_a_task_is_its_own(shop: Flask, abx: ABX) -> None:
    load = TaskLoad(carried_of(shop, abx, "anna"))
    load.take_up()
    visit = Browser(shop).visit("/signup", method="POST")
    load.put_down()
    assert set(visit.events[0].units) == {"visitor"}


def test_a_block_within_a_task_is_for_somebody_else(shop: Flask, abx: ABX) -> None:
    load = TaskLoad(carried_of(shop, abx, "anna"))
    load.take_up()
    with shop.app_context():
        with abx.as_unit("bert"):
            abx.track("paid")
        abx.track("paid")
    load.put_down()
    assert [each.units.get("user") for each in records_of(shop)] == [
        "bert",
        "anna",
    ]


def test_nobody_has_no_luggage(shop: Flask, unwired: Flask) -> None:
    assert luggage() is None
    with unwired.app_context():
        assert luggage() is None
    with shop.app_context():
        assert luggage() is None
