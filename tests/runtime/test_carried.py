"""The text that carries somebody: whatever the ids are, and whoever damages it."""

from __future__ import annotations

from typing import Any

from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from flask_abx import ABX
from flask_abx.events.safe import storable
from flask_abx.runtime.current import current_scope
from flask_abx.runtime.making import labels, units_of
from flask_abx.runtime.task import TaskLoad

PAIR = ["control", "bold"]
DEFINITIONS = {
    "headline": {"variants": PAIR},
    "for_users": {"variants": PAIR, "unit": "user"},
    "for_tenants": {"variants": PAIR, "unit": "tenant"},
}
IDS = st.text(st.characters(), min_size=1, max_size=8)
LONG_IDS = st.text(st.characters(), min_size=1, max_size=400)
#: Those of which an exposure is recorded, so that it can be carried.
LONGEST_IDS = LONG_IDS.filter(lambda text: storable(text, 320))
VISITORS = LONG_IDS.map(lambda text: text[:32]).filter(lambda text: storable(text, 32))


def plain_app() -> tuple[Flask, ABX]:
    """Make an application without fixtures, as hypothesis calls a test many times."""
    app, abx = Flask(__name__), ABX()
    app.config.update(
        SECRET_KEY="secret", ABX_SINKS=["memory"], ABX_EXPERIMENTS=DEFINITIONS
    )
    abx.init_app(app)
    return app, abx


APP, EXTENSION = plain_app()


def through(user: str | None, **units: str | None) -> list[tuple[Any, Any, Any]]:
    """Give units, labels and variants of somebody before and after being carried."""
    told = []
    with APP.app_context():
        text = None
        for _ in range(2):
            with EXTENSION.as_unit(text) if text else EXTENSION.as_unit(user, **units):
                served = {key: EXTENSION.variant(key) for key in DEFINITIONS}
                scope = current_scope()
                who = units_of(scope, mint=False)
                told.append((who, labels(scope, who), served))
                text = EXTENSION.carry()
                assert len(text) < 300
    return told


@given(visitor=IDS | st.none(), user=IDS | st.none(), tenant=IDS | st.none())
def test_any_ids_and_what_they_met_arrive_as_they_left(
    visitor: str | None, user: str | None, tenant: str | None
) -> None:
    before, after = through(user, visitor=visitor, tenant=tenant)
    assert before == after


@given(visitor=VISITORS, user=LONGEST_IDS, tenant=LONGEST_IDS)
def test_what_is_left_of_long_ids_is_whole(
    visitor: str, user: str, tenant: str
) -> None:
    before, after = through(user, visitor=visitor, tenant=tenant)
    for left, arrived in zip(before[:2], after[:2], strict=True):
        assert arrived.items() <= left.items()


@given(
    place=st.integers(min_value=0),
    char=st.characters(min_codepoint=33, max_codepoint=126),
)
def test_no_damaged_text_passes(place: int, char: str) -> None:
    with APP.app_context():
        with EXTENSION.as_unit("anna", tenant="ächt"):
            text = EXTENSION.carry()
        index = place % len(text)
        damaged = f"{text[:index]}{char}{text[index + 1 :]}"
        scope = TaskLoad(damaged).scope_in(APP)
    assert (scope.identity.user() == "anna") is (damaged == text)


@given(text=st.text(max_size=80))
def test_no_invented_text_passes(text: str) -> None:
    with APP.app_context():
        scope = TaskLoad(f"abx1.{text}").scope_in(APP)
    assert scope.identity.user() is None
