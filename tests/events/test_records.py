"""The two records: their fields, their ids, and what cannot be stored."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from hashlib import blake2b
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_abx import ABX
from flask_abx.events.records import Event, Exposure, fresh_id, stamp
from flask_abx.runtime.state import state_of
from tests.checks.browser import records_of
from tests.events.conftest import NOW, an_event, an_exposure

if TYPE_CHECKING:
    from flask_abx.events.records import Number
    from flask_abx.events.safe import Json
    from tests.conftest import MakeApp

COMMON = ("units", "version")
MOMENTS = st.datetimes(
    datetime(1970, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


def test_the_fields_of_an_exposure() -> None:
    record = an_exposure(dimensions={"country": "DE"})
    told = {
        "type": "exposure",
        "id": "0" * 32,
        "at": "2030-01-07T09:00:00.001Z",
        "experiment": "headline",
        "iteration": 1,
        "variant": "bold",
        "reason": "allocated",
        "unit_type": "user",
        "unit": "7",
        "units": {"user": "7"},
        "dimensions": {"country": "DE"},
        "version": "c0",
    }
    assert list(record.to_dict().items()) == list(told.items())
    assert record.to_json() == json.dumps(told)


@pytest.mark.parametrize(
    "value", [None, 49, 49.5, Decimal("49.90")], ids=lambda value: type(value).__name__
)
def test_the_fields_of_an_event(value: Number | None) -> None:
    record = an_event(
        value=value, id="1" * 32, properties={"tea": "green"}, variants={"a": "b"}
    )
    told = {
        "type": "event",
        "id": "1" * 32,
        "at": "2030-01-07T09:00:00.001Z",
        "name": "order",
        "value": value,
        "variants": {"a": "b"},
        "units": {"user": "7"},
        "properties": {"tea": "green"},
        "version": "c0",
    }
    assert list(record.to_dict().items()) == list(told.items())
    assert list(json.loads(record.to_json())) == list(told)


@given(
    st.decimals(allow_nan=False, allow_infinity=False)
    | st.sampled_from([Decimal("-0"), Decimal("0E-9"), Decimal("1E+30"), Decimal("5.")])
)
def test_a_decimal_is_an_exact_number_in_json(value: Decimal) -> None:
    line = json.loads(an_event(value=value).to_json(), parse_float=Decimal)
    assert Decimal(line["value"]) == value
    assert not isinstance(line["value"], str)


def test_a_record_is_encoded_once() -> None:
    record = an_event()
    assert record.to_json() is record.to_json()


@given(MOMENTS, st.integers(-14, 14))
def test_a_moment_is_told_in_utc_to_the_millisecond(
    moment: datetime, hours: int
) -> None:
    text = stamp(moment.astimezone(timezone(timedelta(hours=hours))))
    assert text.endswith("Z")
    assert len(text) == len("2030-01-07T09:00:00.001Z")
    lost = moment - datetime.fromisoformat(text)
    assert timedelta() <= lost < timedelta(milliseconds=1)


@given(MOMENTS)
def test_an_id_begins_with_the_milliseconds_that_the_record_tells(
    moment: datetime,
) -> None:
    told = datetime.fromisoformat(stamp(moment))
    since = told - datetime(1970, 1, 1, tzinfo=UTC)
    made = fresh_id(moment)
    assert int(made[:12], 16) == since // timedelta(milliseconds=1)
    assert len(made) == 32
    assert set(made) <= set("0123456789abcdef")


def test_ids_sort_by_time_and_never_repeat() -> None:
    moments = [NOW + timedelta(milliseconds=number) for number in range(500)]
    made = [fresh_id(moment) for moment in moments]
    assert made == sorted(made)
    assert len({fresh_id(NOW) for _ in range(1000)}) == 1000
    assert all(one[:12] < other[:12] for one, other in pairwise(made))


@pytest.mark.parametrize("unit", ["7", "ada@example.com", "\u00e5", "a\u030a"])
def test_the_id_of_an_exposure_is_that_of_the_contract(
    make_app: MakeApp, unit: str
) -> None:
    abx = ABX()
    experiments = {"e": {"variants": ["a", "b"], "unit": "user", "iteration": 3}}
    app = make_app(experiments, abx=abx)
    with app.app_context(), abx.as_unit(unit):
        abx.variant("e")
    [record] = records_of(app)
    data = f"exposure\0e\0003\0user\0{unit}".encode()
    assert record.id == blake2b(data, digest_size=16).hexdigest()


@pytest.mark.parametrize("given_id", [41, "41", "caf\u00e9"], ids=repr)
def test_an_event_told_twice_has_one_id_whoever_tells_it(
    make_app: MakeApp, given_id: str | int
) -> None:
    abx = ABX()
    app = make_app(abx=abx)
    for user in ("ada", "bob"):
        with app.app_context(), abx.as_unit(user):
            abx.track("order", id=given_id)
    expected = blake2b(f"event\0order\0{given_id}".encode(), digest_size=16).hexdigest()
    assert [record.id for record in records_of(app)] == [expected, expected]


def test_events_without_an_id_are_events_of_their_own(make_app: MakeApp) -> None:
    abx = ABX()
    app = make_app(abx=abx)
    with app.app_context(), abx.as_unit("ada"):
        for _ in range(20):
            abx.track("order")
    ids = [record.id for record in records_of(app)]
    assert len(set(ids)) == 20
    assert [each[:12] for each in ids] == sorted(each[:12] for each in ids)


UNSTORABLE: dict[str, tuple[Event | Exposure, str | None]] = {
    "a plain event": (an_event(), None),
    "a plain exposure": (an_exposure(), None),
    "no unit": (an_event(units={}), "no_unit"),
    "no name": (an_event(""), "name"),
    "a name of 100": (an_event("x" * 100), None),
    "a name of 101": (an_event("x" * 101), "name"),
    "a name with NUL": (an_event("a\0b"), "name"),
    "a name with a surrogate": (an_event("\ud800"), "name"),
    "a name that is no text": (an_event(7), "name"),  # type: ignore[arg-type]
    "NaN": (an_event(value=float("nan")), "value"),
    "infinity": (an_event(value=float("-inf")), "value"),
    "a Decimal NaN": (an_event(value=Decimal("sNaN")), "value"),
    "beyond a double": (an_event(value=10**400), "value"),
    "a Decimal beyond a double": (an_event(value=Decimal("1E+400")), "value"),
    "a boolean": (an_event(value=True), "value"),
    "a text": (an_event(value="7"), "value"),  # type: ignore[arg-type]
    "a unit of 320": (an_event(units={"user": "x" * 320}), None),
    "a unit of 321": (an_event(units={"user": "x" * 321}), "unit"),
    "a visitor of 32": (an_event(units={"visitor": "v" * 32}), None),
    "a visitor of 33": (an_event(units={"visitor": "v" * 33}), "unit"),
    "a unit with NUL": (an_event(units={"user": "a\0"}), "unit"),
    "a unit with a surrogate": (an_event(units={"user": "\udfff"}), "unit"),
    "one good unit of two": (an_event(units={"user": "7", "t": ""}), "unit"),
    "a unit type of 41": (an_event(units={"u" * 41: "7"}), "unit_type"),
    "the unit of an exposure": (an_exposure(unit="a\0"), "unit"),
    "the units of an exposure": (an_exposure(units={"visitor": "\0"}), "unit"),
    "an experiment of 65": (an_exposure(experiment="x" * 65), "experiment"),
}


@pytest.mark.parametrize(("record", "fault"), UNSTORABLE.values(), ids=UNSTORABLE)
def test_what_no_database_would_store_is_named(
    record: Event | Exposure, fault: str | None
) -> None:
    assert record.fault() == fault


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("x" * 101, 1, "its name must be 1 to 100 characters of plain text, the last"),
        (
            "order",
            float("nan"),
            "its value is nan, must be a finite int, float or Decimal",
        ),
    ],
    ids=["name", "value"],
)
def test_what_is_not_recorded_is_counted_and_told(
    make_app: MakeApp,
    caplog: pytest.LogCaptureFixture,
    name: str,
    value: float,
    told: str,
) -> None:
    abx = ABX()
    app = make_app(abx=abx)
    with app.app_context(), abx.as_unit("ada"):
        abx.track(name, value)
    assert records_of(app) == []
    assert caplog.text.count(told) == 1
    counts = state_of(app).tally.counts
    assert [count for key, count in counts.items() if "dropped" in key] == [1]


SCALARS = st.none() | st.booleans() | st.integers() | st.text() | st.floats(width=32)
PROPERTIES = st.dictionaries(st.text(), SCALARS | st.lists(SCALARS))


@given(properties=PROPERTIES, unit=st.text(min_size=1))
def test_an_event_s_line_is_what_the_standard_library_writes(
    properties: dict[str, Json], unit: str
) -> None:
    event = an_event(name=unit, units={"user": unit}, properties={"p": properties})
    assert event.to_json() == json.dumps(event.to_dict())


@given(unit=st.text(min_size=1), dimensions=st.dictionaries(st.text(), st.text()))
def test_an_exposure_s_line_is_what_the_standard_library_writes(
    unit: str, dimensions: dict[str, str]
) -> None:
    exposure = an_exposure(unit=unit, units={"user": unit}, dimensions=dimensions)
    assert exposure.to_json() == json.dumps(exposure.to_dict())
