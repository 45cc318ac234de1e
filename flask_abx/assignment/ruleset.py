"""Compiled definitions: immutable, and only what a request needs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from flask_abx.assignment.audience import compile_audience
from flask_abx.assignment.decision import USER, VISITOR, Assignment, FlagValues, Reason
from flask_abx.assignment.position import places
from flask_abx.experiments.lifecycle import Status

if TYPE_CHECKING:
    from datetime import datetime

    from flask_abx.assignment.audience import SegmentRule
    from flask_abx.assignment.position import Place
    from flask_abx.assignment.predicates import Predicate
    from flask_abx.experiments.model import Document, Experiment, Variant
    from flask_abx.experiments.values import FlagValue

#: A stretch of the unit interval, half-open, and the variant that owns it.
Range = tuple[float, float, str]


@dataclass(frozen=True, slots=True)
class LayerRule:
    """The part of a layer that an experiment owns."""

    key: str
    salt: str
    low: float
    high: float
    place: Place

    def holds(self, unit_id: str) -> bool:
        """Tell whether a unit lands in the part."""
        return self.low <= self.place(unit_id) < self.high


@dataclass(frozen=True, slots=True)
class Rule:
    """One experiment, compiled.

    Attributes:
        ranges: What each variant owns, in the order of definition.
        bounds: The ends of all ranges in one row, for a binary search.
        answers: What a fresh unit gets between two neighbouring bounds.
        is_open: True where nothing but a tester decides before the unit is asked for:
            it runs, on no schedule, for no purpose, and forces nobody.
    """

    key: str
    name: str
    iteration: int
    status: Status
    unit: tuple[str, ...]
    variants: Mapping[str, Mapping[str, FlagValue]]
    control: str
    served: str
    salt: str
    ranges: tuple[Range, ...]
    bounds: tuple[float, ...]
    answers: tuple[Assignment, ...]
    place: Place
    closed: bool
    audience: Predicate | None
    layer: LayerRule | None
    start_at: datetime | None
    end_at: datetime | None
    purposes: tuple[str, ...]
    forced: Mapping[str, str]
    keep_variants: bool
    private: bool
    dimensions: tuple[str, ...]
    is_open: bool
    _made: dict[tuple[str, Reason], Assignment] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def counted(self) -> bool:
        """True while exposed units and their events count."""
        return self.status.is_live

    def at(self, position: float) -> str | None:
        """Name the variant that owns a position, closed or not; None outside."""
        index = bisect_right(self.bounds, position)
        return self.ranges[index >> 1][2] if index & 1 else None

    def allocate(self, unit_id: str) -> Assignment:
        """Give what a fresh unit gets by its position: a variant, or the control."""
        return self.answers[bisect_right(self.bounds, self.place(unit_id))]

    def assign(self, variant: str, reason: Reason) -> Assignment:
        """Give the assignment of a variant for a reason; equal ones are one object."""
        made = self._made.get((variant, reason))
        if made is None:
            made = Assignment(
                experiment=self.key,
                iteration=self.iteration,
                variant=variant,
                in_experiment=reason.counts,
                reason=reason,
                flags=self.variants[variant],
            )
            self._made[variant, reason] = made
        return made


@dataclass(frozen=True, slots=True)
class FlagRule:
    """Where a flag takes its value from, in the order in which it is asked."""

    name: str
    running: tuple[Rule, ...]
    concluded: tuple[Rule, ...]
    default: FlagValue | None


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Every definition of one version, compiled.

    Attributes:
        attribute_units: The attributes that running experiments assign by.
        stored_units: The unit types, but for visitors, whose exposures still decide,
            each with the experiments and iterations of which they do.
        uses_visitors: True if a running experiment assigns visitors.
        recalled: The open experiments on visitors: whom the browser remembers there
            keeps the variant, and nothing else has to be asked.
        is_ready: False while no definitions are known.
    """

    version: str
    rules: Mapping[str, Rule]
    flags: Mapping[str, FlagRule]
    attribute_units: tuple[str, ...]
    stored_units: Mapping[str, frozenset[tuple[str, int]]]
    uses_visitors: bool
    recalled: Mapping[str, Rule]
    is_ready: bool = True


#: What stands for the definitions while none are known.
NOT_READY = Ruleset(
    version="",
    rules=MappingProxyType({}),
    flags=MappingProxyType({}),
    attribute_units=(),
    stored_units=MappingProxyType({}),
    uses_visitors=False,
    recalled=MappingProxyType({}),
    is_ready=False,
)


def compile_ruleset(
    document: Document,
    version: str,
    segments: Mapping[str, SegmentRule],
    earlier: tuple[Document, Ruleset] | None = None,
) -> Ruleset:
    """Compile a document for the hot path.

    Args:
        document: The definitions, already checked.
        version: The name of this version, told in records and responses.
        segments: Segments registered in code; it may grow until it is first asked.
            A segment of the document stands before one of the same name in code.
        earlier: A document and what came of it; rules that stay the same are taken
            over.
    """
    known = _Segments(document, segments)
    kept = _unchanged(document, earlier)
    rules = {
        key: kept.get(key) or _rule(experiment, document, known)
        for key, experiment in sorted(document.experiments.items())
    }
    return Ruleset(
        version=version,
        rules=MappingProxyType(rules),
        flags=MappingProxyType(_flags(document, rules)),
        attribute_units=_attribute_units(rules.values()),
        stored_units=_stored_units(rules.values()),
        uses_visitors=any(
            rule.counted and VISITOR in rule.unit for rule in rules.values()
        ),
        recalled=MappingProxyType(
            {
                key: rule
                for key, rule in rules.items()
                if rule.is_open and rule.unit[0] == VISITOR
            }
        ),
    )


def _unchanged(
    document: Document, earlier: tuple[Document, Ruleset] | None
) -> Mapping[str, Rule]:
    """Find the rules of experiments that are the same objects as before."""
    if earlier is None:
        return {}
    before, ruleset = earlier
    is_same_ground = (
        before.segments == document.segments and before.layers == document.layers
    )
    if not is_same_ground:
        return {}
    return {
        key: ruleset.rules[key]
        for key, experiment in document.experiments.items()
        if before.experiments.get(key) is experiment
    }


class _Segments(Mapping[str, "SegmentRule"]):
    """The segments of a document over those that code registers, looked up late."""

    def __init__(
        self, document: Document, registered: Mapping[str, SegmentRule]
    ) -> None:
        self._registered = registered
        self._own: dict[str, SegmentRule] = {}
        for key, segment in document.segments.items():
            self._own[key] = (
                compile_audience(segment, self, f"segments.{key}")
                if isinstance(segment, dict)
                else frozenset(segment)
            )

    def __getitem__(self, key: str) -> SegmentRule:
        own = self._own.get(key)
        return self._registered[key] if own is None else own

    def __iter__(self) -> Iterator[str]:
        return iter({**self._registered, **self._own})

    def __len__(self) -> int:
        return len({**self._registered, **self._own})


def _rule(experiment: Experiment, document: Document, segments: _Segments) -> Rule:
    ranges = _ranges(experiment.variants, experiment.traffic)
    control = experiment.control.key
    path = f"experiments.{experiment.key}.audience"
    audience = experiment.audience
    variants: dict[str, Mapping[str, FlagValue]] = {
        variant.key: FlagValues(variant.flags) for variant in experiment.variants
    }
    return Rule(
        key=experiment.key,
        name=experiment.name,
        iteration=experiment.iteration,
        status=experiment.status,
        unit=experiment.unit,
        variants=MappingProxyType(variants),
        control=control,
        served=experiment.winner or control,
        salt=experiment.effective_salt,
        ranges=ranges,
        bounds=tuple(end for start, stop, _ in ranges for end in (start, stop)),
        place=places(experiment.effective_salt),
        answers=_answers(experiment, ranges, variants),
        closed=experiment.closed,
        audience=compile_audience(audience, segments, path) if audience else None,
        layer=_layer(experiment, document),
        start_at=experiment.start_at,
        end_at=experiment.end_at,
        purposes=experiment.purposes,
        forced=MappingProxyType(experiment.forced),
        keep_variants=experiment.keep_variants,
        private=experiment.private,
        dimensions=experiment.dimensions,
        is_open=_is_open(experiment),
    )


def _answers(
    experiment: Experiment,
    ranges: tuple[Range, ...],
    variants: Mapping[str, Mapping[str, FlagValue]],
) -> tuple[Assignment, ...]:
    """Prepare the answers between all bounds, outside of the traffic included."""
    closed = {variant.key for variant in experiment.variants if variant.closed}
    control = experiment.control.key

    def answer(key: str, reason: Reason) -> Assignment:
        return Assignment(
            experiment.key,
            experiment.iteration,
            key,
            reason.counts,
            reason,
            variants[key],
        )

    outside = answer(control, Reason.TRAFFIC)
    answers = [outside]
    for _, _, key in ranges:
        is_closed = key in closed
        inside = (
            answer(control, Reason.CLOSED)
            if is_closed
            else answer(key, Reason.ALLOCATED)
        )
        answers += (inside, outside)
    return tuple(answers)


def _is_open(experiment: Experiment) -> bool:
    has_schedule = experiment.start_at is not None or experiment.end_at is not None
    is_special = bool(experiment.purposes or experiment.forced)
    return experiment.status is Status.RUNNING and not has_schedule and not is_special


def _ranges(variants: tuple[Variant, ...], traffic: float) -> tuple[Range, ...]:
    """Divide the unit interval; raising the traffic only lengthens each range."""
    # Plain additions in order: from Python 3.12 on `sum` rounds in another way.
    total = 0.0
    for variant in variants:
        total += variant.weight
    start, ranges = 0.0, []
    for variant in variants:
        weight = variant.weight / total
        ranges.append((start, start + traffic * weight, variant.key))
        start += weight
    if traffic == 1:
        last = max(i for i, variant in enumerate(variants) if variant.weight > 0)
        # A sum of floats may end just below 1, and a position may land above it.
        ranges[last] = (ranges[last][0], 1.0, ranges[last][2])
        ranges[last + 1 :] = [(1.0, 1.0, key) for _, _, key in ranges[last + 1 :]]
    return tuple(ranges)


def _layer(experiment: Experiment, document: Document) -> LayerRule | None:
    if experiment.layer is None:
        return None
    low, high = experiment.range or (0.0, 1.0)
    salt = document.layer_salt(experiment.layer)
    return LayerRule(experiment.layer, salt, low, high, places(salt))


def _flags(document: Document, rules: Mapping[str, Rule]) -> dict[str, FlagRule]:
    drivers: dict[str, list[Rule]] = {name: [] for name in document.flags}
    for rule in rules.values():
        for name in {name for flags in rule.variants.values() for name in flags}:
            drivers.setdefault(name, []).append(rule)

    def age(rule: Rule) -> tuple[float, str]:
        return (rule.end_at.timestamp() if rule.end_at else 0.0, rule.key)

    return {
        name: FlagRule(
            name=name,
            running=tuple(rule for rule in named if rule.status.is_live),
            concluded=tuple(
                sorted(
                    (rule for rule in named if rule.status.is_over),
                    key=age,
                    reverse=True,
                )
            ),
            default=document.flags[name].default if name in document.flags else None,
        )
        for name, named in drivers.items()
    }


def _attribute_units(rules: Iterable[Rule]) -> tuple[str, ...]:
    named = {kind for rule in rules if rule.counted for kind in rule.unit}
    return tuple(sorted(named - {VISITOR, USER}))


def _stored_units(
    rules: Iterable[Rule],
) -> Mapping[str, frozenset[tuple[str, int]]]:
    runs: dict[str, set[tuple[str, int]]] = {}
    for rule in rules:
        if rule.counted or (rule.status.is_over and rule.keep_variants):
            for kind in rule.unit:
                runs.setdefault(kind, set()).add((rule.key, rule.iteration))
    runs.pop(VISITOR, None)
    return MappingProxyType({kind: frozenset(runs[kind]) for kind in sorted(runs)})
