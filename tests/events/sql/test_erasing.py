"""Erasing a unit: nothing of it is left, and everything of the others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from sqlalchemy.exc import DBAPIError

from flask_abx.assignment.decision import Unit
from flask_abx.events.records import digest_of, stamp
from flask_abx.events.sql import erasures
from flask_abx.events.sql.erasing import Erased, erase
from flask_abx.events.sql.retrying import retried
from flask_abx.events.sql.storing import Stored, store
from flask_abx.stores.change import moment_of
from flask_abx.stores.database import writing
from tests.events.sql.people import ANNAS, BENS, Rows, two_people

ANNA = Unit("user", "anna")
HER_BROWSER = Unit("visitor", ANNAS)


def erased(rows: Rows, unit: Unit = ANNA) -> Erased:
    return erase(rows.database.own, rows.tables, unit)


def event(rows: Rows, order: str) -> dict[str, object]:
    """Read one event."""
    id_ = digest_of("event", "purchase", order)
    return next(row for row in rows.all(rows.tables.events) if row["id"] == id_)


def stored(rows: Rows, at: int, **units: str) -> Stored:
    """Store an event as a drain does."""
    record = {
        "type": "event",
        "id": digest_of("event", "purchase", f"late {at}"),
        "at": stamp(moment_of(at)),
        "name": "purchase",
        "value": 1,
        "variants": {},
        "units": units,
        "properties": {},
        "version": "3",
    }
    with writing(rows.database.own) as connection:
        return store(connection, rows.tables, [record], lambda _: ())


def test_no_cell_of_any_table_holds_the_unit_or_its_browsers(rows: Rows) -> None:
    two_people(rows)
    erased(rows)
    text = rows.text()
    assert not [each for each in ("anna", ANNAS, "c" * 32) if each in text]


def test_everything_of_the_others_stays(rows: Rows) -> None:
    two_people(rows)
    erased(rows)
    tables = rows.tables
    assert rows.units(tables.exposures) == ["user:ben", "tenant:acme"]
    assert rows.units(tables.links) == ["user:ben"]
    assert sorted(rows.units(tables.event_units)) == [
        "tenant:acme",
        "user:ben",
        "user:ben",
        f"visitor:{BENS}",
    ]


def test_it_is_told_what_went(rows: Rows) -> None:
    two_people(rows)
    done = erased(rows)
    assert done.person.visitors == (ANNAS, "c" * 32)
    assert (done.exposures, done.events, done.shared, done.links) == (2, 2, 2, 3)


def test_an_event_of_others_stays_without_ids_and_properties(rows: Rows) -> None:
    two_people(rows)
    erased(rows)
    kept = event(rows, "3")
    assert (kept["units"], kept["properties"]) == ('{"tenant":"acme"}', "{}")
    assert (kept["value"], kept["name"]) == (9.5, "purchase")


def test_the_exposure_of_another_unit_forgets_the_browser(rows: Rows) -> None:
    two_people(rows)
    erased(rows)
    visitors = [row["visitor"] for row in rows.all(rows.tables.exposures)]
    assert visitors == [None, None]


def test_a_visitor_is_erased_alone(rows: Rows) -> None:
    two_people(rows)
    done = erased(rows, HER_BROWSER)
    assert (done.person.visitors, done.exposures, done.links) == ((), 1, 2)
    assert ANNAS not in rows.text()
    assert "user:anna" in rows.units(rows.tables.exposures)


def test_an_event_of_a_browser_stays_for_its_user(rows: Rows) -> None:
    two_people(rows)
    erased(rows, HER_BROWSER)
    assert event(rows, "1")["units"] == "{}"
    assert rows.units(rows.tables.event_units).count("user:anna") == 3


def test_an_event_that_does_not_name_the_unit_keeps_its_properties(rows: Rows) -> None:
    rows.link(ANNAS, "anna")
    rows.event("1", {"user": "anna"}, f"visitor:{ANNAS}", properties={"tea": "sencha"})
    erased(rows, HER_BROWSER)
    assert event(rows, "1")["properties"] == '{"tea": "sencha"}'


def test_a_browser_of_somebody_else_is_counted_by_itself_again(rows: Rows) -> None:
    rows.link(BENS, "ben")
    rows.link(BENS, "anna", first=0)
    rows.exposure(f"visitor:{BENS}", visitor=BENS, merged_into="user:anna")
    erased(rows)
    (row,) = rows.all(rows.tables.exposures)
    assert (row["unit"], row["merged_into"]) == (f"visitor:{BENS}", None)


def test_a_tenant_is_erased_from_the_events_of_its_users(rows: Rows) -> None:
    two_people(rows)
    erased(rows, Unit("tenant", "acme"))
    assert "acme" not in rows.text()
    assert event(rows, "3")["units"] == '{"user":"anna"}'


def test_an_id_that_ends_in_a_blank_is_another_one(rows: Rows) -> None:
    rows.event("1", {"user": "anna "})
    rows.event("2", {"user": "Anna"})
    erased(rows)
    assert rows.counts() == (0, 2, 2, 0)


def test_a_long_history_is_erased(rows: Rows) -> None:
    rows.events([f"order {n}" for n in range(1_100)], {"user": "anna"})
    assert erased(rows).events == 1_100
    assert rows.counts() == (0, 0, 0, 0)


def test_the_digest_of_the_unit_and_of_its_browsers_is_kept(rows: Rows) -> None:
    two_people(rows)
    done = erased(rows)
    (state,) = rows.all(rows.tables.state)
    kept = {row["digest"]: row["erased_at"] for row in rows.all(rows.tables.erasures)}
    for text in done.person.texts:
        assert kept[erasures.digest_of(state["pepper"], text)] == done.at


def test_erasing_again_changes_nothing_but_the_moment(rows: Rows) -> None:
    two_people(rows)
    first = erased(rows)
    before = rows.counts()
    second = erased(rows)
    assert rows.counts() == before
    assert (second.exposures, second.events, second.shared) == (0, 0, 0)
    assert second.at >= first.at
    assert max(row["erased_at"] for row in rows.all(rows.tables.erasures)) == second.at


def test_erasing_where_nothing_is_stored_is_remembered(rows: Rows) -> None:
    done = erased(rows)
    assert stored(rows, done.at, user="anna").refused == 1


def test_records_of_before_are_refused_and_later_ones_are_welcome(rows: Rows) -> None:
    two_people(rows)
    done = erased(rows)
    assert stored(rows, done.at - 1, user="anna").refused == 1
    assert stored(rows, done.at - 1, visitor=ANNAS).refused == 1
    assert stored(rows, done.at + 1, user="anna").events == 1
    assert stored(rows, done.at - 1, user="ben").events == 1


def test_it_is_all_or_nothing(rows: Rows) -> None:
    two_people(rows)
    before, name = rows.counts(), rows.tables.events.name
    away = f"{name}_away"
    with writing(rows.database.own) as connection:
        connection.exec_driver_sql(f"ALTER TABLE {name} RENAME TO {away}")
    with pytest.raises(DBAPIError):
        erased(rows)
    with writing(rows.database.own) as connection:
        connection.exec_driver_sql(f"ALTER TABLE {away} RENAME TO {name}")
    assert rows.counts() == before


def test_no_record_slips_in_beside_an_erasure(rows: Rows) -> None:
    erased(rows, Unit("user", "carl"))

    def drain(part: int) -> None:
        for number in range(20):
            at = 1_000 * part + number
            retried(partial(stored, rows, at, visitor=ANNAS, user="anna"))

    with ThreadPoolExecutor(3) as pool:
        drains = [pool.submit(drain, part) for part in range(3)]
        rows.link(BENS, "anna")
        erased(rows)
        for each in drains:
            each.result()
    assert "anna" not in rows.text()
