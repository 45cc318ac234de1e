"""Attributes, properties, values, names and ids of any type never raise."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn, cast
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flask_abx import ABX, Event
from flask_abx.runtime.state import state_of
from tests.checks.browser import Browser, records_of

if TYPE_CHECKING:
    from flask import Flask

    from tests.checks.conftest import Browse
    from tests.conftest import MakeApp

NAME = "__Host-abx"
PAIR = ["control", "bold"]


class Colour(Enum):
    """Some enumeration of a shop."""

    RED = Decimal("1.5")


class Hostile:
    """An object that raises whatever it is asked."""

    def _raise(self, *arguments: object) -> NoReturn:
        raise ArithmeticError("hostile")

    __str__ = __repr__ = __eq__ = __lt__ = __gt__ = __bool__ = __len__ = _raise
    __iter__ = __contains__ = __getitem__ = __float__ = __int__ = __bytes__ = _raise
    __format__ = __le__ = __ge__ = __ne__ = _raise
    __hash__ = None  # type: ignore[assignment]  # as in a class with __eq__ alone


class HostileText(str):
    """A text that raises when it is written."""

    __slots__ = ()

    def __str__(self) -> str:
        raise ArithmeticError("hostile")


class HostileDict(dict[str, object]):
    """A mapping that raises when it is read."""

    def items(self) -> NoReturn:
        raise ArithmeticError("hostile")


def cycle() -> list[object]:
    """Make a list and a dict that hold each other."""
    inner: dict[str, object] = {}
    outer: list[object] = [inner]
    inner["outer"] = outer
    return outer


def deep() -> list[object]:
    """Make a list in a list, and so on."""
    value: list[object] = []
    for _ in range(5_000):
        value = [value]
    return value


VALUES: dict[str, Any] = {
    "None": None,
    "Decimal": Decimal("19.90"),
    "Decimal NaN": Decimal("NaN"),
    "Decimal signalling NaN": Decimal("sNaN"),
    "huge Decimal": Decimal("1e999999"),
    "UUID": UUID(int=7),
    "datetime": datetime(2030, 1, 1, tzinfo=UTC),
    "naive datetime": datetime(2030, 1, 1),  # noqa: DTZ001 - what is being tried
    "date": date(2030, 1, 1),
    "time": time(12),
    "timedelta": timedelta(days=1),
    "NaN": float("nan"),
    "infinite": float("-inf"),
    "huge int": 10**5_000,
    "complex": 1 + 2j,
    "bytes": b"\xff\x00",
    "NUL": "a\0b",
    "lone surrogate": "\ud800",
    "long text": "x" * 100_000,
    "Enum": Colour.RED,
    "set": {1, "a", None},
    "nested": {"a": [{"b": (1, {2})}]},
    "keys of any type": {1: 1, None: 2, (3, 4): 5, Colour.RED: 6},
    "cycle": cycle(),
    "deep": deep(),
    "function": len,
    "generator": (number for number in range(3)),
    "object": SimpleNamespace(a=1),
    "hostile": Hostile(),
    "hostile in a list": [Hostile(), {"a": Hostile()}],
    "hostile text": HostileText("a"),
    "hostile mapping": HostileDict(a=1),
    "class": Hostile,
}
OPERATORS = [
    {"x": "a"},
    {"x": {"$ne": 1}},
    {"x": {"$lt": 5, "$gte": "a"}},
    {"x": {"$in": ["a", 1], "$nin": [None]}},
    {"x": {"$all": [1], "$size": {"$gt": 1}}},
    {"x": {"$regex": "^a+$"}},
    {"x": {"$elemMatch": {"$gt": 1}}},
    {"x": {"$type": "string"}},
    {"x": {"$vgt": "1.2.3"}},
    {"x": {"$startsWith": "a"}},
    {"x": {"$contains": "a"}},
    {"x": {"$cidr": "10.0.0.0/8"}},
    {"x": {"$before": "2031-01-01T00:00:00Z"}},
    {"x": {"$inGroup": "some"}},
    {"x.a.b": {"$exists": True}},
    {"$not": {"x": {"$ini": ["A"]}}},
]


def page_for(make_app: MakeApp, value: object) -> tuple[Flask, ABX]:
    """Make an application in which one attribute is what is being tried."""
    abx = ABX()
    abx.attributes_loader(lambda: {"x": value})
    experiments: dict[str, Any] = {
        f"e{number:02}": {"variants": PAIR, "audience": condition}
        for number, condition in enumerate(OPERATORS)
    }
    experiments["headline"] = {"variants": PAIR, "dimensions": ["x"]}
    segments = {"some": ["a", "1"]}
    app = make_app(experiments, abx=abx, ABX_DEFINITIONS={"segments": segments})

    @app.get("/all")
    def read_all() -> dict[str, str]:
        abx.track("bought", cast("Any", value), properties={"x": value})
        return {key: abx.variant(key) for key in experiments}

    return app, abx


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_an_attribute_of_any_type_never_raises(
    make_app: MakeApp, browse: Browse, value: object
) -> None:
    app, _ = page_for(make_app, value)
    browser = browse(app)
    first, second = browser.visit("/all"), browser.visit("/all")

    assert (first.status, second.status) == (200, 200)
    served = json.loads(first.served)
    assert set(served.values()) <= set(PAIR)
    assert json.loads(second.served) == served
    assert f"headline:{served['headline']}" in first.exposed
    assert first.cookie_names == [NAME]
    assert second.exposed == []
    for record in first.recorded:
        assert json.loads(record.to_json())["id"] == record.id


IDS_OF_TENANTS = {"UUID": str(UUID(int=7))}


@pytest.mark.parametrize("kind", VALUES)
def test_a_tenant_of_any_type_never_raises(
    make_app: MakeApp, browse: Browse, kind: str
) -> None:
    abx = ABX()
    abx.attributes_loader(lambda: {"tenant": VALUES[kind]})
    definition = {"headline": {"variants": PAIR, "unit": "tenant"}}
    visit = browse(make_app(definition, abx=abx)).visit()

    assert visit.status == 200
    if kind in IDS_OF_TENANTS:
        assert visit.exposed == [f"headline:{visit.served}"]
        assert visit.recorded[0].units == {"tenant": IDS_OF_TENANTS[kind]}
        assert visit.cookie_names == [NAME]
    else:
        assert visit.is_silent


@pytest.mark.parametrize("kind", VALUES)
def test_a_property_of_any_type_never_raises(
    make_app: MakeApp, browse: Browse, kind: str
) -> None:
    abx, value = ABX(), VALUES[kind]
    app = make_app(abx=abx)

    @app.post("/buy")
    def buy() -> str:
        abx.track("bought", properties={"x": value, "kept": 1})
        abx.track("whole", properties=value)
        return abx.variant("headline")

    visit = browse(app).visit("/buy", method="POST")
    assert visit.status == 200
    assert visit.exposed == [f"headline:{visit.served}"]
    assert visit.cookie_names == [NAME]
    assert [event.name for event in visit.events] == ["bought", "whole"]
    line = visit.events[0].to_json()
    assert line.count("[") < 50
    written = json.loads(line, parse_constant=pytest.fail)
    assert written["properties"]["kept"] == 1
    assert json.loads(visit.events[1].to_json(), parse_constant=pytest.fail)


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_of_any_type_never_raises(
    make_app: MakeApp, browse: Browse, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    abx = ABX()
    app = make_app(abx=abx)

    @app.post("/buy")
    def buy() -> str:
        abx.track("bought", VALUES[kind])
        return abx.variant("headline")

    visit = browse(app).visit("/buy", method="POST")
    assert visit.status == 200
    assert visit.exposed == [f"headline:{visit.served}"]
    assert visit.cookie_names == [NAME]
    if kind in {"None", "Decimal"}:
        assert [event.value for event in visit.events] == [VALUES[kind]]
        return
    assert visit.events == []
    assert state_of(app).tally.counts["record_dropped:value"] == 1
    assert "must be a finite int, float or Decimal" in caplog.text


ODD_NAMES: dict[str, Any] = {
    "empty": "", "NUL": "a\0", "101 long": "x" * 101, "lone surrogate": "\ud800",
    "None": None, "number": 7, "list": [], "bytes": b"buy",
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD_NAMES)
def test_a_name_that_is_none_is_served_but_not_recorded(
    make_app: MakeApp, browse: Browse, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    abx = ABX()
    app = make_app(abx=abx)

    @app.post("/buy")
    def buy() -> str:
        abx.track(ODD_NAMES[kind])
        return abx.variant("headline")

    visit = browse(app).visit("/buy", method="POST")
    assert visit.status == 200
    assert visit.exposed == [f"headline:{visit.served}"]
    assert (visit.events, visit.cookie_names) == ([], [NAME])
    assert state_of(app).tally.counts["record_dropped:name"] == 1
    assert "is not recorded: its name must be" in caplog.text


IDS: dict[str, Any] = {
    "None": None, "empty": "", "list": [], "float": 1.5, "hostile": Hostile(),
    "true": True, "huge int": 10**5_000, "bytes": b"7",
}  # fmt: skip


@pytest.mark.parametrize("kind", IDS)
def test_an_event_id_that_is_none_is_told_and_the_event_kept(
    make_app: MakeApp, browse: Browse, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    abx = ABX()
    app = make_app(abx=abx)

    @app.post("/buy")
    def buy() -> str:
        abx.track("bought", id=IDS[kind])
        return "bought"

    visit = browse(app).visit("/buy", method="POST")
    assert (visit.status, visit.served, len(visit.events)) == (200, "bought", 1)
    assert visit.cookie_names == [NAME]
    assert len(visit.events[0].id) == 32
    assert state_of(app).tally.counts["event_id"] == 1
    assert "a text, a whole number or a UUID as id" in caplog.text


@pytest.mark.parametrize("id_", ["a\0b", "x" * 10_000, "\ud800", "é"])
def test_an_event_id_of_any_text_is_one_event(
    make_app: MakeApp, browse: Browse, id_: str
) -> None:
    abx = ABX()
    app = make_app(abx=abx)

    @app.post("/buy")
    def buy() -> str:
        abx.track("bought", id=id_)
        return "bought"

    visits = [browse(app).visit("/buy", method="POST") for _ in range(2)]

    assert [visit.status for visit in visits] == [200, 200]
    assert len({visit.events[0].id for visit in visits}) == 1
    assert all(visit.cookie_names == [NAME] for visit in visits)


@pytest.mark.parametrize("kind", VALUES)
def test_loaders_that_return_anything_never_break_a_page(
    make_app: MakeApp, browse: Browse, kind: str
) -> None:
    abx = ABX()
    abx.attributes_loader(lambda: VALUES[kind])
    abx.unit_loader(lambda: VALUES[kind])
    definition = {"variants": PAIR, "unit": ["user", "visitor"], "audience": {"x": 1}}
    visit = browse(make_app({"headline": definition}, abx=abx)).visit()

    assert (visit.status, visit.served, visit.recorded) == (200, "control", ())
    assert set(visit.cookie_names) <= {NAME}


ANYTHING = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(),
        st.decimals(), st.uuids(), st.datetimes(), st.timedeltas(),
        st.complex_numbers(),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.one_of(st.text(), st.integers()), inner, max_size=3),
    ),
    max_leaves=8,
)  # fmt: skip


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(value=ANYTHING)
def test_whatever_the_code_tells_becomes_json(make_app: MakeApp, value: object) -> None:
    app, _ = page_for(make_app, value)
    visit = Browser(app).visit("/all")

    assert visit.status == 200
    for record in records_of(app):
        fields = json.loads(record.to_json(), parse_constant=pytest.fail)
        assert fields["id"] == record.id
        if isinstance(record, Event):
            assert fields["variants"] == {}
