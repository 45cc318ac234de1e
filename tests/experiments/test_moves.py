"""Each move does what it says, or refuses with what to do instead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flask_abx.errors import ChangeRefused, UnknownVariant, UsageError
from flask_abx.experiments.definition import parse
from flask_abx.experiments.lifecycle import Action, Outcome, Status
from flask_abx.experiments.moves import (
    apply_move,
    archive,
    close,
    conclude,
    pause,
    reopen,
    restart,
    resume,
    set_traffic,
    start,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask_abx.experiments.model import Experiment

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def make(status: str = "running", **fields: Any) -> Experiment:
    """Make an experiment in a state."""
    body = {"variants": ["control", "bold"], "status": status, **fields}
    return parse({"experiments": {"headline": body}}).experiments["headline"]


def closed_variants(experiment: Experiment) -> list[str]:
    """List the variants that take no new units."""
    return [variant.key for variant in experiment.variants if variant.closed]


def refusal(status: str, action: str, **options: Any) -> str:
    """Give the sentence that refuses a move."""
    with pytest.raises(ChangeRefused) as caught:
        apply_move(make(status), Action(action), NOW, **options)
    (reason,) = caught.value.reasons
    return reason


SENTENCES = {
    ("draft", "pause"): "Experiment 'headline' is draft, only a running one can be "
    "paused: start it first (it allows start, traffic and archive now).",
    ("running", "start"): "Experiment 'headline' is running already; "
    "it allows pause, close, traffic, conclude and restart now.",
    ("paused", "start"): "Experiment 'headline' is paused, only a draft one can be "
    "started: resume or restart it "
    "(it allows resume, close, traffic, conclude and restart now).",
    ("running", "archive"): "Experiment 'headline' is running, only a draft or "
    "concluded one can be archived: conclude it first "
    "(it allows pause, close, traffic, conclude and restart now).",
    ("archived", "reopen"): "Experiment 'headline' is archived, which is the end; "
    "create another experiment.",
}


@pytest.mark.parametrize(("move", "sentence"), SENTENCES.items(), ids="-".join)
def test_a_move_out_of_its_state_is_refused_with_the_way_out(
    move: tuple[str, str], sentence: str
) -> None:
    assert refusal(*move) == sentence


def test_other_traffic_is_refused_once_it_is_over() -> None:
    reason = refusal("concluded", "traffic", traffic=1)
    assert "can be given other traffic: reopen or restart it first" in reason


def test_what_is_no_move_is_no_move() -> None:
    with pytest.raises(UsageError, match="'edit' is no move, use one of start, pause"):
        apply_move(make(), Action.EDIT, NOW)


def test_start_keeps_a_scheduled_start() -> None:
    started = start(make("draft", start_at=NOW + DAY), NOW)
    assert started == make(start_at=NOW + DAY)


def test_pause_and_resume_lead_back() -> None:
    running = make(traffic=0.5, salt="pepper")
    assert pause(running) == make("paused", traffic=0.5, salt="pepper")
    assert resume(pause(running)) == running


def test_close_closes_the_whole_experiment() -> None:
    assert close(make()) == make(closed=True)


def test_close_closes_one_variant() -> None:
    closed = close(make("paused"), "bold")
    assert (closed.status, closed.closed) == (Status.PAUSED, False)
    assert closed_variants(closed) == ["bold"]


def test_close_refuses_the_last_open_variant() -> None:
    with pytest.raises(ChangeRefused, match="'control' is the last open one"):
        close(close(make(), "bold"), "control")


def test_a_weightless_variant_does_not_count_as_open() -> None:
    experiment = make(variants={"control": 1, "bold": 0})
    with pytest.raises(ChangeRefused, match="close the whole experiment"):
        close(experiment, "control")
    assert closed_variants(close(experiment, "bold")) == ["bold"]


@pytest.mark.parametrize("variant", [None, "bold"])
def test_close_refuses_what_is_closed(variant: str | None) -> None:
    with pytest.raises(ChangeRefused, match="closed to new units already"):
        close(close(make(), variant), "bold")


@pytest.mark.parametrize(
    "move",
    [close, lambda each, key: conclude(each, winner=key)],
    ids=["close", "conclude"],
)
def test_an_unknown_variant_is_told_with_the_known_ones(
    move: Callable[[Experiment, str], Experiment],
) -> None:
    message = "no variant 'blod', its variants are 'control' and 'bold'; did you mean"
    with pytest.raises(UnknownVariant, match=message):
        move(make(), "blod")


def test_the_state_is_asked_before_the_variant() -> None:
    assert "start it first" in refusal("draft", "close", variant="blod")


@pytest.mark.parametrize("status", ["running", "paused"])
@pytest.mark.parametrize("traffic", [0.5, 0.2, 0])
def test_live_traffic_can_only_be_raised(status: str, traffic: float) -> None:
    with pytest.raises(ChangeRefused, match=r"is 0.5 .* close it .* or restart it"):
        set_traffic(make(status, traffic=0.5), traffic)
    assert set_traffic(make(status, traffic=0.5), 1).traffic == 1.0


def test_a_draft_takes_any_traffic() -> None:
    assert set_traffic(make("draft"), 0).traffic == 0.0


@pytest.mark.parametrize("traffic", [1.01, -0.1, float("nan"), True, "0.5", None])
def test_traffic_must_be_a_share(traffic: object) -> None:
    with pytest.raises(ChangeRefused, match="must be a number from 0 to 1"):
        apply_move(make("draft"), Action.TRAFFIC, NOW, traffic=traffic)


OUTCOMES = {
    "bold": Outcome.SHIPPED,
    "control": Outcome.ROLLED_BACK,
    None: Outcome.FLAT,
}


@pytest.mark.parametrize(("winner", "outcome"), OUTCOMES.items())
def test_the_outcome_follows_from_the_winner(
    winner: str | None, outcome: Outcome
) -> None:
    concluded = conclude(make(), winner=winner)
    assert (concluded.winner, concluded.outcome) == (winner, outcome)
    assert concluded.status is Status.CONCLUDED


FITTING = [
    ("bold", "did_not_finish"),
    ("control", "did_not_finish"),
    (None, "did_not_finish"),
    (None, "rolled_back"),
]


@pytest.mark.parametrize(("winner", "outcome"), FITTING)
def test_an_outcome_that_fits_the_winner_is_kept(
    winner: str | None, outcome: str
) -> None:
    assert conclude(make(), winner=winner, outcome=outcome).outcome is Outcome(outcome)


CONTRADICTIONS = [
    (None, "shipped", "there is no winner"),
    ("control", "shipped", "'control' is the control"),
    ("bold", "rolled_back", "'bold' is a treatment"),
    ("control", "flat", "'control' is the control"),
    ("bold", "flat", "'bold' is a treatment"),
    (None, "won", "write 'flat', 'rolled_back' or 'did_not_finish'"),
]


@pytest.mark.parametrize(("winner", "outcome", "why"), CONTRADICTIONS)
def test_an_outcome_that_contradicts_the_winner_is_refused(
    winner: str | None, outcome: str, why: str
) -> None:
    with pytest.raises(ChangeRefused, match=why):
        conclude(make(), winner=winner, outcome=outcome)


def test_a_marked_control_is_the_control() -> None:
    variants = ["a", {"key": "b", "control": True}]
    concluded = conclude(make(variants=variants), winner="b")
    assert concluded.outcome is Outcome.ROLLED_BACK


@pytest.mark.parametrize(
    ("declared", "said", "kept"),
    [(False, True, True), (True, None, True), (True, False, False)],
    ids=["said", "declared", "said otherwise"],
)
def test_exposed_units_keep_their_variants_if_wished(
    *, declared: bool, said: bool | None, kept: bool
) -> None:
    concluded = conclude(make(keep_variants=declared), keep_variants=said)
    assert concluded.keep_variants is kept


def test_reopen_goes_on_with_the_iteration() -> None:
    running = make(iteration=2, salt="pepper", closed=True)
    concluded = conclude(running, winner="bold", keep_variants=True)
    assert reopen(concluded, NOW) == running


@pytest.mark.parametrize("move", [reopen, restart])
def test_an_end_that_is_past_is_dropped(
    move: Callable[[Experiment, datetime], Experiment],
) -> None:
    assert move(make("concluded", end_at=NOW), NOW).end_at is None
    assert move(make("concluded", end_at=NOW + DAY), NOW).end_at == NOW + DAY


def test_restart_begins_anew() -> None:
    before = close(make(salt="pepper", start_at=NOW - DAY, closed=False), "bold")
    ended = conclude(close(before), winner="bold", keep_variants=True)
    again = restart(ended, NOW)
    assert again == make(iteration=2)
    assert again.effective_salt == "headline:2"


def test_restart_never_takes_the_salt_of_before() -> None:
    again = restart(make(salt="headline:2"), NOW)
    assert (again.iteration, again.effective_salt) == (2, "headline:2:2")


def test_restart_may_bring_another_definition() -> None:
    definition = make("draft", variants={"control": 9, "bold": 1}, salt="pepper")
    again = restart(make("paused", iteration=3), NOW, definition)
    assert again == make(variants={"control": 9, "bold": 1}, iteration=4)


def test_restart_keeps_the_key() -> None:
    other = make().model_copy(update={"key": "footer"})
    with pytest.raises(ChangeRefused, match="cannot be restarted as 'footer'"):
        restart(make(), NOW, other)


def test_archive_keeps_the_winner() -> None:
    archived = archive(conclude(make(), winner="bold"))
    assert (archived.status, archived.winner) == (Status.ARCHIVED, "bold")
