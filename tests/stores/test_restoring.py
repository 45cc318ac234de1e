"""Going back to an earlier version: what comes back, and what cannot."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from flask_abx import ChangeRefused, UnknownExperiment
from flask_abx.experiments.definition import canonical_json, parse
from flask_abx.experiments.model import Document
from flask_abx.stores.change import Edit, content, milliseconds_of
from flask_abx.stores.reading import Mark, Name, Snapshot, Stored
from flask_abx.stores.restoring import edits_back

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = datetime(2030, 1, 1, tzinfo=UTC)
TWO: dict[str, Any] = {"variants": ["control", "bold"], "metrics": ["signup"]}
ENDED: dict[str, Any] = {**TWO, "status": "concluded", "winner": "bold"}
ENDED["outcome"] = "shipped"
LONG_AGO = "2029-01-01T00:00:00Z"

Source = dict[str, Any]


def experiments(**bodies: Source) -> Source:
    return {"experiments": bodies}


def headline(**fields: Any) -> Source:
    return experiments(headline={**TWO, **fields})


def stored(source: Source) -> dict[Name, str]:
    document = parse(source)
    return {
        Name(section.removesuffix("s"), key): canonical_json(content(entry))
        for section in Document.model_fields
        for key, entry in getattr(document, section).items()
    }


def back(then: Source, now: Source, *keys: str) -> Mapping[Name, Edit]:
    """Work out the way from what is to what was."""
    bodies = {name: Stored(1, body) for name, body in stored(now).items()}
    snapshot = Snapshot(Mark("lineage", 2), milliseconds_of(NOW), bodies, ())
    edits = edits_back(stored(then), snapshot, parse(now), keys)
    return {edit.name: edit for edit in edits}


def refused(then: Source, now: Source) -> tuple[str, ...]:
    with pytest.raises(ChangeRefused) as caught:
        back(then, now)
    return caught.value.reasons


def test_what_is_as_it_was_stays() -> None:
    assert back(headline(), headline()) == {}


def test_the_old_content_comes_back_to_the_letter() -> None:
    then, now = headline(name="Old", owner="anna"), headline(name="New")
    (edit,) = back(then, now).values()
    assert edit.action == "rollback"
    assert {edit.name: canonical_json(edit.body)} == stored(then)


def test_a_draft_that_came_later_is_deleted() -> None:
    now = experiments(headline=TWO, later={**TWO, "status": "draft"})
    (edit,) = back(headline(), now).values()
    assert (edit.name.key, edit.body) == ("later", None)


@pytest.mark.parametrize("fields", [{}, {"status": "paused"}, ENDED], ids=str)
def test_what_came_later_and_ran_is_refused(fields: Source) -> None:
    now = experiments(headline=TWO, later={**TWO, **fields})
    (reason,) = refused(headline(), now)
    assert reason.startswith("Experiment 'later' did not exist then and is")


def test_a_deleted_draft_comes_back() -> None:
    then = experiments(headline=TWO, old={**TWO, "status": "draft"})
    (edit,) = back(then, headline()).values()
    assert edit.name.key == "old"
    assert edit.body is not None


LEGAL: dict[str, tuple[Source, Source]] = {
    "running to paused": (headline(status="paused"), headline()),
    "paused to running": (headline(), headline(status="paused")),
    "concluded to running": (headline(), experiments(headline=ENDED)),
    "running to concluded": (experiments(headline=ENDED), headline()),
    "a draft to other variants": (
        headline(status="draft"),
        headline(status="draft", variants={"a": 1, "b": 2}),
    ),
    "more traffic": (headline(), headline(traffic=0.5)),
}


@pytest.mark.parametrize(("then", "now"), LEGAL.values(), ids=LEGAL)
def test_what_a_command_could_do_is_done(then: Source, now: Source) -> None:
    (edit,) = back(then, now).values()
    assert {edit.name: canonical_json(edit.body)} == stored(then)


def test_only_a_brake_takes_effect_at_once() -> None:
    paused, running = headline(status="paused"), headline()
    name = Name("experiment", "headline")
    assert back(paused, running)[name].is_urgent
    assert not back(running, paused)[name].is_urgent


ILLEGAL: dict[str, tuple[Source, Source, str]] = {
    "another iteration": (headline(), headline(iteration=2), "whose salt is spent"),
    "back to draft": (headline(status="draft"), headline(), "no move it can make"),
    "out of the archive": (
        experiments(headline=ENDED),
        experiments(headline={**ENDED, "status": "archived"}),
        "no move it can make",
    ),
    "less traffic": (headline(traffic=0.5), headline(), "units would fall out"),
    "opening what was closed": (headline(), headline(closed=True), "restart it"),
    "reopening with an end that is past": (
        headline(end_at=LONG_AGO),
        experiments(headline={**ENDED, "end_at": LONG_AGO}),
        "set a later one",
    ),
}


@pytest.mark.parametrize(("then", "now", "why"), ILLEGAL.values(), ids=ILLEGAL)
def test_what_harms_an_experiment_is_refused(
    then: Source, now: Source, why: str
) -> None:
    (reason,) = refused(then, now)
    assert why in reason


def test_every_reason_is_told() -> None:
    then = experiments(one={**TWO, "traffic": 0.5}, two=TWO)
    now = experiments(one=TWO, two={**TWO, "iteration": 2}, three=TWO)
    assert len(refused(then, now)) == 3


def test_keys_limit_what_goes_back() -> None:
    then = experiments(one=TWO, two=TWO)
    now = experiments(
        one={**TWO, "name": "One"}, two={**TWO, "iteration": 2, "name": "Two"}
    )
    assert [name.key for name in back(then, now, "one")] == ["one"]


def test_a_key_that_nothing_has_is_told() -> None:
    with pytest.raises(UnknownExperiment, match="did you mean 'headline'"):
        back(headline(), headline(name="New"), "headlin")


def test_every_kind_of_definition_goes_back() -> None:
    then: Source = {"segments": {"staff": ["1"]}, "flags": {"old": True}}
    now: Source = {"segments": {"staff": ["1", "2"]}, "metrics": {"order": {}}}
    edits = back(then, now)
    bodies = {name.key: edit.body for name, edit in edits.items()}
    assert bodies["staff"] == ["1"]
    assert bodies["order"] is None
    assert {*bodies} == {"staff", "order", "old"}


def test_a_layer_in_use_keeps_its_salt() -> None:
    inside = headline(layer="top")
    (reason,) = refused({**inside, "layers": {"top": {"salt": "pepper"}}}, inside)
    assert "'layer:top' and cannot become 'pepper'" in reason
    (reason,) = refused(inside, {**inside, "layers": {"top": {"salt": "pepper"}}})
    assert "'pepper' and cannot become 'layer:top'" in reason
