"""What an application measures, and what is read of its looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import column, select, table

from flask_abx import ABX, UnknownExperiment
from flask_abx.experiments.metric import Kind
from flask_abx.results.refresh import Metrics, refresh
from flask_abx.runtime.results import looks, metrics_of
from flask_abx.runtime.state import state_of
from tests.results.past import BEGIN, HOUR, sqlite_past
from tests.web.looked import looked_app

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeApp

ORDERS = table("orders", column("unit"), column("time"), column("value"))
ROWS = select(ORDERS.c.unit, ORDERS.c.time, ORDERS.c.value)


def declared(make_app: MakeApp, **body: Any) -> Metrics:
    """Give a metric its rows in the code, and its fields in a definition."""
    abx = ABX()
    abx.metric("revenue", ROWS, direction="lower")
    app = make_app(abx=abx, ABX_DEFINITIONS={"metrics": {"revenue": body}})
    return metrics_of(state_of(app))


def test_a_definition_gives_the_fields_and_the_code_the_rows(
    make_app: MakeApp,
) -> None:
    told = declared(make_app, kind="count", window="7d")
    metric = told.declared["revenue"]
    assert (metric.kind, metric.window, metric.direction) == ("count", "7d", "higher")
    assert told.selects == {"revenue": ROWS}
    assert not told.overruled


def test_rows_with_a_value_are_a_sum_where_the_definition_names_no_kind(
    make_app: MakeApp,
) -> None:
    metric = declared(make_app, window="7d").declared["revenue"]
    assert (metric.kind, metric.window) == (Kind.SUM, "7d")


def test_a_definition_may_say_that_rows_are_a_conversion(make_app: MakeApp) -> None:
    told = declared(make_app, kind="conversion")
    assert told.declared["revenue"].kind is Kind.CONVERSION


@pytest.mark.parametrize(
    "body",
    [
        {"event": "purchase"},
        {"where": {"plan": "pro"}},
        {
            "kind": "ratio",
            "numerator": {"event": "click"},
            "denominator": {"event": "view"},
        },
    ],
)
def test_a_definition_that_names_events_counts_them(
    make_app: MakeApp, body: dict[str, Any]
) -> None:
    told = declared(make_app, **body)
    assert told.selects == {}
    assert told.overruled == {"revenue"}


def test_a_statement_that_is_not_used_is_told(tmp_path: Path) -> None:
    with sqlite_past(tmp_path) as past:
        past.change(BEGIN, {"variants": ["control", "bold"], "metrics": ["signup"]})
        past.expose({"control": 5, "bold": 5}, BEGIN + HOUR)
        metrics = Metrics(overruled=frozenset({"signup", "other"}))
        database, document = past.database, past.document
        told = refresh(database.own, database.tables, document, metrics, "headline")
    [note] = [each for each in told.notes if "is not used" in each]
    assert note.startswith("signup counts events, as its definition says")


def test_looks_at_what_nobody_defined_are_an_error(tmp_path: Path) -> None:
    with looked_app(tmp_path) as app:
        state = state_of(app)
        assert [len(looks(state, key)) for key in ("headline", "prices")] == [1, 0]
        with pytest.raises(UnknownExperiment, match="did you mean 'headline'"):
            looks(state, "headlin")
