"""Chunks in any order, divided in any way, and repeated: the tables are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.events.sql.ground import NOON, Ground, event, exposure
from tests.stores.places import empty

if TYPE_CHECKING:
    from flask_abx.stores.database import Database

    Told = dict[str, Any]

#: Which visitor is whose: two are the same user's, one is nobody's.
USERS = {"a": "7", "b": "7", "c": "8", "d": None}
#: What the record that is stored first decides.
DECIDED = ("variant", "visitor")
moments = st.integers(0, 30)


@st.composite
def units(draw: st.DrawFn) -> dict[str, str]:
    """Draw who it was: a browser, somebody logged in, or a webhook."""
    visitor = draw(st.sampled_from(sorted(USERS)))
    user = USERS[visitor]
    if user is None:
        return {"visitor": visitor}
    known = {"visitor": visitor, "user": user}
    kinds = draw(st.sampled_from([("visitor",), ("user",), ("visitor", "user")]))
    return {kind: known[kind] for kind in kinds}


@st.composite
def records(draw: st.DrawFn) -> Told:
    """Draw an event or an exposure."""
    who, at = draw(units()), draw(moments)
    if draw(st.booleans()):
        return event(at=at, **who)
    to = draw(st.sampled_from(["both", "browsers"]))
    kind = "user" if "user" in who and to == "both" else "visitor"
    if kind not in who:
        return event("visit", at=at, **who)
    variant = draw(st.sampled_from(["bold", "control"]))
    return exposure(kind, to=to, variant=variant, at=at, **who)


@st.composite
def tellings(draw: st.DrawFn) -> tuple[list[Told], list[list[Told]]]:
    """Draw records, and chunks in which each of them is told at least once."""
    told = draw(st.lists(records(), min_size=1, max_size=12))
    again = draw(st.lists(st.sampled_from(told), max_size=6))
    mixed = draw(st.permutations([*told, *again]))
    cuts = sorted(draw(st.sets(st.integers(1, len(mixed)), max_size=5)))
    bounds = zip([0, *cuts], [*cuts, len(mixed)], strict=True)
    return told, [list(mixed[begin:end]) for begin, end in bounds]


@given(telling=tellings())
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_the_order_of_chunks_is_nothing_to_the_tables(
    stored_in: Database, telling: tuple[list[Told], list[list[Told]]]
) -> None:
    told, chunks = telling
    in_order = outcome(stored_in, [told])
    assert outcome(stored_in, chunks) == in_order


def outcome(database: Database, chunks: list[list[Told]]) -> list[list[Told]]:
    """Store chunks in empty tables, and read these."""
    empty(database)
    ground = Ground(database)
    run = {"experiment": "both", "iteration": 1, "weights": "{}"}
    begun = enumerate((0, 10, 20), start=1)
    ground.add(
        ground.tables.epochs,
        *({**run, "epoch": n, "started_at": NOON + 1_000 * at} for n, at in begun),
    )
    for chunk in chunks:
        ground.store(*chunk)
    # Rows that differ in what is left out alone come in whatever order.
    return [sorted(rows, key=str) for rows in ground.everything(besides=DECIDED)]


@pytest.mark.parametrize("first", [True, False], ids=["in-order", "backwards"])
def test_links_of_several_users_are_the_same_in_any_order(
    ground: Ground, *, first: bool
) -> None:
    told = [
        event("login", at, visitor="a", user=user)
        for user, at in zip("879", (1, 2, 2), strict=True)
    ]
    for record in told if first else reversed(told):
        ground.store(record)
    rows = ground.rows(ground.tables.links, besides=["visitor", "at"])
    assert rows == [{"unit": f"user:{n}", "first": int(n == 8)} for n in (7, 8, 9)]
