"""An experiment starts when nothing on its checklist is left open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flask_abx.errors import UnknownExperiment
from flask_abx.experiments.checklist import checklist, unmet
from flask_abx.experiments.definition import parse
from flask_abx.experiments.model import Document, Experiment

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
GREEN = {
    "variants": {"a": {"flags": {"green": False}}, "b": {"flags": {"green": True}}}
}


def document(**fields: Any) -> Document:
    """Make a document with one draft that is ready, but for some fields."""
    body = {"variants": ["a", "b"], "metrics": "signup", "status": "draft", **fields}
    return parse({"experiments": {"e": body}})


def with_another(fields: dict[str, Any], other: dict[str, Any]) -> Document:
    """Make a document in which another experiment runs beside the draft."""
    draft = document(**fields).experiments["e"]
    beside = parse({"experiments": {"e.2": {"variants": ["a", "b"], **other}}})
    experiments = {**beside.experiments, "e": draft}
    return beside.model_copy(update={"experiments": experiments})


def open_points(found: Document, **options: Any) -> dict[str, str]:
    """Give what is not met, by name."""
    items = checklist(found, "e", NOW, **options)
    assert all(item.message.endswith((".", "?")) for item in items)
    return {item.name: item.message for item in items if not item.is_met}


def test_an_experiment_that_is_ready_has_nothing_open() -> None:
    assert unmet(document(), "e", NOW) == ()
    assert [item.name for item in checklist(document(), "e", NOW)] == [
        "primary_metric",
        "open_variants",
        "audience",
        "rivals",
        "schedule",
    ]


def test_secondary_metrics_decide_nothing() -> None:
    found = open_points(document(metrics={"secondary": ["signup"]}))
    assert list(found) == ["primary_metric"]
    assert 'such as metrics = ["signup"].' in found["primary_metric"]


@pytest.mark.parametrize(
    "other", [0, {"closed": True}], ids=["without weight", "closed"]
)
def test_two_variants_must_be_open(other: object) -> None:
    found = open_points(document(variants={"a": 1, "b": other}))
    assert found == {
        "open_variants": "Experiment 'e' needs two open variants and has only 'a', "
        "leave another open and give it a positive weight."
    }


def test_an_audience_must_parse() -> None:
    broken = document().experiments["e"].model_copy(update={"audience": {"$foo": 1}})
    found = Document.model_construct(None, experiments={"e": broken})
    assert "audience.$foo: is no operator" in open_points(found)["audience"]


def test_every_segment_must_be_defined_somewhere() -> None:
    found = document(audience={"$segment": ["staff", "near"]})
    assert "names the segment 'staff'" in open_points(found)["audience"]
    assert not open_points(found, registered={"staff", "near"})


def test_segments_are_followed_through_segments() -> None:
    segments = {"near": {"$segment": "far"}, "far": {"id": {"$inGroup": "beta"}}}
    draft = document(audience={"$segment": "near"}).experiments
    found = parse({"segments": segments}).model_copy(update={"experiments": draft})
    assert "names the segment 'beta'" in open_points(found)["audience"]
    assert not open_points(found, registered={"beta"})


def test_a_flag_that_a_live_experiment_drives_is_taken() -> None:
    found = open_points(with_another(GREEN, {**GREEN, "status": "paused"}))
    assert "drive the flag 'green'" in found["rivals"]
    assert not open_points(with_another(GREEN, {**GREEN, "status": "draft"}))


def test_a_range_that_a_live_experiment_has_is_taken() -> None:
    half = {"layer": "checkout", "range": [0.0, 0.5]}
    found = open_points(with_another({"layer": "checkout"}, half))
    assert "overlaps the range of 'e.2' in layer 'checkout'" in found["rivals"]
    rest = {"layer": "checkout", "range": [0.5, 1.0]}
    assert not open_points(with_another(rest, half))


def test_a_schedule_may_keep_experiments_apart() -> None:
    later = {**GREEN, "start_at": NOW + DAY}
    assert not open_points(with_another(later, {**GREEN, "end_at": NOW + DAY}))


def test_clashes_of_others_do_not_count() -> None:
    both = with_another({}, GREEN)
    clone = both.experiments["e.2"].model_copy(update={"key": "x"})
    experiments = {**both.experiments, "x": clone}
    assert not open_points(both.model_copy(update={"experiments": experiments}))


@pytest.mark.parametrize("end", [NOW, NOW - DAY])
def test_an_end_must_be_to_come(end: datetime) -> None:
    assert (
        "which is past; set a later one"
        in open_points(document(end_at=end))["schedule"]
    )
    assert not open_points(document(end_at=NOW + DAY))


def test_an_end_must_come_after_the_start() -> None:
    fields = {"start_at": NOW + DAY, "end_at": NOW + DAY}
    draft: Experiment = document().experiments["e"].model_copy(update=fields)
    found = Document.model_construct(None, experiments={"e": draft})
    assert "not later than start_at" in open_points(found)["schedule"]


def test_an_unknown_experiment_is_told() -> None:
    with pytest.raises(UnknownExperiment, match="'headlin' is not defined"):
        checklist(document(), "headlin", NOW)
