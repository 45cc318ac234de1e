"""What must hold within one experiment and between all of them."""

from __future__ import annotations

from itertools import combinations
from math import isfinite
from typing import TYPE_CHECKING

from flask_abx.assignment.audience import (
    compile_audience,
    segment_names,
    segment_references,
)
from flask_abx.errors import DefinitionError, Fault
from flask_abx.experiments.faults import path_of
from flask_abx.experiments.metric import Direction, Mixed
from flask_abx.experiments.model import Document, Experiment, FlagType

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping

    from flask_abx.experiments.metric import Metric


def check_experiment(experiment: Experiment) -> Iterator[Fault]:
    """Find what is wrong within one experiment whose fields are right."""
    root = path_of("experiments", experiment.key)
    for rule in (_variants, _schedule, _place, _ending, _analysis, _roles):
        yield from rule(experiment, root)
    yield from check_condition(experiment.audience, f"{root}.audience")


def check_condition(condition: Mapping[str, object], path: str) -> Iterator[Fault]:
    """Find what is wrong in an audience or in a segment that is a condition."""
    try:
        compile_audience(condition, {}, path)
    except DefinitionError as error:
        yield from error.faults


def check_document(document: Document) -> Iterator[Fault]:
    """Find what is wrong between the parts of a document."""
    for rule in (_salts, _layers, _flag_types, _flag_clashes, _primaries, _segments):
        yield from rule(document)


def check_rivals(document: Document) -> Iterator[Fault]:
    """Find where live experiments get into each other's way."""
    yield from _layers(document)
    yield from _flag_clashes(document)


def _variants(experiment: Experiment, root: str) -> Iterator[Fault]:
    keys = [variant.key for variant in experiment.variants]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield Fault(f"{root}.variants", f"name {key!r} twice, give each its own key.")
    total = sum(variant.weight for variant in experiment.variants)
    if not isfinite(total):
        yield Fault(
            f"{root}.variants",
            "have weights that add up to more than a number holds, write smaller ones.",
        )
    if total <= 0:
        yield Fault(
            f"{root}.variants",
            "have weights that add up to 0, give at least one a positive weight.",
        )
    if sum(variant.control for variant in experiment.variants) > 1:
        yield Fault(f"{root}.variants", "mark more than one control, mark one.")
    for unit, key in experiment.forced.items():
        if key not in keys:
            yield Fault(f"{root}.forced.{unit}", _no_variant(key, keys))
    if experiment.winner is not None and experiment.winner not in keys:
        yield Fault(f"{root}.winner", _no_variant(experiment.winner, keys))


def _no_variant(key: str, keys: list[str]) -> str:
    named = ", ".join(repr(each) for each in keys)
    return f"is {key!r}, which is no variant; the variants are {named}."


def _schedule(experiment: Experiment, root: str) -> Iterator[Fault]:
    start, end = experiment.start_at, experiment.end_at
    if start is not None and end is not None and end <= start:
        yield Fault(
            f"{root}.end_at",
            f"is {end.isoformat()}, must be later than start_at {start.isoformat()}.",
        )


def _place(experiment: Experiment, root: str) -> Iterator[Fault]:
    if experiment.range is None:
        return
    low, high = experiment.range
    if low >= high:
        yield Fault(
            f"{root}.range",
            f"is {[low, high]}, must go from a lower to a higher number.",
        )
    if experiment.layer is None:
        yield Fault(
            f"{root}.range", "stands without a layer, name the layer it is a part of."
        )


def _ending(experiment: Experiment, root: str) -> Iterator[Fault]:
    if experiment.status.is_over:
        return
    for field in ("winner", "outcome"):
        if getattr(experiment, field) is not None:
            yield Fault(
                f"{root}.{field}",
                f"is given while the status is '{experiment.status}', "
                'set status = "concluded" or leave it out.',
            )


def _analysis(experiment: Experiment, root: str) -> Iterator[Fault]:
    weights = {variant.weight for variant in experiment.variants}
    if experiment.analysis.mixed is Mixed.EXCLUDE and len(weights) > 1:
        yield Fault(
            f"{root}.analysis.mixed",
            "is 'exclude', which biases uneven weights; write 'first' or even weights.",
        )


def _roles(experiment: Experiment, root: str) -> Iterator[Fault]:
    roles = experiment.metrics
    guarded = [guardrail.metric for guardrail in roles.guardrail]
    owners: dict[str, str] = {}
    for role, names in (
        ("primary", roles.primary),
        ("secondary", roles.secondary),
        ("guardrail", guarded),
    ):
        for name in names:
            if name in owners:
                yield Fault(
                    f"{root}.metrics.{role}",
                    f"names {name!r}, which {owners[name]} names already; give each "
                    "metric one role, and name it there once.",
                )
            owners.setdefault(name, role)


def _salts(document: Document) -> Iterator[Fault]:
    owners: dict[str, str] = {}
    for key, experiment in document.experiments.items():
        yield from _claim(owners, experiment.effective_salt, f"experiments.{key}")
    used = (experiment.layer for experiment in document.experiments.values())
    for key in dict.fromkeys([*document.layers, *filter(None, used)]):
        yield from _claim(owners, document.layer_salt(key), f"layers.{key}")


def _claim(owners: dict[str, str], salt: str, owner: str) -> Iterator[Fault]:
    other = owners.setdefault(salt, owner)
    if other != owner:
        yield Fault(
            f"{owner}.salt",
            f"is {salt!r}, which {other} has too; give each its own salt.",
        )


def _rivals(
    document: Document, groups: Callable[[Experiment], Iterable[str]]
) -> Iterator[tuple[str, Experiment, Experiment]]:
    """Pair the live experiments that share a group and a stretch of time."""
    members: dict[str, list[Experiment]] = {}
    for experiment in document.experiments.values():
        if experiment.status.is_live:
            for group in groups(experiment):
                members.setdefault(group, []).append(experiment)
    for group, experiments in members.items():
        for one, other in combinations(experiments, 2):
            if _meet_in_time(one, other):
                yield group, one, other


def _meet_in_time(one: Experiment, other: Experiment) -> bool:
    for first, second in ((one, other), (other, one)):
        if first.end_at and second.start_at and first.end_at <= second.start_at:
            return False
    return True


def _ranges_overlap(one: Experiment, other: Experiment) -> bool:
    low, high = one.range or (0.0, 1.0)
    other_low, other_high = other.range or (0.0, 1.0)
    return low < other_high and other_low < high


def _layers(document: Document) -> Iterator[Fault]:
    for layer, one, other in _rivals(document, _layer_of):
        path = f"experiments.{other.key}"
        if _ranges_overlap(one, other):
            yield Fault(
                f"{path}.range",
                f"overlaps the range of {one.key!r} in layer {layer!r}, "
                "give each a part of its own.",
            )
        if one.unit != other.unit:
            yield Fault(
                f"{path}.unit",
                f"is {list(other.unit)}, but {one.key!r} in layer {layer!r} has "
                f"{list(one.unit)}; a layer keeps apart only units of one kind.",
            )


def _layer_of(experiment: Experiment) -> tuple[str, ...]:
    return () if experiment.layer is None else (experiment.layer,)


def _flag_types(document: Document) -> Iterator[Fault]:
    types = {name: flag.type for name, flag in document.flags.items()}
    for name, flag in document.flags.items():
        if flag.default is not None and not flag.type.accepts(flag.default):
            yield _wrong_type(f"flags.{name}.default", flag.default, flag.type)
    for key, experiment in document.experiments.items():
        for number, variant in enumerate(experiment.variants):
            for name, value in variant.flags.items():
                wanted = types.setdefault(name, FlagType.of(value))
                if wanted is FlagType.INTEGER and name not in document.flags:
                    types[name] = wanted = _widened(wanted, value)
                if not wanted.accepts(value):
                    path = path_of(
                        "experiments", key, "variants", number, "flags", name
                    )
                    yield _wrong_type(path, value, wanted)


def _widened(wanted: FlagType, value: object) -> FlagType:
    found = FlagType.of(value)
    return found if found is FlagType.FLOAT else wanted


def _wrong_type(path: str, value: object, wanted: FlagType) -> Fault:
    return Fault(path, f"is {value!r}, but the type of the flag is {wanted}.")


def _flag_clashes(document: Document) -> Iterator[Fault]:
    for name, one, other in _rivals(document, _flags_of):
        if one.layer is None or one.layer != other.layer:
            yield Fault(
                f"experiments.{other.key}.variants",
                f"drive the flag {name!r}, which {one.key!r} drives too; "
                "put both into one layer, or use another flag.",
            )


def _flags_of(experiment: Experiment) -> set[str]:
    return {name for variant in experiment.variants for name in variant.flags}


def _primaries(document: Document) -> Iterator[Fault]:
    known: Mapping[str, Metric] = document.metrics
    for key, experiment in document.experiments.items():
        for name in experiment.metrics.primary:
            if name in known and known[name].direction is Direction.NONE:
                yield Fault(
                    f"experiments.{key}.metrics.primary",
                    f"names {name!r}, whose direction is 'none'; "
                    "say which way is good, or make it secondary.",
                )


def _segments(document: Document) -> Iterator[Fault]:
    named: dict[str, frozenset[str]] = {}
    for key, segment in document.segments.items():
        if isinstance(segment, dict):
            yield from check_condition(segment, f"segments.{key}")
            named[key] = segment_names(segment)
    for key in named:
        if key in reachable(key, named):
            yield Fault(f"segments.{key}", "refers to itself, break the circle.")
    for place, operator, name in sorted(set(references(document))):
        if name not in document.segments:
            continue
        is_condition = isinstance(document.segments[name], dict)
        if operator == "$segment" and not is_condition:
            yield Fault(
                place,
                f"asks $segment of {name!r}, which is a list of ids; "
                f'write "ATTRIBUTE": {{"$inGroup": "{name}"}}.',
            )
        if operator != "$segment" and is_condition:
            yield Fault(
                place,
                f"asks {operator} of {name!r}, which is a condition; "
                f'write "$segment": "{name}".',
            )


def references(document: Document) -> Iterator[tuple[str, str, str]]:
    """Find where segments are named: the place, the operator and the name."""
    for key, experiment in document.experiments.items():
        for operator, name in segment_references(experiment.audience):
            yield f"experiments.{key}.audience", operator, name
    for key, segment in document.segments.items():
        if isinstance(segment, dict):
            for operator, name in segment_references(segment):
                yield f"segments.{key}", operator, name


def reachable(key: str, named: Mapping[str, frozenset[str]]) -> set[str]:
    """Collect the segments that a segment refers to, through others too.

    Args:
        key: The segment to begin with.
        named: The names that each segment refers to by itself.
    """
    seen: set[str] = set()
    waiting = list(named[key])
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(named.get(name, ()))
    return seen


def unknown_segments(
    document: Document, registered: Container[str]
) -> Iterator[tuple[str, str]]:
    """Find the segments that are named and nothing defines, each with its place."""
    named = {(name, place) for place, _, name in references(document)}
    for name, place in sorted(named):
        if name not in document.segments and name not in registered:
            yield name, place
