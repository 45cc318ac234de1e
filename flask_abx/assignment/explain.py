"""A decision in sentences, one for each step that it passed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from flask_abx.assignment.audience import attribute_names, describe
from flask_abx.assignment.decision import Reason
from flask_abx.assignment.operands import shown
from flask_abx.assignment.position import position

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from flask_abx.assignment.decide import Who
    from flask_abx.assignment.decision import Assignment, Unit
    from flask_abx.assignment.ruleset import LayerRule, Rule

_LONGEST_ID = 80


def explain(
    rule: Rule,
    who: Who,
    assignment: Assignment,
    now: datetime,
    *,
    audience: Mapping[str, object] | None = None,
) -> list[str]:
    """Write why somebody gets a variant: a sentence for each step, then the end.

    The steps are those of `Reason`, in its order, up to the one that decided. Nothing
    is decided here: what was passed, and what was not, is read off the assignment.

    Args:
        rule: The compiled experiment.
        who: Whom it was decided about.
        assignment: What `decide` said of them.
        now: The moment for which it was decided, aware.
        audience: The condition that the rule was compiled from, to put into words.
    """
    case = _Case(rule, who, assignment, now, audience, who.unit(rule))
    decided = assignment.reason
    if decided is Reason.CLOSED and not rule.closed:
        # A closed variant is asked for last, in place of the allocation.
        decided = Reason.ALLOCATED
    sentences = []
    for reason, passed, deciding in _STEPS:
        if reason is decided:
            sentences.append(deciding(case))
            break
        sentences.append(passed(case))
    end = f"gets {assignment.variant} ({assignment.reason})."
    return [*sentences, f"So {case.who if case.unit else 'the unit'} {end}"]


@dataclass(frozen=True, slots=True)
class _Case:
    """What the sentences are about."""

    rule: Rule
    person: Who
    assignment: Assignment
    now: datetime
    audience: Mapping[str, object] | None
    unit: Unit | None

    @property
    def who(self) -> str:
        return "nobody" if self.unit is None else name_of(self.unit)

    @property
    def whose(self) -> str:
        """Who, at the beginning of a sentence."""
        return self.who[0].upper() + self.who[1:]

    @property
    def variant(self) -> str:
        return self.assignment.variant

    def place(self, salt: str) -> float:
        return 0.0 if self.unit is None else position(salt, self.unit.id)


def name_of(unit: Unit) -> str:
    """Name a unit in a sentence, such as ``user 7``."""
    text = unit.id if unit.id.isprintable() else repr(unit.id)
    if len(text) > _LONGEST_ID:
        text = f"{text[: _LONGEST_ID - 3]}..."
    return f"{unit.type} {text}"


def _defined(case: _Case) -> str:
    return f"Experiment {case.rule.key} is defined."


def _loaded(case: _Case) -> str:
    return (
        f"Its definition is loaded: iteration {case.rule.iteration}, "
        f"salt {case.rule.salt!r}."
    )


def _not_loaded(case: _Case) -> str:
    del case
    return "The definitions are not loaded yet."


def _undefined(case: _Case) -> str:
    return f"Experiment {case.assignment.experiment} is not defined."


def _not_concluded(case: _Case) -> str:
    return f"It is not concluded, its status is {case.rule.status}."


def _concluded(case: _Case) -> str:
    rule = case.rule
    if rule.keep_variants:
        return (
            f"It is {rule.status}: who was exposed keeps the variant, "
            f"everyone else gets {rule.served}."
        )
    return f"It is {rule.status}: everyone gets {rule.served}."


def _enabled(case: _Case) -> str:
    del case
    return "Experiments are switched on."


def _disabled(case: _Case) -> str:
    del case
    return "Experiments are switched off: everyone gets the control."


def _purposes(case: _Case) -> str:
    return " and ".join(repr(purpose) for purpose in case.rule.purposes)


def _consented(case: _Case) -> str:
    if not case.rule.purposes:
        return "It asks for no consent."
    return f"It asks for consent to {_purposes(case)}: given."


def _refused(case: _Case) -> str:
    return f"It asks for consent to {_purposes(case)}: not given."


def _unforced(case: _Case) -> str:
    del case
    return "No variant is forced."


def _forced(case: _Case) -> str:
    return f"The variant {case.variant} is forced, and nothing is recorded."


def _no_draft(case: _Case) -> str:
    del case
    return "It is no draft."


def _draft(case: _Case) -> str:
    del case
    return "It is a draft: everyone gets the control."


def _not_paused(case: _Case) -> str:
    del case
    return "It is not paused."


def _paused(case: _Case) -> str:
    del case
    return "It is paused: everyone gets the control."


def _started(case: _Case) -> str:
    start = case.rule.start_at
    return (
        "It has no start date." if start is None else f"It runs since {_date(start)}."
    )


def _not_started(case: _Case) -> str:
    start = case.rule.start_at
    named = "later" if start is None else f"on {_date(start)}"
    return f"It starts {named}, and now it is {_date(case.now)}."


def _not_ended(case: _Case) -> str:
    end = case.rule.end_at
    return "It has no end date." if end is None else f"It runs until {_date(end)}."


def _ended(case: _Case) -> str:
    end = case.rule.end_at
    named = "before" if end is None else f"on {_date(end)}"
    return f"It ended {named}, and now it is {_date(case.now)}."


def _date(moment: datetime) -> str:
    text = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return text.removesuffix(" 00:00:00 UTC")


def _has_unit(case: _Case) -> str:
    kinds = case.rule.unit
    if len(kinds) == 1:
        return f"Its unit is {kinds[0]}, and this is {case.who}."
    return f"Its unit is the first that is known of {_kinds(case)}: {case.who}."


def _no_unit(case: _Case) -> str:
    return f"Its unit is {_kinds(case)}, of which none is known."


def _kinds(case: _Case) -> str:
    return " and ".join(case.rule.unit)


def _no_bot(case: _Case) -> str:
    return f"{case.whose} is no bot."


def _bot(case: _Case) -> str:
    return f"{case.whose} is a bot, which is always served the control."


def _not_remembered(case: _Case) -> str:
    return f"No variant of this iteration is remembered for {case.who}."


def _remembered(case: _Case) -> str:
    return f"{case.whose} was exposed to {case.variant} before, and keeps it."


def _open(case: _Case) -> str:
    del case
    return "It is open to new units."


def _closed(case: _Case) -> str:
    del case
    return "It is closed to new units."


def _in_layer(case: _Case) -> str:
    layer = case.rule.layer
    if layer is None:
        return "It is in no layer."
    return f"{_in(case, layer)}, within its range {_range(layer.low, layer.high)}."


def _out_of_layer(case: _Case) -> str:
    layer = case.rule.layer
    if layer is None:
        return "Its layer leaves the unit to another experiment."
    return f"{_in(case, layer)}, outside its range {_range(layer.low, layer.high)}."


def _in(case: _Case, layer: LayerRule) -> str:
    return f"In layer {layer.key} {case.who} is at {_number(case.place(layer.salt))}"


def _in_audience(case: _Case) -> str:
    if case.rule.audience is None:
        return "Its audience is everyone."
    return _audience(case, "is met")


def _out_of_audience(case: _Case) -> str:
    return _audience(case, "is not met")


def _audience(case: _Case, ending: str) -> str:
    if not case.audience:
        return f"Its audience {ending}."
    attributes = case.person.attributes()
    facts = ", ".join(
        f"{name} is {shown(attributes[name])}"
        if name in attributes
        else f"{name} is not known"
        for name in sorted(attribute_names(case.audience))
    )
    return f"Its audience ({describe(case.audience)}) {ending}{facts and ': '}{facts}."


def _in_traffic(case: _Case) -> str:
    return f"{_place(case)}: {_ranges(case)}."


def _out_of_traffic(case: _Case) -> str:
    return f"{_place(case)}, outside the traffic: {_ranges(case)}."


def _place(case: _Case) -> str:
    return f"{case.whose} is at {_number(case.place(case.rule.salt))} of 0 to 1"


def _ranges(case: _Case) -> str:
    return ", ".join(
        f"{variant} owns {_range(low, high) if low < high else 'nothing'}"
        for low, high, variant in case.rule.ranges
    )


def _allocated(case: _Case) -> str:
    if case.assignment.reason is Reason.CLOSED:
        owner = case.rule.at(case.place(case.rule.salt))
        return f"There {owner} is closed to new units, which get the control."
    return f"There {case.variant} is open to new units."


def _range(low: float, high: float) -> str:
    return f"{_number(low)} to {_number(high)}"


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


#: Each reason, what is said where it did not decide, and where it did.
_STEPS: tuple[tuple[Reason, Callable[[_Case], str], Callable[[_Case], str]], ...] = (
    (Reason.UNKNOWN, _defined, _undefined),
    (Reason.NOT_READY, _loaded, _not_loaded),
    (Reason.CONCLUDED, _not_concluded, _concluded),
    (Reason.DISABLED, _enabled, _disabled),
    (Reason.NO_CONSENT, _consented, _refused),
    (Reason.FORCED, _unforced, _forced),
    (Reason.DRAFT, _no_draft, _draft),
    (Reason.PAUSED, _not_paused, _paused),
    (Reason.NOT_STARTED, _started, _not_started),
    (Reason.ENDED, _not_ended, _ended),
    (Reason.NO_UNIT, _has_unit, _no_unit),
    (Reason.BOT, _no_bot, _bot),
    (Reason.STICKY, _not_remembered, _remembered),
    (Reason.CLOSED, _open, _closed),
    (Reason.LAYER, _in_layer, _out_of_layer),
    (Reason.AUDIENCE, _in_audience, _out_of_audience),
    (Reason.TRAFFIC, _in_traffic, _out_of_traffic),
    (Reason.ALLOCATED, _allocated, _allocated),
)
