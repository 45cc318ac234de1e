"""What is told of one unit: all of its own, and nothing of anybody else."""

from __future__ import annotations

import pytest

from flask_abx.assignment.decision import Unit
from flask_abx.events.records import digest_of
from flask_abx.events.sql.units import Holdings, Person, find_person, holdings_of
from tests.events.sql.people import ANNAS, BENS, NOON, Rows, two_people

ANNA = Unit("user", "anna")


def held(rows: Rows, unit: Unit) -> Holdings:
    engine = rows.database.own
    return holdings_of(engine, rows.tables, find_person(engine, rows.tables, unit))


def orders(found: Holdings) -> list[str]:
    """Name the events that were told by what they were made of."""
    known = {digest_of("event", "purchase", order): order for order in "12345"}
    return sorted(known[event["id"]] for event in found.events)


def test_a_user_has_the_browsers_whose_first_user_it_is(rows: Rows) -> None:
    two_people(rows)
    assert held(rows, ANNA).visitors == [ANNAS, "c" * 32]


def test_the_events_of_a_user_are_told_with_those_of_its_browsers(rows: Rows) -> None:
    two_people(rows)
    assert orders(held(rows, ANNA)) == ["1", "2", "3"]


def test_what_another_user_did_in_the_same_browser_is_not_told(rows: Rows) -> None:
    two_people(rows)
    found = held(rows, ANNA)
    assert "ben" not in repr(found)
    assert BENS not in repr(found)


def test_the_second_user_of_a_browser_is_told_what_is_theirs(rows: Rows) -> None:
    two_people(rows)
    found = held(rows, Unit("user", "ben"))
    assert orders(found) == ["4", "5"]
    assert [row["unit"] for row in found.exposures] == ["user:ben"]


def test_the_exposures_of_a_user_and_its_browsers_are_told(rows: Rows) -> None:
    two_people(rows)
    told = [row["unit"] for row in held(rows, ANNA).exposures]
    assert told == ["user:anna", f"visitor:{ANNAS}", "tenant:acme"]


def test_a_visitor_is_told_every_row_that_holds_its_id(rows: Rows) -> None:
    two_people(rows)
    found = held(rows, Unit("visitor", ANNAS))
    assert (orders(found), len(found.exposures), len(found.links)) == (
        ["1", "2", "4"],
        4,
        2,
    )


def test_a_tenant_is_told_its_own(rows: Rows) -> None:
    two_people(rows)
    found = held(rows, Unit("tenant", "acme"))
    assert (orders(found), len(found.exposures), found.visitors) == (["3"], 1, [])


def test_an_event_is_told_as_it_was_recorded(rows: Rows) -> None:
    id_ = rows.event("1", {"user": "anna"}, properties={"tea": "sencha"})
    (event,) = held(rows, ANNA).events
    assert event == {
        "type": "event",
        "id": id_,
        "name": "purchase",
        "at": "2030-03-17T17:46:40.000Z",
        "stored_at": "2030-03-17T17:46:40.000Z",
        "value": 9.5,
        "units": {"user": "anna"},
        "properties": {"tea": "sencha"},
        "variants": {"headline": "bold"},
        "version": "3",
    }


def test_nothing_is_told_of_somebody_unknown(rows: Rows) -> None:
    two_people(rows)
    found = held(rows, Unit("user", "carl"))
    assert found == Holdings("user:carl", [], None, [], [], [], [])


def test_an_id_that_ends_in_a_blank_is_another_one(rows: Rows) -> None:
    rows.event("1", {"user": "anna "})
    rows.event("2", {"user": "Anna"})
    assert held(rows, ANNA).event_units == []


def test_the_belongings_of_an_event_are_told_with_it(rows: Rows) -> None:
    rows.event("1", {"user": "anna", "tenant": "acme"}, at=NOON)
    (row,) = held(rows, ANNA).event_units
    assert (row["unit"], row["at"]) == ("user:anna", "2030-03-17T17:46:40.000Z")


@pytest.mark.parametrize(
    ("units", "is_met"),
    [
        pytest.param({"user": "anna"}, True, id="itself"),
        pytest.param({"visitor": ANNAS}, True, id="its-browser"),
        pytest.param({"visitor": ANNAS, "tenant": "x"}, True, id="browser-and-tenant"),
        pytest.param({"visitor": ANNAS, "user": "ben"}, False, id="another-user"),
        pytest.param({"visitor": BENS, "user": "anna"}, True, id="elsewhere"),
        pytest.param({"visitor": BENS}, False, id="another-browser"),
        pytest.param({"tenant": "anna"}, False, id="another-type"),
    ],
)
def test_a_record_belongs_to_a_person_or_not(
    units: dict[str, str], *, is_met: bool
) -> None:
    assert Person(ANNA, (ANNAS,)).is_met(units) is is_met


def test_a_browser_whose_login_still_waits_is_the_users_too(rows: Rows) -> None:
    two_people(rows)
    new, told = "d" * 32, {"d" * 32, BENS}
    engine = rows.database.own
    assert find_person(engine, rows.tables, ANNA, told).visitors == (
        ANNAS,
        "c" * 32,
        new,
    )
