"""The table of moves is whole, and no run of moves breaks an experiment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_abx.assignment.ruleset import Rule, compile_ruleset
from flask_abx.errors import ChangeRefused
from flask_abx.experiments.definition import canonical_json, parse
from flask_abx.experiments.lifecycle import MOVES, Action, Status, legal_actions
from flask_abx.experiments.model import Document, Experiment
from flask_abx.experiments.moves import apply_move
from flask_abx.experiments.weights import open_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = datetime(2030, 1, 1, tzinfo=UTC)
UNITS = [str(number) for number in range(60)]
MOVES_NOBODY = {
    Action.PAUSE,
    Action.RESUME,
    Action.CLOSE,
    Action.TRAFFIC,
    Action.CONCLUDE,
    Action.REOPEN,
}

LEGAL = {
    "draft": "start traffic archive",
    "running": "pause close traffic conclude restart",
    "paused": "resume close traffic conclude restart",
    "concluded": "reopen restart archive",
    "archived": "",
}


@pytest.mark.parametrize(("status", "names"), LEGAL.items(), ids=LEGAL)
def test_each_state_allows_its_moves(status: str, names: str) -> None:
    assert " ".join(legal_actions(Status(status))) == names


TARGETS = {
    "start": "running",
    "pause": "paused",
    "resume": "running",
    "close": None,
    "traffic": None,
    "conclude": "concluded",
    "reopen": "running",
    "restart": "running",
    "archive": "archived",
}


def test_each_move_leads_where_the_table_says() -> None:
    assert {action: move.target for action, move in MOVES.items()} == TARGETS


def test_each_move_is_told_in_one_sentence() -> None:
    for move in MOVES.values():
        assert move.summary[0].isupper()
        assert move.summary.find(".") == len(move.summary) - 1


def test_only_pause_and_close_take_effect_at_once() -> None:
    assert [action for action in Action if action.is_urgent] == ["pause", "close"]


def document_of(experiment: Experiment) -> Document:
    """Hold one experiment as a document."""
    return Document.model_construct(None, experiments={experiment.key: experiment})


def canonical(experiment: Experiment) -> str:
    """Write an experiment as it is stored."""
    return canonical_json(document_of(experiment).canonical())


def is_valid(experiment: Experiment) -> bool:
    """Tell whether what is stored reads back as the same experiment."""
    read = parse(document_of(experiment).canonical())
    return read.experiments[experiment.key] == experiment


def compiled(experiment: Experiment) -> Rule:
    """Compile an experiment as it is served."""
    return compile_ruleset(document_of(experiment), "c0", {}).rules[experiment.key]


@st.composite
def drafts(draw: st.DrawFn) -> Experiment:
    """Draw a draft with two or more variants and any schedule."""
    weights = st.lists(st.floats(0, 9), min_size=2, max_size=4)
    drawn = draw(weights.filter(lambda found: sum(each > 0 for each in found) > 1))
    fields: dict[str, Any] = {
        "status": "draft",
        "variants": {f"v{number}": weight for number, weight in enumerate(drawn)},
        "traffic": draw(st.floats(0, 1)),
        "salt": draw(st.sampled_from([None, "pepper", "e:2"])),
        "end_at": draw(st.sampled_from([None, *(NOW + each * DAY for each in (1, 3))])),
        "keep_variants": draw(st.booleans()),
    }
    return parse({"experiments": {"e": fields}}).experiments["e"]


DAY = timedelta(days=1)


@st.composite
def options(draw: st.DrawFn, experiment: Experiment, action: Action) -> dict[str, Any]:
    """Draw what a move asks for, such that nothing but the state may forbid it."""
    keys = [variant.key for variant in experiment.variants]
    if action is Action.TRAFFIC:
        return {"traffic": draw(st.floats(experiment.traffic, 1))}
    if action is Action.CONCLUDE:
        winner = draw(st.sampled_from([None, *keys]))
        outcome = draw(st.sampled_from([None, "did_not_finish"]))
        keep = draw(st.sampled_from([None, True, False]))
        return {"winner": winner, "outcome": outcome, "keep_variants": keep}
    if action is Action.CLOSE and len(open_weights(experiment)) > 1:
        return {"variant": draw(st.sampled_from([None, *open_weights(experiment)]))}
    return {}


def is_at_its_limit(
    experiment: Experiment, action: Action, asked: Mapping[str, Any]
) -> bool:
    """Tell whether there is nothing left to raise or to close."""
    if action is Action.TRAFFIC:
        is_raised = asked["traffic"] > experiment.traffic
        return experiment.status.is_live and not is_raised
    return action is Action.CLOSE and experiment.closed


def check_moved(before: Experiment, action: Action, after: Experiment) -> None:
    """Check what every move promises."""
    assert is_valid(after)
    assert after.status is (MOVES[action].target or before.status)
    assert after.iteration == before.iteration + (action is Action.RESTART)
    is_same_salt = after.effective_salt == before.effective_salt
    assert is_same_salt is (action is not Action.RESTART)
    if action in MOVES_NOBODY:
        old, new = compiled(before), compiled(after)
        for place in map(old.place, UNITS):
            assert old.at(place) in (None, new.at(place))


@settings(max_examples=60, deadline=None)
@given(drafts(), st.data())
def test_no_run_of_moves_breaks_an_experiment(
    experiment: Experiment, data: st.DataObject
) -> None:
    for step in range(8):
        now, stored = NOW + step * DAY / 2, canonical(experiment)
        following = []
        for action in MOVES:
            asked = data.draw(options(experiment, action))
            if is_at_its_limit(experiment, action, asked):
                continue
            if action in legal_actions(experiment.status):
                after = apply_move(experiment, action, now, **asked)
                check_moved(experiment, action, after)
                following.append(after)
            else:
                with pytest.raises(ChangeRefused):
                    apply_move(experiment, action, now, **asked)
            assert canonical(experiment) == stored
        if not following:
            break
        experiment = data.draw(st.sampled_from(following))


def make(**fields: Any) -> Experiment:
    """Make an experiment with three variants."""
    body = {"variants": {"a": 2, "b": 1, "c": 1}, **fields}
    return parse({"experiments": {"e": body}}).experiments["e"]


def test_open_weights_are_shares_of_all_variants() -> None:
    assert open_weights(make()) == {"a": 0.5, "b": 0.25, "c": 0.25}


def test_closed_and_weightless_variants_have_no_open_weight() -> None:
    variants = {"a": 1, "b": {"weight": 3, "closed": True}, "c": 0}
    assert open_weights(make(variants=variants)) == {"a": 0.25}
