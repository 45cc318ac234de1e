"""Metrics over the tables of the application."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import (
    Column,
    DateTime,
    Double,
    Integer,
    MetaData,
    String,
    Table,
    literal,
    literal_column,
    select,
    text,
)

from flask_abx.results.scanning.sums import Group
from flask_abx.results.scanning.temporary import Scratch
from tests.results.tilled import DAY, HOUR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.results.tilled import Field

CONTROL = Group("control", 1)
MIDNIGHT = datetime(2030, 3, 18)  # noqa: DTZ001 - as most applications store it
SUM = {"kind": "sum", "window": "10d", "covariate": "10d"}


class Shop:
    """The orders of an application."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self.orders = Table(
            "orders",
            MetaData(),
            Column("id", Integer, primary_key=True),
            Column("who", Integer),
            Column("placed", DateTime().with_variant(_exact(), "mysql", "mariadb")),
            Column("total", Double),
            Column("note", String(20)),
        )

    @property
    def statement(self) -> Any:  # noqa: ANN401 - a select
        """Give the statement of a metric."""
        o = self.orders.c
        return select(
            o.who.label("unit"), o.placed.label("time"), o.total.label("value")
        )

    def sold(self, who: int | None, at: int | None, total: float | None) -> None:
        """Store an order, so many milliseconds after the start."""
        placed = None if at is None else MIDNIGHT + timedelta(milliseconds=at)
        row = {"who": who, "placed": placed, "total": total, "note": "much"}
        with self.field.database.own.begin() as connection:
            connection.execute(self.orders.insert(), [row])


def _exact() -> Any:  # noqa: ANN401 - a type
    from sqlalchemy.dialects.mysql import DATETIME

    return DATETIME(fsp=6)


@pytest.fixture
def shop(ground: Field) -> Iterator[Shop]:
    """Make the tables of an application, and take its statement for a metric."""
    made = Shop(ground)
    engine = ground.database.own
    made.orders.create(engine)
    ground.selects["metric"] = made.statement
    ground.exposed("7")
    ground.exposed("8")
    yield made
    made.orders.drop(engine)


def test_rows_of_a_statement_count_as_events_do(shop: Shop) -> None:
    for at, total in ((-2_001, 1), (-2_000, 2), (10 * DAY - 1, 4), (10 * DAY, 8)):
        shop.sold(7, at, total)
    sums = shop.field.sums(SUM)
    assert (sums.n, sums.y, sums.x, sums.yx, sums.history) == (2, 6, 1, 6, 1)


def test_rows_that_are_there_twice_count_twice(shop: Shop) -> None:
    shop.sold(7, HOUR, 2)
    statement = shop.statement
    shop.field.selects["metric"] = statement.union_all(statement)
    sums = shop.field.sums({"kind": "mean"})
    assert (sums.y, sums.d) == (4, 2)


def test_rows_that_cannot_be_used_are_counted(shop: Shop) -> None:
    for who, at, total in (
        (7, HOUR, None),
        (7, None, 3),
        (None, HOUR, 4),
        (7, HOUR, 5),
    ):
        shop.sold(who, at, total)
    sums = shop.field.sums({"kind": "sum"})
    assert (sums.y, sums.bad) == (5, 2)


@pytest.mark.parametrize("kind", ["conversion", "count"])
def test_what_counts_rows_needs_no_value(shop: Shop, kind: str) -> None:
    shop.sold(7, HOUR, None)
    told = shop.statement.subquery()
    shop.field.selects["metric"] = select(told.c.unit, told.c.time)
    sums = shop.field.sums({"kind": kind})
    assert (sums.y, sums.bad) == (1, 0)


def test_the_unit_is_of_the_type_of_the_metric(shop: Shop) -> None:
    shop.field.exposed("x", unit="user:7", epoch=2)
    shop.sold(7, HOUR, 2)
    found = shop.field.found({"metric": {"kind": "sum", "unit": "user"}})
    sums = found.sums["metric"]
    assert (sums[CONTROL].y, sums[Group("control", 2)].y) == (0, 2)


def test_a_statement_has_days_dimensions_and_a_cap(shop: Shop) -> None:
    for number in range(40):
        shop.field.exposed(f"1{number:02}", dimensions='{"land":"FR"}')
        shop.sold(100 + number, HOUR, number + 1)
    metric = {"kind": "sum", "cap": 0.95}
    found = shop.field.found({"metric": metric}, dimensions=["land"])
    by = found.sums_by["land"]["metric"]
    assert found.caps["metric"].value == 38
    assert by[Group("control", 1, "FR")].capped == 2
    assert sum(day.y for day in found.series["metric"].values()) == 820 - 3


def test_a_statement_without_events_tells_who_has_any(shop: Shop) -> None:
    shop.sold(7, HOUR, 2)
    shop.sold(8, -HOUR, 2)
    told = shop.field.found({"metric": {"kind": "sum"}}).exposed[CONTROL]
    assert (told.with_events, told.with_earlier) == (1, 1)


@pytest.mark.parametrize("missing", ["unit", "time", "value"])
def test_a_column_that_is_missing_is_named(shop: Shop, missing: str) -> None:
    told = shop.statement.subquery()
    names = [each for each in ("unit", "time", "value") if each != missing]
    shop.field.selects["metric"] = select(*(told.c[each] for each in names))
    found = shop.field.found({"metric": {"kind": "sum"}, "signup": {}})
    assert f"has no column {missing!r}" in found.failed["metric"]
    assert [*found.sums] == ["signup"]


def test_a_statement_that_fails_leaves_the_others_alone(shop: Shop) -> None:
    shop.field.did("7", "signup", HOUR)
    shop.field.selects["metric"] = select(
        literal(1).label("unit"),
        literal_column("nowhere.at", DateTime).label("time"),
        literal(1).label("value"),
    )
    found = shop.field.found({"metric": {"kind": "sum"}, "signup": {}})
    assert "run it by itself" in found.failed["metric"]
    assert found.sums["signup"][CONTROL].y == 1


def test_text_is_no_value(shop: Shop) -> None:
    shop.sold(7, HOUR, 2)
    o = shop.orders.c
    shop.field.selects["metric"] = select(
        o.who.label("unit"), o.placed.label("time"), o.note.label("value")
    )
    found = shop.field.found({"metric": {"kind": "sum"}})
    if shop.field.database.own.dialect.name == "sqlite":
        # There a column of text may hold numbers, and the other way round.
        assert found.sums["metric"][CONTROL].bad == 1
    else:
        assert "must be a number" in found.failed["metric"]


@pytest.mark.parametrize(
    ("metric", "sentence"),
    [
        pytest.param({"kind": "sum", "where": {"a": "b"}}, "no properties", id="where"),
        pytest.param(
            {
                "kind": "ratio",
                "numerator": {"event": "a"},
                "denominator": {"event": "b"},
            },
            "make it a mean",
            id="ratio",
        ),
    ],
)
def test_what_a_statement_cannot_be_is_said(
    shop: Shop, metric: dict[str, Any], sentence: str
) -> None:
    assert sentence in shop.field.found({"metric": metric}).failed["metric"]


def test_a_failure_of_our_own_leaves_nothing_behind(
    ground: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.exposed("a")
    keep = Scratch.keep

    def fail(self: Scratch, *told: Any) -> Any:  # noqa: ANN401 - as the original
        keep(self, *told)
        self.connection.execute(text("SELECT nothing FROM nowhere"))

    monkeypatch.setattr(Scratch, "keep", fail)
    with pytest.raises(Exception, match="nowhere"):
        ground.found({"signup": {}})
    monkeypatch.undo()
    assert ground.found({"signup": {}}).sums["signup"][CONTROL].n == 1
