"""The events of simulated people: every metric finds what it is made of."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from flask_abx.results.simulation.scenario import Scenario
from tests.results.crowded import crowd, crowded_app, rows

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400_000


def happened(
    folder: Path, metrics: dict[str, Any], named: object = None, **options: Any
) -> dict[str, list[Any]]:
    """Simulate an experiment with some metrics; give the events by name."""
    experiment = {
        "variants": ["control", "bold"],
        "metrics": list(metrics) if named is None else named,
    }
    with crowded_app(folder, {"headline": experiment}, metrics=metrics) as app:
        crowd(app, **options)
        exposed = {row.unit: row for row in rows(app, "exposures")}
        found = defaultdict(list)
        for row in rows(app, "events"):
            unit = f"visitor:{json.loads(row.units)['visitor']}"
            found[row.name].append((row, exposed[unit]))
    return found


def test_a_name_without_a_metric_is_an_event(tmp_path: Path) -> None:
    found = happened(tmp_path, {}, "signup", units=2_000)
    assert set(found) == {"signup"}
    units = {exposed.unit for _, exposed in found["signup"]}
    assert 0.04 < len(units) / 2_000 < 0.13
    assert {event.value for event, _ in found["signup"]} == {None}


def test_without_metrics_there_is_one_event(tmp_path: Path) -> None:
    assert set(happened(tmp_path, {}, [])) == {"conversion"}


def test_values_lie_within_the_bounds_of_metrics(tmp_path: Path) -> None:
    metrics = {
        "revenue": {"kind": "sum", "event": "order", "min_value": 5, "max_value": 50},
        "aov": {"kind": "mean", "event": "tip", "max_value": 2},
        "big": {"kind": "sum", "event": "deal", "min_value": 1_000},
    }
    found = happened(tmp_path, metrics, units=1_000)
    assert all(5 <= event.value <= 50 for event, _ in found["order"])
    assert all(0 < event.value <= 2 for event, _ in found["tip"])
    assert all(event.value >= 1_000 for event, _ in found["deal"])
    assert len({event.value for event, _ in found["order"]}) > 50


def test_most_events_have_the_properties_that_metrics_ask_for(tmp_path: Path) -> None:
    where = {
        "kind": ["tea", "cup"],
        "gift": {"$exists": True},
        "old": {"$exists": False},
    }
    metrics = {"tea": {"event": "order", "where": where}}
    found = happened(tmp_path, metrics, units=2_000)["order"]
    told = [json.loads(event.properties) for event, _ in found]
    matching = [each for each in told if each["kind"] in {"tea", "cup"}]
    assert 0.7 < len(matching) / len(told) < 0.9
    assert all("gift" in each and "old" not in each for each in matching)


def test_people_come_back_for_a_retention_metric(tmp_path: Path) -> None:
    metrics = {"back": {"kind": "retention", "delay": "1d", "window": "2d"}}
    found = happened(tmp_path, metrics)["back"]
    assert found
    for event, exposed in found:
        assert DAY <= event.at - exposed.first_at <= 3 * DAY


def test_a_ratio_has_both_of_its_parts(tmp_path: Path) -> None:
    parts = {"numerator": {"event": "click"}, "denominator": {"event": "session"}}
    metrics = {"clicks": {"kind": "ratio", **parts}}
    found = happened(tmp_path, metrics)
    assert len(found["session"]) > len(found["click"]) > 100


def test_a_covariate_has_a_history_that_tells_something(tmp_path: Path) -> None:
    metrics = {"revenue": {"kind": "sum", "event": "order", "covariate": "14d"}}
    found = happened(tmp_path, metrics, units=3_000)["order"]
    earlier = [each for each in found if each[0].at < each[1].first_at]
    assert earlier
    assert {event.variants for event, _ in earlier} == {"{}"}
    before = {exposed.unit for _, exposed in earlier}
    after = {exposed.unit for event, exposed in found if event.at > exposed.first_at}
    assert len(before & after) > 1.1 * len(before) * len(after) / 3_000


def test_nothing_but_a_history_happens_before_the_exposure(tmp_path: Path) -> None:
    found = happened(tmp_path, {"signup": {}, "orders": {"kind": "count"}})
    happenings = [*found["signup"], *found["orders"]]
    assert min(len(found["signup"]), len(found["orders"])) > 10
    for event, exposed in happenings:
        assert event.at > exposed.first_at
        assert json.loads(event.variants) == {"headline": exposed.variant}


@pytest.mark.parametrize("name", ["order", "buyers"], ids=["event", "metric"])
def test_base_rates_go_by_event_or_metric(name: str, tmp_path: Path) -> None:
    metrics = {"buyers": {"event": "order"}}
    found = happened(tmp_path, metrics, units=1_000, base_rates={name: 0.5})
    units = {exposed.unit for _, exposed in found["order"]}
    assert len(units) / 1_000 == pytest.approx(0.5, abs=0.05)


def test_a_mean_has_the_effect_in_its_values(tmp_path: Path) -> None:
    metrics = {"aov": {"kind": "mean", "event": "order"}}
    found = happened(
        tmp_path,
        metrics,
        units=4_000,
        scenarios=(Scenario("headline", effect=1.0),),
        base_rates={"order": 0.5},
    )["order"]
    values: dict[str, list[float]] = {"control": [], "bold": []}
    for event, exposed in found:
        values[exposed.variant].append(event.value)
    means = {variant: sum(each) / len(each) for variant, each in values.items()}
    assert means["bold"] / means["control"] == pytest.approx(2, rel=0.1)
    assert len(values["bold"]) == pytest.approx(len(values["control"]), rel=0.1)
