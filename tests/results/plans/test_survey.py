"""What the records of an application tell of an experiment that is being planned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flask_abx.results.metrics import measures
from flask_abx.results.plans.survey import Source, Survey, survey
from flask_abx.stores.database import reading
from tests.databases import ENGINES, fresh_database
from tests.results.past import BEGIN, DAY, past_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.results.past import Past

TWO: dict[str, Any] = {"variants": ["control", "bold"], "metrics": ["signup"]}
DRAFT = {**TWO, "status": "draft"}
NOW = BEGIN + 4 * DAY


@pytest.fixture
def past(tmp_path: Path) -> Iterator[Past]:
    with past_at(f"sqlite:///{tmp_path / 'past.db'}") as made:
        yield made


def busy(past: Past, key: str = "headline", units: int = 200, **fields: Any) -> None:
    """Have units come on four days, of whom every fifth signs up."""
    past.change(BEGIN, {**TWO, **fields}, key)
    for day in range(4):
        at = BEGIN + day * DAY
        came = past.expose({"control": units // 2, "bold": units // 2}, at, key=key)
        past.happen(came[::5], "signup", at + 3_600_000)


def asked(past: Past, key: str, metric: dict[str, Any] | None = None) -> Survey | None:
    """Survey for the first metric of an experiment."""
    if metric is not None:
        past.metric(BEGIN, "signup", metric)
    document, database = past.document, past.database
    measure = measures(document.experiments[key], document.metrics, {})[0]
    with reading(database.own, is_steady=True) as connection:
        return survey(connection, database.tables, document, key, measure, now=NOW)


@pytest.mark.parametrize("kind", ENGINES)
def test_the_units_of_the_experiment_itself_tell_most(
    kind: str, tmp_path: Path
) -> None:
    with fresh_database(kind, tmp_path) as url, past_at(url) as past:
        busy(past)
        found = asked(past, "headline")
        assert found is not None
        assert (found.source, found.experiment) == (Source.OWN, "headline")
        assert found.daily == pytest.approx(200)
        assert found.known.baseline is not None
        assert found.known.baseline.mean == pytest.approx(0.2)
        assert found.known.units == 800


def test_a_draft_learns_from_the_busiest_experiment(past: Past) -> None:
    busy(past, "quiet", 100)
    busy(past, "headline", 200)
    past.change(BEGIN, DRAFT, "next")
    found = asked(past, "next")
    assert found is not None
    assert (found.source, found.experiment) == (Source.OTHER, "headline")
    assert found.daily == pytest.approx(200)


def test_traffic_is_that_of_the_experiment_that_is_planned(past: Past) -> None:
    busy(past, "headline", 200, traffic=0.5)
    past.change(BEGIN, {**DRAFT, "traffic": 0.1}, "next")
    found = asked(past, "next")
    assert found is not None
    assert found.daily == pytest.approx(40)


def test_the_run_before_tells_where_a_new_one_has_nobody(past: Past) -> None:
    busy(past)
    past.change(NOW - 1, {**TWO, "iteration": 2})
    found = asked(past, "headline")
    assert found is not None
    assert found.source is Source.OWN
    assert found.known.units == 800


def test_other_units_tell_nothing(past: Past) -> None:
    busy(past)
    past.change(BEGIN, {**DRAFT, "unit": "user"}, "next")
    assert asked(past, "next") is None


def test_nobody_tells_nothing(past: Past) -> None:
    past.change(BEGIN, DRAFT)
    assert asked(past, "headline") is None


@pytest.mark.parametrize("kind", ENGINES)
def test_events_tell_where_nobody_was_exposed(kind: str, tmp_path: Path) -> None:
    with fresh_database(kind, tmp_path) as url, past_at(url) as past:
        past.change(BEGIN, {**DRAFT, "traffic": 0.5})
        units = [f"visitor:{each:032x}" for each in range(400)]
        past.happen(units, "visit", BEGIN)
        past.happen(units[::4], "signup", BEGIN + DAY)
        past.happen(["user:anna"], "signup", BEGIN + DAY)
        found = asked(past, "headline")
        assert found is not None
        assert (found.source, found.known.units) == (Source.EVENTS, 400)
        assert found.daily == pytest.approx(200)
        assert found.known.baseline is not None
        assert found.known.baseline.mean == pytest.approx(0.25)


def test_open_windows_are_waited_for(past: Past) -> None:
    busy(past)
    found = asked(past, "headline", {"window": "2d"})
    assert found is not None
    assert found.known.units == pytest.approx(400, abs=1)


def test_too_few_units_are_told(past: Past) -> None:
    busy(past, units=20)
    found = asked(past, "headline")
    assert found is not None
    assert found.known.baseline is None
    assert "only 80 units" in found.known.reason


def test_too_few_events_are_told(past: Past) -> None:
    past.change(BEGIN, TWO)
    came = past.expose({"control": 300}, BEGIN)
    past.happen(came[:7], "signup", BEGIN + DAY)
    found = asked(past, "headline")
    assert found is not None
    assert "only 7 of 300 units have any" in found.known.reason


def test_what_units_did_before_saves_variance(past: Past) -> None:
    past.change(BEGIN, TWO)
    came = past.expose({"control": 200, "bold": 200}, BEGIN + DAY)
    for place, unit in enumerate(came):
        past.happen([unit], "signup", BEGIN, 10.0 + place % 7)
        past.happen([unit], "signup", BEGIN + 2 * DAY, 20.0 + place % 7)
    found = asked(past, "headline", {"kind": "sum", "covariate": "7d"})
    assert found is not None
    assert found.known.baseline is not None
    assert found.known.baseline.saved > 0.9
    assert found.known.baseline.mean == pytest.approx(23, rel=0.01)
