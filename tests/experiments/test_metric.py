"""Which events a metric takes, and what stands where nothing is written."""

from __future__ import annotations

from typing import Any

import pytest

from flask_abx.errors import DefinitionError
from flask_abx.experiments.definition import parse, version_of
from flask_abx.experiments.metric import Metric, MetricRoles

WHERE: dict[str, tuple[object, object]] = {
    "a text": ("gold", ("gold",)),
    "a list": (["gold", "silver"], ("gold", "silver")),
    "a boolean": (True, ("true",)),
    "a whole number": (3, ("3",)),
    "a number": (9.5, ("9.5",)),
    "of each": (["a", 1.5, False], ("a", "1.5", "false")),
    "the text of a boolean": ("true", ("true",)),
    "a star": ("*", ("*",)),
    "there": ({"$exists": True}, {"$exists": True}),
    "not there": ({"$exists": False}, {"$exists": False}),
}


def metric(**fields: object) -> Metric:
    """Parse one metric."""
    return parse({"metrics": {"m": fields}}).metrics["m"]


@pytest.mark.parametrize(("written", "stored"), WHERE.values(), ids=WHERE)
def test_a_property_is_compared_as_json_spells_it(
    written: object, stored: object
) -> None:
    assert metric(where={"plan": written}).where == {"plan": stored}


@pytest.mark.parametrize(
    "written",
    [None, [], {}, [None], [["a"]], {"$exist": True}, {"$exists": 1}],
    ids=repr,
)
def test_what_no_property_can_be_is_refused(written: object) -> None:
    with pytest.raises(DefinitionError, match=r"must be a text, a list of texts, or"):
        metric(where={"plan": written})


def test_a_boolean_and_its_spelling_are_one_version() -> None:
    versions = [
        version_of(parse({"metrics": {"m": {"where": {"vip": written}}}}))
        for written in (True, "true", ["true"], {"$exists": True})
    ]
    assert versions[0] == versions[1] == versions[2] != versions[3]


def test_where_stands_on_the_parts_of_a_ratio_too() -> None:
    part = {"event": "click", "where": {"ad": True}}
    ratio = metric(kind="ratio", numerator=part, denominator={"event": "view"})
    assert ratio.numerator is not None
    assert ratio.numerator.where == {"ad": ("true",)}


def test_the_fields_of_the_contract_are_there_with_their_defaults() -> None:
    told = Metric().model_dump(mode="json")
    assert told == {
        "kind": "conversion",
        "event": None,
        "where": {},
        "min_value": None,
        "max_value": None,
        "numerator": None,
        "denominator": None,
        "unit": None,
        "window": None,
        "delay": "0s",
        "direction": "higher",
        "cap": None,
        "covariate": None,
        "margin": None,
        "margin_abs": None,
        "name": "",
        "description": "",
        "format": None,
        "currency": None,
        "decimals": None,
    }


def test_the_documents_of_the_contract_are_taken() -> None:
    definition: dict[str, Any] = {
        "metrics": {
            "signup": {},
            "revenue": {
                "kind": "sum",
                "event": "purchase",
                "window": "7d",
                "covariate": "14d",
                "format": "currency",
                "currency": "EUR",
            },
            "clicks_per_session": {
                "kind": "ratio",
                "numerator": {"event": "click"},
                "denominator": {"event": "session"},
            },
        },
        "experiments": {
            "headline": {
                "variants": ["control", "bold"],
                "metrics": {
                    "primary": ["signup"],
                    "secondary": ["revenue"],
                    "guardrail": [{"metric": "refunds", "margin": 0.05}],
                },
                "plan": {"mde": 0.05, "power": 0.8},
                "analysis": {
                    "test": "auto",
                    "alpha": 0.05,
                    "min_days": 7,
                    "time_zone": "UTC",
                    "mixed": "first",
                },
            }
        },
    }
    roles = parse(definition).experiments["headline"].metrics
    assert roles.names == ("signup", "revenue", "refunds")


def test_an_experiment_without_metrics_names_none() -> None:
    document = parse({"experiments": {"e": {"variants": ["a", "b"]}}})
    assert document.experiments["e"].metrics == MetricRoles()
    assert document.experiments["e"].metrics.names == ()
