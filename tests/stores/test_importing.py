"""Taking over a document: what is kept, what is done, what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from flask_abx import ChangeRefused, DefinitionError
from flask_abx.experiments.definition import canonical_json, parse
from flask_abx.experiments.model import Document
from flask_abx.stores.change import Edit, content
from flask_abx.stores.importing import edits_of, merged

if TYPE_CHECKING:
    from flask_abx.stores.reading import Name

NOW = datetime(2030, 1, 1, tzinfo=UTC)
TWO: dict[str, Any] = {"variants": ["control", "bold"], "metrics": ["signup"]}
ENDED: dict[str, Any] = {
    **TWO,
    "status": "concluded",
    "winner": "bold",
    "outcome": "shipped",
    "keep_variants": True,
}
LONG_AGO = "2029-01-01T00:00:00Z"


def document(**fields: Any) -> Document:
    """What the database holds: the experiment `headline`."""
    return parse({"experiments": {"headline": {**TWO, **fields}}})


def source(**fields: Any) -> dict[str, Any]:
    """What the file says of it."""
    return {"experiments": {"headline": {**TWO, **fields}}}


def changes(source: dict[str, Any], known: Document) -> list[Edit]:
    """Give the edits that change something."""
    return [
        edit
        for edit in edits_of(source, known, NOW)
        if canonical_json(edit.body) != _stored(known, edit.name)
    ]


def _stored(known: Document, name: Name) -> str | None:
    entry = getattr(known, f"{name.kind}s").get(name.key)
    return None if entry is None else canonical_json(content(entry))


def body_of(edit: Edit) -> dict[str, Any]:
    assert isinstance(edit.body, dict)
    return edit.body


def refused(source: dict[str, Any], known: Document) -> tuple[str, ...]:
    with pytest.raises(ChangeRefused) as caught:
        changes(source, known)
    return caught.value.reasons


KEPT: dict[str, dict[str, Any]] = {
    "a pause": {"status": "paused"},
    "a draft": {"status": "draft"},
    "an iteration": {"iteration": 3},
    "a salt": {"salt": "pepper"},
    "a start": {"start_at": LONG_AGO},
    "a closed experiment": {"closed": True},
    "a closed variant": {"variants": ["control", {"key": "bold", "closed": True}]},
    "an end": ENDED,
    "an archive": {**ENDED, "status": "archived"},
    "variants to be kept": {"keep_variants": True},
}


@pytest.mark.parametrize("fields", KEPT.values(), ids=KEPT)
def test_what_the_file_leaves_out_stays(fields: dict[str, Any]) -> None:
    assert changes(source(), document(**fields)) == []


def test_a_new_experiment_without_a_status_runs() -> None:
    (edit,) = changes(source(), Document())
    assert body_of(edit)["status"] == "running"


def test_a_new_experiment_comes_as_it_is() -> None:
    fields = {"iteration": 2, "salt": "pepper", "closed": True, "start_at": LONG_AGO}
    (edit,) = changes(source(**fields), Document())
    assert fields.items() <= body_of(edit).items()


def test_what_the_file_does_not_name_stays() -> None:
    known = parse({"experiments": {"headline": TWO, "old": TWO}, "layers": {"top": {}}})
    (edit,) = changes(source(traffic=1.0, name="New"), known)
    assert edit.name.key == "headline"


SAFE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "more traffic": ({"traffic": 0.5}, {"traffic": 0.8}),
    "another name": ({}, {"name": "Headline"}),
    "anything of a draft": (
        {"status": "draft"},
        {"variants": {"a": 1, "b": 9}, "unit": "user", "traffic": 0.1},
    ),
}


@pytest.mark.parametrize(("before", "after"), SAFE.values(), ids=SAFE)
def test_safe_edits_are_done(before: dict[str, Any], after: dict[str, Any]) -> None:
    (edit,) = changes(source(**after), document(**before))
    assert edit.action == "apply"


def test_unsafe_edits_are_refused_all_at_once() -> None:
    after = source(traffic=0.1, unit="user", variants={"control": 1, "bold": 3})
    reasons = refused(after, document())
    assert [reason.split()[0] for reason in reasons] == ["unit", "traffic", "weights"]
    assert "restart" in reasons[0]


def test_the_reasons_of_several_experiments_are_told_together() -> None:
    known = parse({"experiments": {"one": TWO, "two": TWO}})
    less = {"experiments": {key: {**TWO, "traffic": 0.1} for key in ("one", "two")}}
    assert len(refused(less, known)) == 2


MOVES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "start": ({"status": "draft"}, {"status": "running"}, "start"),
    "pause": ({}, {"status": "paused"}, "pause"),
    "resume": ({"status": "paused"}, {"status": "running"}, "resume"),
    "conclude": ({}, {"status": "concluded", "winner": "bold"}, "conclude"),
    "reopen": (ENDED, {"status": "running"}, "reopen"),
    "archive": (ENDED, {"status": "archived"}, "archive"),
    "restart": ({"salt": "x", "start_at": LONG_AGO}, {"iteration": 2}, "restart"),
    "restart with other variants": (
        {"closed": True},
        {"iteration": 2, "variants": {"control": 1, "gold": 3}, "traffic": 0.1},
        "restart",
    ),
    "restart what has ended": (
        ENDED,
        {"status": "running", "iteration": 2},
        "restart",
    ),
    "close": ({}, {"closed": True}, "close"),
    "close a variant": (
        {"variants": ["control", "bold", "gold"]},
        {"variants": ["control", "bold", {"key": "gold", "closed": True}]},
        "close",
    ),
}


@pytest.mark.parametrize(("before", "after", "action"), MOVES.values(), ids=MOVES)
def test_a_legal_change_of_state_is_told_as_its_action(
    before: dict[str, Any], after: dict[str, Any], action: str
) -> None:
    (edit,) = changes(source(**after), document(**before))
    assert edit.action == action
    assert edit.is_urgent is (action in {"pause", "close"})
    assert after.get("status", "running") == body_of(edit)["status"]


def test_a_draft_may_be_changed_and_started_at_once() -> None:
    known = document(status="draft", traffic=1.0)
    (edit,) = changes(source(status="running", traffic=0.2, unit="user"), known)
    assert (edit.action, body_of(edit)["traffic"]) == ("start", 0.2)


def test_the_outcome_is_read_from_the_winner() -> None:
    (edit,) = changes(source(status="concluded", winner="bold"), document())
    assert body_of(edit)["outcome"] == "shipped"


def test_an_end_that_is_taken_back_leaves_nothing_behind() -> None:
    (edit,) = changes(source(status="running"), document(**ENDED))
    assert not {"winner", "outcome", "keep_variants"} & {*body_of(edit)}


def test_a_restart_leaves_the_old_salt_and_start_behind() -> None:
    known = document(salt="x", start_at=LONG_AGO, closed=True)
    (edit,) = changes(source(iteration=2), known)
    assert not {"salt", "start_at", "closed"} & {*body_of(edit)}


def test_closing_comes_at_once_beside_another_move() -> None:
    known = document(status="paused")
    (edit,) = changes(source(status="running", closed=True), known)
    assert (edit.action, edit.is_urgent) == ("resume", True)


ILLEGAL: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "back to draft": ({}, {"status": "draft"}, "no move it can make"),
    "out of the archive": (
        {**ENDED, "status": "archived"},
        {"status": "running"},
        "no move",
    ),
    "two iterations ahead": ({}, {"iteration": 3}, 'write "running" and 2 to restart'),
    "an iteration back": ({"iteration": 2}, {"iteration": 1}, "no move"),
    "another iteration, the same salt": (
        {"salt": "x"},
        {"salt": "x", "iteration": 2},
        "would not be assigned anew",
    ),
    "another salt": ({}, {"salt": "pepper"}, "salt"),
    "an outcome against the winner": (
        {},
        {"status": "concluded", "winner": "bold", "outcome": "rolled_back"},
        "'shipped' or",
    ),
    "another winner": (ENDED, {"status": "concluded", "winner": "control"}, "reopen"),
    "opening an experiment": ({"closed": True}, {"closed": False}, "restart it"),
    "opening a variant": (
        {"variants": ["control", {"key": "bold", "closed": True}]},
        {"variants": ["control", {"key": "bold", "closed": False}]},
        "closed variants",
    ),
    "closing the last variant": (
        {"variants": ["control", {"key": "bold", "closed": True}]},
        {"variants": [{"key": "control", "closed": True}, "bold"]},
        "the last open one",
    ),
    "an end and other variants": (
        {},
        {"status": "concluded", "variants": {"control": 1, "bold": 3}},
        "weights",
    ),
    "reopening with an end that is past": (
        ENDED,
        {"status": "running", "end_at": LONG_AGO},
        "set a later one",
    ),
}


@pytest.mark.parametrize(("before", "after", "why"), ILLEGAL.values(), ids=ILLEGAL)
def test_what_harms_a_running_experiment_is_refused(
    before: dict[str, Any], after: dict[str, Any], why: str
) -> None:
    (reason,) = refused(source(**after), document(**before))
    assert why in reason


def test_every_fault_of_the_file_is_told() -> None:
    with pytest.raises(DefinitionError) as caught:
        changes(source(traffic=2, salt="", unit=[]), document())
    assert len(caught.value.faults) == 3


def test_a_number_that_is_no_json_is_a_fault() -> None:
    told = r"experiments\.headline(: cannot be|\.audience.*must be a finite)"
    with pytest.raises(DefinitionError, match=told):
        changes(source(audience={"age": {"$lt": float("inf")}}), Document())


def test_a_source_that_is_no_table_is_a_fault() -> None:
    with pytest.raises(DefinitionError, match="must be a table"):
        changes({"experiments": ["headline"], "layers": "top"}, document())


LAYERED: dict[str, Any] = {
    "experiments": {"headline": {**TWO, "layer": "top"}},
    "layers": {"top": {"salt": "pepper"}},
}


def test_a_layer_keeps_its_salt() -> None:
    known = parse(LAYERED)
    (edit,) = changes({"layers": {"top": {"name": "Top"}}}, known)
    assert edit.body == {"name": "Top", "salt": "pepper"}


def test_a_layer_that_is_in_use_gets_no_other_salt() -> None:
    other = {"layers": {"top": {"salt": "chili"}}}
    (reason,) = refused(other, parse(LAYERED))
    assert "holds 'headline'" in reason
    (reason,) = refused(other, parse({"experiments": LAYERED["experiments"]}))
    assert "'layer:top' and cannot become 'chili'" in reason


def test_a_layer_that_nothing_runs_in_may_get_another_salt() -> None:
    draft = {**LAYERED["experiments"]["headline"], "status": "draft"}
    known = parse({**LAYERED, "experiments": {"headline": draft}})
    (edit,) = changes({"layers": {"top": {"salt": "chili"}}}, known)
    assert edit.body == {"salt": "chili"}


def test_every_kind_of_definition_is_taken_over() -> None:
    whole = {
        **LAYERED,
        "segments": {"staff": ["1", "2"], "local": {"country": "DE"}},
        "metrics": {"signup": {"kind": "conversion"}},
        "flags": {"new_ui": False},
    }
    kinds = [edit.name.kind for edit in changes(whole, Document())]
    kinds.sort()
    assert kinds == ["experiment", "flag", "layer", "metric", "segment", "segment"]


def test_a_merged_document_is_the_one_that_would_be_held() -> None:
    known = document(status="paused", iteration=2, traffic=0.5)
    experiment = merged(source(traffic=0.8), known).experiments["headline"]
    assert (experiment.status, experiment.iteration, experiment.traffic) == (
        "paused",
        2,
        0.8,
    )
