"""Records as rows: one form for every database, and what none would take."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_abx.assignment.position import position
from flask_abx.events.sql.rows import (
    Exposed,
    Happened,
    RecordRefused,
    json_text,
    milliseconds,
    read,
    slot_of,
    unit_of,
    units_of,
    visitor_of,
)
from tests.events.sql.ground import NOON, V1, event, exposure


def test_an_event_is_read() -> None:
    told = event(at=1.5, visitor=V1, user="7")
    assert read(told) == Happened(
        units={"visitor": V1, "user": "7"},
        at=NOON + 1_500,
        id=told["id"],
        name="order",
        value=49.9,
        properties='{"tea":"sencha"}',
        variants="{}",
        version="3",
    )


def test_an_exposure_is_read() -> None:
    assert read(exposure("user", visitor=V1, user="7")) == Exposed(
        units={"visitor": V1, "user": "7"},
        at=NOON,
        experiment="both",
        iteration=1,
        unit="user:7",
        slot=slot_of("both", 1, "7"),
        variant="bold",
        reason="allocated",
        dimensions='{"country":"DE"}',
        version="3",
    )


def test_an_exposure_belongs_to_the_unit_that_was_assigned() -> None:
    told = {**exposure("tenant", tenant="acme"), "units": {"user": "7"}}
    assert read(told).units == {"user": "7", "tenant": "acme"}


def test_a_row_is_found_by_experiment_iteration_and_unit() -> None:
    row = read(exposure("user", user="7"))
    assert isinstance(row, Exposed)
    assert row.key == ("both", 1, "user:7")


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        pytest.param(None, None, id="none"),
        pytest.param(3, 3.0, id="int"),
        pytest.param(Decimal("49.90"), 49.9, id="decimal"),
    ],
)
def test_a_value_is_a_float_or_none(value: object, stored: float | None) -> None:
    row = read({**event(user="7"), "value": value})
    assert isinstance(row, Happened)
    assert row.value == stored


BAD_EVENTS: list[tuple[str, object]] = [
    ("at", "yesterday"),
    ("at", "2030-01-07T09:00:00"),
    ("at", 7),
    ("id", "x" * 33),
    ("id", None),
    ("name", ""),
    ("name", "a\0b"),
    ("name", "\ud800"),
    ("name", "x" * 101),
    ("value", "49"),
    ("value", True),
    ("value", float("nan")),
    ("value", 10**400),
    ("properties", None),
    ("properties", {"a": float("inf")}),
    ("properties", {"a": object()}),
    ("variants", []),
    ("version", "v" * 21),
    ("units", {}),
    ("units", "anna"),
    ("units", {"user": 7}),
    ("units", {"user": "7 "}),
    ("units", {"": "7"}),
    ("units", {"u" * 41: "7"}),
    ("units", {"visitor": "x" * 33}),
]
BAD_EXPOSURES: list[tuple[str, object]] = [
    ("experiment", "x" * 65),
    ("iteration", "1"),
    ("iteration", True),
    ("iteration", -1),
    ("iteration", 2**63),
    ("unit_type", None),
    ("unit_type", []),
    ("unit", ""),
    ("unit", None),
    ("unit", ["7"]),
    ("unit", "x" * 321),
    ("variant", "x" * 65),
    ("reason", "x" * 17),
    ("dimensions", "DE"),
]


@pytest.mark.parametrize(
    ("told", "field", "value"),
    [
        *((event(user="7"), *each) for each in BAD_EVENTS),
        *((exposure("user", user="7"), *each) for each in BAD_EXPOSURES),
    ],
    ids=[
        f"{field}-{number}"
        for number, (field, _) in enumerate([*BAD_EVENTS, *BAD_EXPOSURES])
    ],
)
def test_a_record_that_no_database_takes_is_refused(
    told: dict[str, Any], field: str, value: object
) -> None:
    with pytest.raises(RecordRefused, match=rf"^The record's '?{field[:4]}"):
        read({**told, field: value})


@pytest.mark.parametrize(
    "record",
    [
        pytest.param([], id="list"),
        pytest.param({}, id="empty"),
        pytest.param({"type": "look"}, id="stranger"),
    ],
)
def test_what_is_no_record_is_refused(record: Any) -> None:  # noqa: ANN401 - anything
    with pytest.raises(RecordRefused, match=r"^A record is .*must be.*\.$"):
        read(record)


def test_a_unit_is_written_with_its_type() -> None:
    assert unit_of("tenant", "a:b") == "tenant:a:b"
    assert units_of({"visitor": V1, "user": "7"}) == [f"visitor:{V1}", "user:7"]


def test_a_record_without_a_visitor_names_none() -> None:
    assert visitor_of({"visitor": V1, "user": "7"}) == V1
    assert visitor_of({"user": "7"}) is None


def test_slots_are_two_hundred_and_go_by_the_position() -> None:
    slots = [slot_of("both", 2, str(number)) for number in range(2_000)]
    assert set(slots) == set(range(200))
    assert slots[7] == int(200 * position("slot:both:2", "7"))


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        pytest.param("1970-01-01T00:00:00.001Z", 1, id="utc"),
        pytest.param("1970-01-01T01:00:00+01:00", 0, id="offset"),
        pytest.param("1969-12-31T23:59:59.9999Z", -1, id="before"),
        pytest.param("1970-01-01T00:00:00.001999Z", 1, id="cut"),
    ],
)
def test_a_moment_is_read_in_whole_milliseconds(at: str, expected: int) -> None:
    assert milliseconds(at) == expected


def test_equal_objects_are_the_same_text() -> None:
    one, other = {"b": 1, "a": {"d": 2, "c": 3}}, {"a": {"c": 3, "d": 2}, "b": 1}
    assert json_text(one, "units") == json_text(other, "units")
    assert json.loads(json_text(one, "units")) == one


ANY_CHARACTERS = st.text(st.characters(codec=None))
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
PLAIN = st.recursive(
    LEAVES.filter(lambda each: each not in (float("inf"), float("-inf")))
    | ANY_CHARACTERS,
    lambda inner: st.lists(inner) | st.dictionaries(ANY_CHARACTERS, inner),
    max_leaves=5,
)


@given(st.dictionaries(ANY_CHARACTERS, PLAIN, max_size=4))
def test_an_object_is_written_as_the_standard_library_does(fields: Any) -> None:  # noqa: ANN401 - plain JSON
    expected = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    assert json_text(fields, "properties") == expected


def test_a_key_that_is_a_number_becomes_a_text() -> None:
    assert json_text({1: "one"}, "properties") == '{"1":"one"}'


def test_an_object_without_end_is_refused() -> None:
    endless: dict[str, object] = {}
    endless["self"] = endless
    with pytest.raises(RecordRefused, match="must be plain JSON"):
        json_text(endless, "properties")
