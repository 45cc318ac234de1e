"""Storing records: the right rows, once, the same in every database."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.event import listen, remove

from flask_abx.events.sql.rows import RecordRefused
from flask_abx.events.sql.storing import Stored, store_event
from flask_abx.stores.database import writing
from tests.events.sql.ground import COUNTING, NOON, V1, V2, event, exposure, moment

if TYPE_CHECKING:
    from tests.events.sql.ground import Ground


def test_records_are_counted_by_kind(ground: Ground) -> None:
    records = [
        exposure("visitor", visitor=V1),
        event(visitor=V1),
        event("visit", user="7"),
    ]
    assert ground.store(*records) == Stored(exposures=1, events=2, refused=0)


def test_known_records_are_counted_as_taken(ground: Ground) -> None:
    records = [exposure("visitor", visitor=V1), event(visitor=V1)]
    ground.store(*records)
    assert ground.store(*records, *records) == Stored(2, 2, 0)


def test_a_record_that_is_told_again_adds_nothing(ground: Ground) -> None:
    records = [exposure("visitor", visitor=V1), event(visitor=V1, user="7")]
    ground.store(*records)
    before = ground.everything()
    ground.store(*records)
    ground.store(*reversed(records))
    assert ground.everything() == before


def test_an_event_is_stored_as_it_was_told(ground: Ground) -> None:
    ground.store(event(at=1.5, visitor=V1, tenant="acme"))
    (row,) = ground.rows(ground.tables.events, besides=["id", "stored_at"])
    assert row == {
        "name": "order",
        "at": NOON + 1_500,
        "value": 49.9,
        "units": f'{{"tenant":"acme","visitor":"{V1}"}}',
        "properties": '{"tea":"sencha"}',
        "variants": "{}",
        "version": "3",
    }


def test_an_exposure_is_stored_as_it_was_told(ground: Ground) -> None:
    ground.store(exposure("user", user="7", visitor=V1, at=2))
    (row,) = ground.rows(ground.tables.exposures, besides=["stored_at"])
    assert row == {
        "experiment": "both",
        "iteration": 1,
        "unit": "user:7",
        "variant": "bold",
        "epoch": 1,
        "reason": "allocated",
        "first_at": NOON + 2_000,
        "mixed": 0,
        "merged_into": None,
        "visitor": V1,
        "dimensions": '{"country":"DE"}',
        "slot": 14,
        "version": "3",
    }


def test_rows_tell_when_they_arrived(ground: Ground) -> None:
    ground.store(exposure("visitor", visitor=V1), event(visitor=V1))
    tables = ground.tables
    arrived = [
        ground.rows(each)[0]["stored_at"] for each in (tables.events, tables.exposures)
    ]
    now = time.time() * 1000
    assert all(abs(each - now) < 3_600_000 for each in arrived)


@pytest.mark.parametrize("at_once", [True, False], ids=["one-chunk", "two-chunks"])
def test_the_first_variant_stays_and_another_is_told(
    ground: Ground, *, at_once: bool
) -> None:
    told = [
        exposure("visitor", visitor=V1, variant=each) for each in ("bold", "control")
    ]
    for chunk in [told] if at_once else [told[:1], told[1:]]:
        ground.store(*chunk)
    row = ground.exposed(f"visitor:{V1}")
    assert (row["variant"], row["mixed"]) == ("bold", 1)


def test_who_met_two_variants_stays_mixed(ground: Ground) -> None:
    for variant in ("bold", "control", "bold"):
        ground.store(exposure("visitor", visitor=V1, variant=variant))
    assert ground.exposed(f"visitor:{V1}")["mixed"] == 1


@pytest.mark.parametrize("at_once", [True, False], ids=["one-chunk", "two-chunks"])
@pytest.mark.parametrize("moments", [(5, 25), (25, 5)], ids=["in-order", "backwards"])
def test_the_earliest_moment_counts_and_with_it_the_epoch(
    ground: Ground, moments: tuple[int, int], *, at_once: bool
) -> None:
    ground.add(
        ground.tables.epochs, *(epoch(n, at) for n, at in ((1, 0), (2, 10), (3, 20)))
    )
    told = [exposure("visitor", visitor=V1, at=at) for at in moments]
    for chunk in [told] if at_once else [told[:1], told[1:]]:
        ground.store(*chunk)
    row = ground.exposed(f"visitor:{V1}")
    assert (row["first_at"], row["epoch"]) == (NOON + 5_000, 1)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        pytest.param(-5, 2, id="before-the-first"),
        pytest.param(0, 2, id="as-it-begins"),
        pytest.param(9.999, 2, id="just-before-the-next"),
        pytest.param(10, 3, id="as-the-next-begins"),
        pytest.param(900, 3, id="long-after"),
    ],
)
def test_the_epoch_is_the_one_open_at_that_moment(
    ground: Ground, at: float, expected: int
) -> None:
    other = {**epoch(9, -9), "iteration": 2}
    ground.add(ground.tables.epochs, epoch(2, 0), epoch(3, 10), other)
    ground.store(exposure("visitor", visitor=V1, at=at))
    assert ground.exposed(f"visitor:{V1}")["epoch"] == expected


def epoch(number: int, at: int) -> dict[str, Any]:
    """Give an epoch that begins some seconds after noon."""
    run = {"experiment": "both", "iteration": 1, "weights": "{}"}
    return {**run, "epoch": number, "started_at": NOON + 1_000 * at}


def test_a_repeated_id_belongs_to_whom_it_was_told_of_first(ground: Ground) -> None:
    first = event(visitor=V1)
    ground.store(first)
    ground.store({**first, "units": {"visitor": V2}, "name": "other", "value": 1})
    (row,) = ground.rows(ground.tables.event_units)
    assert (row["unit"], row["name"], row["value"]) == (f"visitor:{V1}", "order", 49.9)


def test_what_an_event_belongs_to_is_completed(ground: Ground) -> None:
    told = event(visitor=V1, tenant="acme")
    ground.store(told)
    with writing(ground.database.own) as connection:
        connection.execute(ground.tables.event_units.delete())
    ground.store(told)
    assert ground.belonging() == {"order": {f"visitor:{V1}", "tenant:acme"}}


@pytest.mark.parametrize(
    "value",
    [None, 0, -3, 49.9, 0.1, 1e300, 5e-324, 2**53, 1.7976931348623157e308],
    ids=repr,
)
def test_a_value_comes_back_as_it_was(ground: Ground, value: float | None) -> None:
    told = {**event(visitor=V1), "value": value}
    ground.store(told)
    # The second time it is read back.
    ground.store(told)
    tables = ground.tables
    found = [
        ground.rows(each)[0]["value"] for each in (tables.events, tables.event_units)
    ]
    assert found == [value, value]


@pytest.mark.parametrize(
    "ids",
    [
        pytest.param(("anna", "Anna", "ANNA"), id="case"),
        pytest.param(("o\u0301", "\u00f3"), id="composed"),
        pytest.param(("\U0001f375", "\U0001f376", "?"), id="beyond-the-bmp"),
        pytest.param(("x" * 320, "x" * 319), id="320-characters"),
        pytest.param(("\U0001f375" * 320, "\U0001f375" * 319), id="320-emoji"),
        pytest.param((" a", "a", "\ta", "a\t"), id="blanks"),
        pytest.param(("a%", "a_", "a\\", "a'", 'a"', "a:b"), id="signs"),
    ],
)
def test_units_that_differ_stay_apart(ground: Ground, ids: tuple[str, ...]) -> None:
    told = [exposure("user", user=each) for each in ids] + [
        event(user=each) for each in ids
    ]
    ground.store(*told)
    ground.store(*told)
    units = {f"user:{each}" for each in ids}
    assert {row["unit"] for row in ground.rows(ground.tables.exposures)} == units
    assert {row["unit"] for row in ground.rows(ground.tables.event_units)} == units


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"type": "visit"}, id="type"),
        pytest.param({"id": "x" * 33}, id="id-too-long"),
        pytest.param({"id": None}, id="no-id"),
        pytest.param({"name": "x" * 101}, id="name-too-long"),
        pytest.param({"name": "order "}, id="name-ends-with-a-blank"),
        pytest.param({"name": "a\0b"}, id="nul"),
        pytest.param({"units": {"user": "7 "}}, id="unit-ends-with-a-blank"),
        pytest.param({"units": {"user": "\ud800"}}, id="half-a-surrogate-pair"),
        pytest.param({"units": {"user": "x" * 321}}, id="unit-too-long"),
        pytest.param({"units": {"user": 7}}, id="unit-is-a-number"),
        pytest.param({"units": {}}, id="no-unit"),
        pytest.param({"units": ["7"]}, id="units-are-a-list"),
        pytest.param({"value": float("nan")}, id="nan"),
        pytest.param({"value": 10**400}, id="value-too-large"),
        pytest.param({"value": "49"}, id="value-is-text"),
        pytest.param({"at": "yesterday"}, id="no-moment"),
        pytest.param({"at": "2030-01-07T09:00:00"}, id="no-time-zone"),
        pytest.param({"properties": []}, id="properties-are-a-list"),
        pytest.param({"properties": {"x": float("inf")}}, id="infinite-property"),
        pytest.param({"version": "v" * 21}, id="version-too-long"),
    ],
)
def test_what_not_every_database_takes_is_refused_by_each(
    ground: Ground, changes: dict[str, Any]
) -> None:
    with pytest.raises(RecordRefused):
        ground.store(event("visit", user="1"), {**event(user="7"), **changes})
    assert ground.everything() == [[], [], [], []]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"iteration": "1"}, id="iteration-is-text"),
        pytest.param({"iteration": 2**63}, id="iteration-too-large"),
        pytest.param({"variant": "x" * 65}, id="variant-too-long"),
        pytest.param({"reason": "x" * 17}, id="reason-too-long"),
        pytest.param({"experiment": ""}, id="no-experiment"),
        pytest.param({"unit": None}, id="no-unit"),
        pytest.param({"unit_type": "x" * 41}, id="unit-type-too-long"),
    ],
)
def test_an_exposure_that_fits_no_table_is_refused(
    ground: Ground, changes: dict[str, Any]
) -> None:
    with pytest.raises(RecordRefused, match=next(iter(changes))):
        ground.store({**exposure("user", user="7"), **changes})


def test_a_record_that_is_no_object_is_refused(ground: Ground) -> None:
    not_one: Any = ["event"]
    with pytest.raises(RecordRefused, match="must be an object"):
        ground.store(not_one)


def test_text_beyond_the_tables_letters_is_kept_in_json(ground: Ground) -> None:
    told = {**event(visitor=V1), "properties": {"a": "\0 \ud800 \U0001f375"}}
    ground.store(told)
    (row,) = ground.rows(ground.tables.events)
    assert json.loads(row["properties"]) == told["properties"]


def test_a_visitor_whom_the_tables_cannot_name_is_refused(ground: Ground) -> None:
    with pytest.raises(RecordRefused, match="of 1 to 32 characters"):
        ground.store(event(visitor="v" * 33))


def test_a_chunk_without_records_is_no_fault(ground: Ground) -> None:
    assert ground.store() == Stored(0, 0, 0)


def test_an_event_in_a_foreign_transaction_is_stored_at_once(ground: Ground) -> None:
    told = event(visitor=V1, tenant="acme")
    with writing(ground.database.own) as connection:
        store_event(connection, ground.tables, told)
        store_event(connection, ground.tables, told)
    assert len(ground.rows(ground.tables.events)) == 1
    assert ground.belonging() == {"order": {f"visitor:{V1}", "tenant:acme"}}


def test_an_event_in_a_foreign_transaction_belongs_to_the_linked_user(
    ground: Ground,
) -> None:
    ground.store(event("login", visitor=V1, user="7"))
    with writing(ground.database.own) as connection:
        store_event(connection, ground.tables, event("order", visitor=V1))
        store_event(connection, ground.tables, event("refund", user="7"))
    both = {f"visitor:{V1}", "user:7"}
    assert ground.belonging() == {"login": both, "order": both, "refund": both}


def test_an_event_in_a_foreign_transaction_makes_no_link(ground: Ground) -> None:
    with writing(ground.database.own) as connection:
        store_event(connection, ground.tables, event(visitor=V1, user="7"))
    assert ground.rows(ground.tables.links) == []


def test_an_event_of_a_known_user_costs_few_statements(ground: Ground) -> None:
    own, statements = ground.database.own, []
    told = event(visitor=V1, user="7")

    def note(*given: object) -> None:
        statements.append(given)

    with writing(own) as connection:
        listen(own, "before_cursor_execute", note)
        store_event(connection, ground.tables, told)
        remove(own, "before_cursor_execute", note)
    # Where nobody tells whether the event was new, it is read back.
    assert len(statements) == 3 + (own.dialect.name not in COUNTING)


def test_moments_of_every_time_zone_are_the_same_moment(ground: Ground) -> None:
    ground.store({**event(visitor=V1), "at": moment(0).replace("Z", "+00:00")})
    (row,) = ground.rows(ground.tables.events)
    assert row["at"] == NOON
