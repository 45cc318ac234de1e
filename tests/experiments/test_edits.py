"""Safe edits pass, and unsafe ones are told with what to do instead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flask_abx.experiments.definition import parse
from flask_abx.experiments.edits import refusals
from flask_abx.experiments.lifecycle import Outcome

if TYPE_CHECKING:
    from flask_abx.experiments.model import Experiment

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
LIVE = ["running", "paused"]
ALL = ["draft", *LIVE, "concluded", "archived"]


def make(status: str = "running", **fields: Any) -> Experiment:
    """Make an experiment in a state."""
    body = {
        "variants": ["a", "b"],
        "status": status,
        "traffic": 0.5,
        "metrics": "signup",
        **fields,
    }
    return parse({"experiments": {"e": body}}).experiments["e"]


def told(
    after: dict[str, Any], before: dict[str, Any] | None = None, status: str = "running"
) -> str:
    """Give the refusals of an edit, which must be at most one."""
    reasons = refusals(make(status, **before or {}), make(status, **after), NOW)
    assert len(reasons) < 2
    return "".join(reasons)


@pytest.mark.parametrize("status", ALL)
def test_an_edit_that_changes_nothing_is_safe(status: str) -> None:
    assert refusals(make(status), make(status), NOW) == ()


TEXTS = {
    "name": "Headline",
    "hypothesis": "Bold sells",
    "owner": "ada",
    "tags": ["shop"],
}


@pytest.mark.parametrize("status", ALL)
@pytest.mark.parametrize("field", TEXTS)
def test_texts_may_change_at_any_time(status: str, field: str) -> None:
    assert not told({field: TEXTS[field]}, status=status)


SAFE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "names of variants": ({}, {"variants": ["a", {"key": "b", "name": "Bold"}]}),
    "more traffic": ({}, {"traffic": 0.6}),
    "no audience": ({"audience": {"country": "DE"}}, {}),
    "secondary": ({}, {"metrics": {"primary": ["signup"], "secondary": ["x"]}}),
    "guardrail": ({}, {"metrics": {"primary": ["signup"], "guardrail": ["x"]}}),
    "private": ({}, {"private": True}),
    "public": ({"private": True}, {}),
    "forced": ({"forced": {"7": "a"}}, {"forced": {"7": "b", "8": "b"}}),
    "dimensions": ({"dimensions": ["country"]}, {"dimensions": ["plan", "age"]}),
    "consent": ({}, {"consent": "marketing"}),
    "sensitive": ({}, {"sensitive": True}),
    "later end": ({"end_at": NOW + DAY}, {"end_at": NOW + 2 * DAY}),
    "earlier end": ({"end_at": NOW + 2 * DAY}, {"end_at": NOW + DAY}),
    "past end moved": ({"end_at": NOW - DAY}, {"end_at": NOW + DAY}),
    "no end": ({"end_at": NOW + DAY}, {}),
    "later start": ({"start_at": NOW + DAY}, {"start_at": NOW + 2 * DAY}),
    "start now": ({"start_at": NOW + DAY}, {}),
    "plan before start": ({"start_at": NOW + DAY}, {"plan": {"units": 9}}),
    "control marked": ({}, {"variants": [{"key": "a", "control": True}, "b"]}),
}


@pytest.mark.parametrize("status", LIVE)
@pytest.mark.parametrize(("before", "after"), SAFE.values(), ids=SAFE)
def test_a_safe_edit_passes_while_live(
    status: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    kept = {"start_at": before["start_at"]} if "plan" in after else {}
    assert not told({**after, **kept}, before, status)


def weighted(number: float, **fields: Any) -> dict[str, Any]:
    """Write variants of which the second has a weight and other fields."""
    return {"variants": {"a": 1, "b": {"weight": number, **fields}}}


UNSAFE: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "unit": ({}, {"unit": "user"}, "unit is ['visitor']", "restart it"),
    "added": ({}, {"variants": ["a", "b", "c"]}, "['a', 'b', 'c']", "restart it"),
    "removed": ({"variants": ["a", "b", "c"]}, {}, "variants is", "restart it"),
    "reordered": ({}, {"variants": ["b", "a"]}, "['b', 'a']", "restart it"),
    "weights": ({}, weighted(3), "weights is {'a': 1.0, 'b': 1.0}", "restart it"),
    "flags": (
        weighted(1, flags={"new": True}),
        weighted(1, flags={"new": 1}),
        "flags of variants is {'a': {}, 'b': {'new': True}}",
        "another experiment",
    ),
    "control": ({}, weighted(1, control=True), "control is 'a'", "restart it"),
    "variant closed": (
        {},
        weighted(1, closed=True),
        "closed variants is [] and cannot become ['b']",
        "close a variant",
    ),
    "closed": ({}, {"closed": True}, "closed is False", "close it"),
    "opened": ({"closed": True}, {}, "closed is True", "restart it"),
    "traffic": ({}, {"traffic": 0.4}, "traffic is 0.5", "close it"),
    "audience": ({}, {"audience": {"a": 1}}, "audience is {}", "only widen it"),
    "layer": ({}, {"layer": "x"}, "layer is None", "restart it"),
    "range": (
        {"layer": "x"},
        {"layer": "x", "range": [0.0, 0.5]},
        "range is None and cannot become [0.0, 0.5]",
        "restart it",
    ),
    "salt": ({}, {"salt": "x"}, "salt is None and cannot become 'x'", "restart it"),
    "iteration": ({}, {"iteration": 2}, "iteration is 1", "restart it"),
    "consent": ({"consent": "x"}, {}, "consent is 'x'", "another experiment"),
    "other consent": ({"consent": "x"}, {"consent": "y"}, "'y'", "another experiment"),
    "sensitive": ({"sensitive": True}, {}, "sensitive is True", "another experiment"),
    "keep": ({}, {"keep_variants": True}, "keep_variants is False", "conclude it"),
    "primary": ({}, {"metrics": "x"}, "metrics.primary is ['signup']", "secondary"),
    "plan": (
        {},
        {"plan": {"days": 9}},
        "cannot become {'days': 9} while",
        "fixed before",
    ),
    "analysis": (
        {},
        {"analysis": {"min_days": 1}},
        "analysis is {} and cannot become {'min_days': 1}",
        "fixed before",
    ),
    "begun": ({"start_at": NOW}, {}, "start_at is '2030-01-01T00:00:00Z'", "pause it"),
    "start": ({}, {"start_at": NOW + DAY}, "start_at is None", "pause it"),
    "past end": ({}, {"end_at": NOW}, "end_at is None", "conclude it"),
}


@pytest.mark.parametrize("status", LIVE)
@pytest.mark.parametrize(
    ("before", "after", "what", "way"), UNSAFE.values(), ids=UNSAFE
)
def test_an_unsafe_edit_is_told_with_the_way_out(
    status: str, before: dict[str, Any], after: dict[str, Any], what: str, way: str
) -> None:
    reason = told(after, before, status)
    assert what in reason
    assert way in reason.partition(f"experiment 'e' is {status}: ")[2]
    assert reason.endswith(".")


@pytest.mark.parametrize("name", sorted(UNSAFE.keys() - {"iteration"}))
def test_a_draft_may_change(name: str) -> None:
    before, after, _, _ = UNSAFE[name]
    assert not told(after, before, "draft")


def test_the_iteration_of_a_draft_goes_by_restart() -> None:
    assert "restart it for the next" in told({"iteration": 2}, status="draft")


WIDER: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "clause gone": ({"a": 1, "b": {"$gt": 2}}, {"b": {"$gt": 2}}),
    "all gone": ({"a": 1}, {}),
    "longer list": ({"a": {"$in": [1]}, "b": 2}, {"a": {"$in": [2, 1]}, "b": 2}),
    "longer group": ({"id": {"$inGroup": ["7"]}}, {"id": {"$inGroup": ["7", "8"]}}),
    "operator gone": ({"a": {"$gt": 1, "$lt": 5}}, {"a": {"$gt": 1}}),
    "logic gone": ({"$or": [{"a": 1}, {"b": 1}], "c": 1}, {"c": 1}),
}


@pytest.mark.parametrize(("old", "new"), WIDER.values(), ids=WIDER)
def test_an_audience_may_be_widened_and_not_narrowed(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert not told({"audience": new}, {"audience": old})
    assert "only widen it" in told({"audience": old}, {"audience": new})


NOT_WIDER: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "other value": ({"a": 1}, {"a": 2}),
    "other type": ({"a": 1}, {"a": True}),
    "longer exclusion": ({"a": {"$nin": [1]}}, {"a": {"$nin": [1, 2]}}),
    "list under not": (
        {"a": {"$not": {"$in": [1]}}},
        {"a": {"$not": {"$in": [1, 2]}}},
    ),
    "clause under not": (
        {"$not": {"$and": [{"a": 1}], "$segment": "x"}},
        {"$not": {"$segment": "x"}},
    ),
    "field of an object": ({"a": {"x": 1, "y": 2}}, {"a": {"x": 1}}),
    "longer alternative": ({"a": {"$all": [1]}}, {"a": {"$all": [1, 2]}}),
    "group named": ({"a": {"$inGroup": ["7"]}}, {"a": {"$inGroup": "beta"}}),
}


@pytest.mark.parametrize(("old", "new"), NOT_WIDER.values(), ids=NOT_WIDER)
def test_what_only_looks_wider_is_refused(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert "only widen it" in told({"audience": new}, {"audience": old})


COMMANDS = {
    ("draft", "running"): "use start instead",
    ("running", "paused"): "use pause instead",
    ("paused", "running"): "use resume or restart instead",
    ("concluded", "running"): "use reopen or restart instead",
    ("running", "draft"): "no command leads there",
}


@pytest.mark.parametrize(("pair", "way"), COMMANDS.items(), ids=str)
def test_a_status_goes_by_its_command(pair: tuple[str, str], way: str) -> None:
    before, after = pair
    (reason,) = refusals(make(before), make(after), NOW)
    assert reason.startswith(f"status is {before!r} and cannot become {after!r}")
    assert way in reason


@pytest.mark.parametrize("status", ["draft", "running"])
def test_an_ending_goes_by_conclude(status: str) -> None:
    ended = make(status).model_copy(update={"winner": "b", "outcome": Outcome.SHIPPED})
    winner, outcome = refusals(make(status), ended, NOW)
    assert "conclude it with a winner" in winner
    assert "conclude it with an outcome" in outcome


@pytest.mark.parametrize("status", ALL)
def test_a_key_never_changes(status: str) -> None:
    renamed = make(status).model_copy(update={"key": "f"})
    (reason,) = refusals(make(status), renamed, NOW)
    assert reason.startswith("key is 'e' and cannot become 'f'")


OVER = [{"traffic": 0.9}, {"private": True}, {"metrics": {"secondary": ["x"]}}]


@pytest.mark.parametrize("after", OVER, ids=["traffic", "private", "metrics"])
@pytest.mark.parametrize("status", ["concluded", "archived"])
def test_what_is_over_stays_as_it_is(status: str, after: dict[str, Any]) -> None:
    assert refusals(make(status), make(status, **after), NOW)


def test_another_winner_takes_another_conclusion() -> None:
    reason = told({"winner": "b"}, {"winner": "a"}, "concluded")
    assert reason.endswith("its question is answered; reopen it and conclude it anew.")


def test_every_unsafe_field_is_told_once() -> None:
    reasons = refusals(make(), make(unit="user", traffic=0.1, name="x"), NOW)
    assert [reason.split()[0] for reason in reasons] == ["unit", "traffic"]
