"""Who is a unit: ids that are none, ids that are odd, and ids that are equal."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from flask_abx import ABX
from flask_abx.runtime.state import state_of

if TYPE_CHECKING:
    from flask import Flask

    from tests.checks.conftest import Browse
    from tests.conftest import MakeApp

NAME = "__Host-abx"
FOR_USERS = {"headline": {"variants": ["control", "bold"], "unit": "user"}}
LONG = "x" * 10_000
NOBODY = {"empty": "", "None": None, "true": True, "float": 1.5, "bytes": b"7"}
TOO_ODD = {
    "10 kB": LONG,
    "NUL": "a\x00b",
    "blank at the end": "a ",
    "lone surrogate": "\ud800",
}


def app_for(make_app: MakeApp, user: object) -> tuple[Flask, ABX]:
    """Make an application in which one user is logged in."""
    abx = ABX()
    abx.unit_loader(lambda: user)
    return make_app(FOR_USERS, abx=abx), abx


@pytest.mark.check(26)
@pytest.mark.parametrize("user", NOBODY.values(), ids=NOBODY)
def test_what_is_no_id_gets_the_control(
    make_app: MakeApp, browse: Browse, user: object
) -> None:
    app, abx = app_for(make_app, user)
    app.get("/why")(lambda: abx.assignment("headline").reason)

    visit = browse(app).visit()
    assert (visit.status, visit.served) == (200, "control")
    assert visit.is_silent
    assert browse(app).visit("/why").served == "no_unit"


@pytest.mark.check(26)
@pytest.mark.parametrize("user", TOO_ODD.values(), ids=TOO_ODD)
def test_an_id_that_no_database_takes_is_served_but_not_recorded(
    make_app: MakeApp,
    browse: Browse,
    user: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, abx = app_for(make_app, user)
    app.get("/why")(lambda: abx.assignment("headline").reason)
    browser = browse(app)
    visits = [browser.visit() for _ in range(5)]

    assert browser.visit("/why").served == "allocated"
    assert len({visit.served for visit in visits}) == 1
    assert all(visit.status == 200 and visit.is_silent for visit in visits)
    assert browser.visit("/signup", method="POST").recorded == ()
    assert state_of(app).tally.counts["record_dropped:unit"] >= 2
    assert caplog.text.count("'headline' is not recorded: the id of its unit") == 1


@pytest.mark.check(26)
@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(1, "1", id="whole number"),
        pytest.param(UUID(int=7), str(UUID(int=7)), id="UUID"),
        pytest.param(2**70, str(2**70), id="large number"),
    ],
)
def test_an_id_is_the_same_as_its_text(
    make_app: MakeApp, browse: Browse, one: object, other: str
) -> None:
    visits = [browse(app_for(make_app, user)[0]).visit() for user in (one, other)]

    assert visits[0].served == visits[1].served
    assert visits[0].exposed == [f"headline:{visits[0].served}"]
    assert visits[0].recorded[0].id == visits[1].recorded[0].id
    assert visits[0].recorded[0].units == {"user": other}
    assert visits[0].token == visits[1].token


@pytest.mark.check(26)
def test_ids_are_neither_trimmed_nor_normalised(
    make_app: MakeApp, browse: Browse
) -> None:
    users = ["👩‍🚀", "é", "e\u0301", "a", " a", "A", "\u202ea"]
    visits = [browse(app_for(make_app, user)[0]).visit() for user in users]

    assert [visit.recorded[0].units for visit in visits] == [
        {"user": user} for user in users
    ]
    assert len({visit.recorded[0].id for visit in visits}) == len(users)
    assert all(visit.cookie_names == [NAME] for visit in visits)
