"""The moves of an experiment: each gives the experiment after it, or refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_abx.errors import ChangeRefused, UnknownVariant, UsageError
from flask_abx.experiments.faults import shown, suggestion
from flask_abx.experiments.lifecycle import MOVES, Action, Outcome, legal_actions
from flask_abx.experiments.weights import open_weights

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from flask_abx.experiments.model import Experiment


def apply_move(
    experiment: Experiment, action: Action, now: datetime, **options: Any
) -> Experiment:
    """Make one move by its name.

    Args:
        experiment: The experiment as it is; it stays as it is.
        action: A move of `MOVES`.
        now: The present moment, aware.
        **options: What the function of the move takes beside these.

    Raises:
        ChangeRefused: The state, or what the move asks for, does not allow it.
        UnknownVariant: A variant is named that the experiment does not have.
        UsageError: The action is no move.
    """
    match action:
        case Action.START:
            return start(experiment, now, **options)
        case Action.PAUSE:
            return pause(experiment, **options)
        case Action.RESUME:
            return resume(experiment, **options)
        case Action.CLOSE:
            return close(experiment, **options)
        case Action.TRAFFIC:
            return set_traffic(experiment, **options)
        case Action.CONCLUDE:
            return conclude(experiment, **options)
        case Action.REOPEN:
            return reopen(experiment, now, **options)
        case Action.RESTART:
            return restart(experiment, now, **options)
        case Action.ARCHIVE:
            return archive(experiment, **options)
    named = ", ".join(MOVES)
    raise UsageError(f"{str(action)!r} is no move, use one of {named}.")


def start(experiment: Experiment, now: datetime) -> Experiment:
    """Begin to assign units, at once or at a start_at that is still to come.

    Whether the experiment is ready for it is what the checklist tells.
    """
    del now
    return _moved(experiment, Action.START)


def pause(experiment: Experiment) -> Experiment:
    """Give everyone the control until the experiment is resumed."""
    return _moved(experiment, Action.PAUSE)


def resume(experiment: Experiment) -> Experiment:
    """Give everyone the variant of before the pause."""
    return _moved(experiment, Action.RESUME)


def close(experiment: Experiment, variant: str | None = None) -> Experiment:
    """Take no new units, into the experiment or into one variant."""
    _require(experiment, Action.CLOSE)
    if experiment.closed:
        raise ChangeRefused(
            f"Experiment {experiment.key!r} is closed to new units already; "
            "restart it to take new ones, or conclude it."
        )
    if variant is None:
        return _moved(experiment, Action.CLOSE, closed=True)
    _require_variant(experiment, variant)
    if any(each.closed for each in experiment.variants if each.key == variant):
        raise ChangeRefused(
            f"Variant {variant!r} of {experiment.key!r} is closed to new units "
            "already; restart the experiment to open it, or conclude it."
        )
    if [*open_weights(experiment)] == [variant]:
        raise ChangeRefused(
            f"Variant {variant!r} is the last open one of {experiment.key!r}; "
            "close the whole experiment, or conclude it."
        )
    variants = tuple(
        each.model_copy(update={"closed": True}) if each.key == variant else each
        for each in experiment.variants
    )
    return _moved(experiment, Action.CLOSE, variants=variants)


def set_traffic(experiment: Experiment, traffic: float) -> Experiment:
    """Let more of the eligible units enter; on a draft, any share of them."""
    _require(experiment, Action.TRAFFIC)
    if not _is_share(traffic):
        raise ChangeRefused(
            f"Traffic is {shown(traffic)}, must be a number from 0 to 1."
        )
    if experiment.status.is_live and traffic <= experiment.traffic:
        raise ChangeRefused(
            f"Traffic of {experiment.key!r} is {experiment.traffic!r} and can only be "
            f"raised while it is {experiment.status}, not become {traffic!r}: close it "
            "to stop new units, or restart it to assign fewer anew."
        )
    return _moved(experiment, Action.TRAFFIC, traffic=float(traffic))


def _is_share(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= 1


def conclude(
    experiment: Experiment,
    *,
    winner: str | None = None,
    outcome: Outcome | str | None = None,
    keep_variants: bool | None = None,
) -> Experiment:
    """End the question: everyone gets the winner, or the control.

    Args:
        experiment: The experiment as it is.
        winner: The variant that everyone gets from now on.
        outcome: What came of it; None reads it from the winner.
        keep_variants: True leaves exposed units their variants, None leaves it as
            the definition says.
    """
    _require(experiment, Action.CONCLUDE)
    if winner is not None:
        _require_variant(experiment, winner)
    return _moved(
        experiment,
        Action.CONCLUDE,
        winner=winner,
        outcome=_outcome(experiment, winner, outcome),
        keep_variants=(
            experiment.keep_variants if keep_variants is None else keep_variants
        ),
    )


def reopen(experiment: Experiment, now: datetime) -> Experiment:
    """Go on with the iteration that was concluded; an end that is past is dropped."""
    return _moved(
        experiment,
        Action.REOPEN,
        winner=None,
        outcome=None,
        keep_variants=False,
        end_at=_still_to_come(experiment.end_at, now),
    )


def restart(
    experiment: Experiment, now: datetime, definition: Experiment | None = None
) -> Experiment:
    """Begin the next iteration, in which all units are assigned anew.

    Args:
        experiment: The experiment as it is.
        now: The present moment; an end that is past is dropped.
        definition: What the next iteration runs, where that differs; its state, salt
            and schedule of before do not count.
    """
    _require(experiment, Action.RESTART)
    following = experiment if definition is None else definition
    if following.key != experiment.key:
        raise ChangeRefused(
            f"Experiment {experiment.key!r} cannot be restarted as {following.key!r}; "
            "create another experiment under that key."
        )
    changes: dict[str, object] = {
        "status": MOVES[Action.RESTART].target,
        "iteration": experiment.iteration + 1,
        "salt": None,
        "closed": False,
        "variants": tuple(
            variant.model_copy(update={"closed": False})
            for variant in following.variants
        ),
        "winner": None,
        "outcome": None,
        "keep_variants": False,
        "start_at": None,
        "end_at": _still_to_come(following.end_at, now),
    }
    restarted = following.model_copy(update=changes)
    if restarted.effective_salt != experiment.effective_salt:
        return restarted
    # Somebody wrote out as its salt what is the default of the iteration to come.
    salt = f"{restarted.effective_salt}:{restarted.iteration}"
    return restarted.model_copy(update={"salt": salt})


def archive(experiment: Experiment) -> Experiment:
    """Put the experiment away; it keeps answering as it did."""
    return _moved(experiment, Action.ARCHIVE)


def _moved(experiment: Experiment, action: Action, **changes: object) -> Experiment:
    _require(experiment, action)
    target = MOVES[action].target
    if target is not None:
        changes["status"] = target
    return experiment.model_copy(update=changes)


def _require(experiment: Experiment, action: Action) -> None:
    if experiment.status not in MOVES[action].sources:
        raise ChangeRefused(_wrong_state(experiment, action))


def _wrong_state(experiment: Experiment, action: Action) -> str:
    """Say why the state does not allow a move, and which moves it allows."""
    move, status = MOVES[action], experiment.status
    is_in = f"Experiment {experiment.key!r} is {status}"
    legal = legal_actions(status)
    if not legal:
        return f"{is_in}, which is the end; create another experiment."
    allowed = f"it allows {_listed(legal, 'and')} now"
    if move.target is status:
        return f"{is_in} already; {allowed}."
    instead = [each for each in legal if MOVES[each].target is move.target is not None]
    before = [each for each in legal if MOVES[each].target in move.sources]
    way = f"{_listed(instead or before, 'or')} it{'' if instead else ' first'}"
    needed = f"only a {_listed(move.sources, 'or')} one can be {_done(action)}"
    return f"{is_in}, {needed}: {way} ({allowed})."


def _done(action: Action) -> str:
    if action is Action.TRAFFIC:
        return "given other traffic"
    return f"{action}d" if action.endswith("e") else f"{action}ed"


def _listed(names: Iterable[str], word: str) -> str:
    *others, last = names
    return f"{', '.join(others)} {word} {last}" if others else str(last)


def _require_variant(experiment: Experiment, variant: str) -> None:
    keys = [each.key for each in experiment.variants]
    if variant not in keys:
        named = _listed(map(repr, keys), "and")
        raise UnknownVariant(
            f"Experiment {experiment.key!r} has no variant {shown(variant)}, "
            f"its variants are {named}{suggestion(variant, keys)}"
        )


def _outcome(
    experiment: Experiment, winner: str | None, outcome: Outcome | str | None
) -> Outcome:
    """Read the outcome from the winner, or refuse one that contradicts it."""
    fitting: tuple[Outcome, ...]
    if winner is None:
        fitting = (Outcome.FLAT, Outcome.ROLLED_BACK, Outcome.DID_NOT_FINISH)
        won = "there is no winner"
    elif winner == experiment.control.key:
        fitting = (Outcome.ROLLED_BACK, Outcome.DID_NOT_FINISH)
        won = f"the winner {winner!r} is the control"
    else:
        fitting = (Outcome.SHIPPED, Outcome.DID_NOT_FINISH)
        won = f"the winner {winner!r} is a treatment"
    if outcome is None:
        return fitting[0]
    if outcome not in fitting:
        named = _listed((repr(str(each)) for each in fitting), "or")
        raise ChangeRefused(
            f"Outcome is {shown(str(outcome))}, but {won}; "
            f"write {named}, or name another winner."
        )
    return Outcome(outcome)


def _still_to_come(moment: datetime | None, now: datetime) -> datetime | None:
    return moment if moment is not None and moment > now else None
