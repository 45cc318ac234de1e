"""Results as text for a terminal, in at most eighty columns."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

from flask_abx.results.shapes import Level, Reading, VerdictCode
from flask_abx.results.showing.bars import Axis
from flask_abx.results.showing.forest import rows_of
from flask_abx.results.telling import wording, words
from flask_abx.results.telling.words import Tone

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from flask_abx.results.shapes import HealthCheck, Results
    from flask_abx.results.showing.forest import Row

WIDTH = 80
_LEAST_AXIS = 18
_LONGEST_KEY = 24
_DAY = timedelta(days=1)
_WAITING = frozenset({Reading.TOO_EARLY, Reading.FAILED})


@dataclass(frozen=True, slots=True)
class Span:
    """Some text, and what a colour would say of it."""

    text: str
    tone: Tone | None = None


Line: TypeAlias = tuple[Span, ...]


def text(results: Results, *, is_detailed: bool = False) -> str:
    """Write results as a terminal without colours shows them."""
    return plain(lines(results, is_detailed=is_detailed))


def plain(written: Iterable[Line]) -> str:
    """Write lines without colours."""
    return "\n".join("".join(span.text for span in line).rstrip() for line in written)


def lines(results: Results, *, is_detailed: bool = False) -> Iterator[Line]:
    """Write results line by line.

    Args:
        results: What to tell.
        is_detailed: True to tell the figures of each comparison too.
    """
    label = _label_width(results)
    yield from _head(results, label)
    yield from _verdict(results, label)
    yield from health_lines(results.health, label)
    rows = rows_of(results) if any(each.units for each in results.variants) else []
    sections = [
        *_by_role([row for row in rows if row.metric.dimension is None], label),
        *_by_value([row for row in rows if row.metric.dimension is not None]),
    ]
    yield from _table(sections, results.control)
    if is_detailed:
        for row in rows:
            yield from _wrapped(_detail(results, row), 2)
    yield from _reasons(rows)
    for place, told in enumerate(results.notes):
        yield from _labelled("" if place else "Notes", label, told)


def progress(results: Results) -> list[str]:
    """Tell how far an experiment is, in parts."""
    state, plan = results.status, results.plan
    day = day_of(results)
    if day is not None and results.ended_at is None:
        total = plan.days if plan is not None and plan.is_valid else None
        state += f", day {day}" + (f" of {total}" if total else "")
    elif day is not None:
        state += f" after {wording.plural(day, 'day')}"
    units = sum(each.units for each in results.variants)
    told = wording.plural(units, results.unit_type)
    if plan is not None and plan.is_valid and plan.units and not plan.met_at:
        told = (
            f"{wording.count(units)} of {wording.plural(plan.units, results.unit_type)}"
        )
    iteration = [f"iteration {results.iteration}"] if results.iteration > 1 else []
    look = f"as of {wording.moment(results.as_of)}, look {wording.count(results.looks)}"
    return [state, *iteration, told, look]


def day_of(results: Results) -> int | None:
    """Count the day that an experiment is on, or how many it took, begun ones too."""
    if results.started_at is None:
        return None
    if results.ended_at is None:
        # The first day is day 1 from its first second.
        return max((results.as_of - results.started_at) // _DAY + 1, 1)
    return max(-((results.started_at - results.ended_at) // _DAY), 1)


def verdict_word(code: VerdictCode) -> str:
    """Write a verdict as the word that stands for it on a terminal."""
    return code.value.replace("_", " ").upper()


def health_text(checks: Sequence[HealthCheck]) -> str:
    """Count the checks of each level, the bad ones first."""
    found = Counter(check.level for check in checks)
    if not found:
        return "not checked yet"
    parts = []
    for level in (Level.ERROR, Level.WARN, Level.OK, Level.SKIPPED):
        count, word = found[level], words.LEVELS[level]
        if count:
            is_plural = count > 1 and level in {Level.ERROR, Level.WARN}
            parts.append(f"{count} {wording.things(word) if is_plural else word}")
    return ", ".join(parts)


def health_lines(checks: Sequence[HealthCheck], label: int) -> Iterator[Line]:
    """Tell the checks: those that are not fine each with its way out."""
    yield from _labelled("Health", label, health_text(checks))
    order = (Level.ERROR, Level.WARN)
    for check in sorted(
        (each for each in checks if each.level in order),
        key=lambda each: order.index(each.level),
    ):
        yield from check_lines(check, label)


def check_lines(check: HealthCheck, label: int) -> Iterator[Line]:
    """Tell one check: its level, what was found, and the way out."""
    word, tone = words.LEVELS[check.level], words.LEVEL_TONES[check.level]
    title = words.CHECKS[check.id]
    yield from _labelled(word, label, f"{title}: {check.sentence}", tone)
    if check.way_out and check.level in {Level.ERROR, Level.WARN}:
        yield from _wrapped(f"-> {check.way_out}", label, hang=3)


def cut(told: str, most: int) -> str:
    """Put a text on one line, and cut what there is no room for."""
    told = " ".join(told.splitlines())
    return told if len(told) <= most else f"{told[: most - 1]}…"


def _label_width(results: Results) -> int:
    names = [verdict_word(results.verdict.code), "warning"]
    if len(results.experiment) <= _LONGEST_KEY:
        names.append(results.experiment)
    return max(map(len, names)) + 2


def _head(results: Results, label: int) -> Iterator[Line]:
    key, room = results.experiment, WIDTH - label
    pieces = [""]
    for part in progress(results):
        longer = f"{pieces[-1]} · {part}" if pieces[-1] else part
        if len(longer) <= room:
            pieces[-1] = longer
        else:
            pieces.append(part)
    if len(key) > _LONGEST_KEY:
        yield (Span(cut(key, WIDTH)),)
        key = ""
    for piece in pieces:
        yield (Span(cut(key, label).ljust(label)), Span(cut(piece, room)))
        key = ""


def _verdict(results: Results, label: int) -> Iterator[Line]:
    verdict = results.verdict
    tone = words.VERDICT_TONES[verdict.code]
    yield from _labelled(verdict_word(verdict.code), label, verdict.sentence, tone)
    first, at = verdict.first_code, verdict.first_at
    since = ""
    if first is not None and at is not None:
        is_same = first is verdict.code
        since = "decided" if is_same else f"was {verdict_word(first)} on"
        since = f"{since} {wording.day(at)}; "
    if verdict.next_step:
        yield from _next(since, verdict.next_step, label)
    elif since:
        yield from _wrapped(since.rstrip("; "), label)


def _next(since: str, step: str, label: int) -> Iterator[Line]:
    """Tell the next step; a command that needs a second line is pasted as one."""
    first, *others = step.splitlines()
    lead = "next: "
    is_later = " --log " in first and " --html " not in first
    if first.endswith("--refresh") or is_later:
        lead = "let it run; next: "
    if len(f"{since}{lead}{first}") > WIDTH - label and since:
        yield from _wrapped(since.rstrip("; "), label)
        since = ""
    whole = f"{since}{lead}{first}"
    broken = textwrap.wrap(
        whole,
        WIDTH - label - 2,
        subsequent_indent="  ",
        break_on_hyphens=False,
    )
    is_one = len(whole) <= WIDTH - label
    end = " \\" if first.startswith("flask ") else ""
    told = [whole] if is_one else [f"{x}{end}" for x in broken[:-1]]
    told += [] if is_one else broken[-1:]
    for each in told:
        yield Span(" " * label), Span(each)
    for each in others:
        yield from _wrapped(each, label, hang=2)


def _labelled(
    label: str, width: int, told: str, tone: Tone | None = None
) -> Iterator[Line]:
    first, *others = _filled(told, WIDTH - width) or [""]
    yield Span(label, tone), Span(" " * (width - len(label))), Span(first)
    for other in others:
        yield Span(" " * width), Span(other)


def _wrapped(told: str, indent: int, *, hang: int = 0) -> Iterator[Line]:
    for place, each in enumerate(_filled(told, WIDTH - indent - hang)):
        yield (Span(" " * (indent + hang * (place > 0)) + each),)


def _filled(told: str, width: int) -> list[str]:
    """Break a text into lines, though never between a number and its percent sign."""
    joined = told.replace(" %", "\N{NO-BREAK SPACE}%")
    found = textwrap.wrap(joined, width, break_on_hyphens=False)
    return [each.replace("\N{NO-BREAK SPACE}", " ") for each in found]


@dataclass(frozen=True, slots=True)
class _Section:
    """Rows under one heading, each with what stands before its numbers."""

    heading: str
    rows: Sequence[Row]
    labels: Sequence[str]


def _by_role(rows: Sequence[Row], label: int) -> Iterator[_Section]:
    roles = list(dict.fromkeys(row.metric.role for row in rows))
    for role in roles:
        own = [row for row in rows if row.metric.role is role]
        if len(roles) == 1:
            width = max(label, *(len(row.metric.metric) + 2 for row in own))
            names = [f"{row.metric.metric:<{width}}{role}" for row in own]
            yield _Section("", own, names)
            continue
        is_told = all(row.metric.exploratory for row in own)
        heading = words.ROLES[role] + (" (exploratory)" if is_told else "")
        yield _Section(heading, own, [row.metric.metric for row in own])


def _by_value(rows: Sequence[Row]) -> Iterator[_Section]:
    for metric, dimension in dict.fromkeys(
        (row.metric.metric, row.metric.dimension) for row in rows
    ):
        own = [
            row
            for row in rows
            if (row.metric.metric, row.metric.dimension) == (metric, dimension)
        ]
        heading = f"{metric} by {dimension} (exploratory: decide nothing on it)"
        yield _Section(
            heading, own, [row.metric.dimension_value or "(unknown)" for row in own]
        )


def _table(sections: Sequence[_Section], base: str) -> Iterator[Line]:
    rows = [row for section in sections for row in section.rows]
    if not rows:
        return
    indent = 2 if any(section.heading for section in sections) else 0
    variants = [variant_of(row, base) for row in rows]
    values = [row.amount(row.baseline) for row in rows]
    others = [row.amount(row.sample) for row in rows]
    variant = min(max(map(len, variants)), 12)
    control = max(len("control"), *map(len, values))
    treatment = max(len("variant"), *map(len, others))
    reading = max(len(_reading(row)) for row in rows)
    rest = indent + variant + control + treatment + reading + 10
    longest = max(len(name) for section in sections for name in section.labels)
    name = min(longest, max(8, WIDTH - rest - _LEAST_AXIS))
    axis = Axis.of(rows, WIDTH - rest - name)
    start = indent + name + 2 + variant + 2
    heads = f"{'control':<{control}}  {'variant':<{treatment}}  "
    numbers = axis.numbers() if any(axis.bar(row) for row in rows) else ""
    yield (Span(f"{' ' * start}{heads}{numbers}"),)
    for section in sections:
        if section.heading:
            yield (Span(cut(section.heading, WIDTH)),)
        before = ("", "")
        for row, label in zip(section.rows, section.labels, strict=True):
            value = row.amount(row.baseline)
            now = (label, f"{value}{row.comparison.baseline}")
            shown = "" if label == before[0] else cut(label, name)
            value = "" if now == before else value
            before = now
            yield (
                Span(f"{' ' * indent}{shown:<{name}}  "),
                Span(f"{cut(variant_of(row, base), variant):<{variant}}  "),
                Span(f"{value:<{control}}  {row.amount(row.sample):<{treatment}}  "),
                Span(f"{_drawn(axis, row):<{axis.width}}  "),
                Span(_reading(row), row.tone),
            )
    yield from _legend(rows, axis)


def variant_of(row: Row, control: str) -> str:
    """Name a treatment, and the other one where two are compared."""
    variant, baseline = row.comparison.variant, row.comparison.baseline
    return variant if baseline == control else f"{variant}/{baseline}"


def _reading(row: Row) -> str:
    reading = row.comparison.reading
    return "" if reading is Reading.NONE else words.READINGS[reading]


def _drawn(axis: Axis, row: Row) -> str:
    bar = axis.bar(row)
    if bar is not None:
        return bar
    if row.comparison.effect is None:
        return ""
    if not row.interval:
        return cut(row.effect, axis.width)
    told = f"{row.effect} ({row.interval})"
    short = told if len(told) <= axis.width else row.interval
    return short if len(short) <= axis.width else cut(row.effect, axis.width)


def _legend(rows: Sequence[Row], axis: Axis) -> Iterator[Line]:
    bars = "".join(axis.bar(row) or "" for row in rows)
    if bars:
        parts = ["o measured change", "[=] where it may lie", "| no change"]
        parts += [": margin"] if ":" in bars else []
        parts += ["< > goes on"] if "<" in bars or ">" in bars else []
        yield (Span(cut(", ".join(parts), WIDTH), Tone.QUIET),)


def _detail(results: Results, row: Row) -> str:
    """Tell the figures of one comparison."""
    told, metric = row.comparison, row.metric
    form = (metric.format, metric.currency, metric.decimals)
    of = f" of {metric.dimension_value}" if metric.dimension_value else ""
    parts = [f"{told.variant} against {told.baseline}{of}: {row.effect}"]
    drawn = told.relative_interval or told.effect_interval
    if drawn is not None:
        parts[0] += f" ({row.interval})"
        parts.append(f"{words.BASES[told.basis]} at {wording.level(drawn.level)}")
    if told.relative_effect is not None:
        parts.append(f"absolute {wording.difference(told.effect, *form)}")
    if told.p_value is not None:
        adjusted = wording.p_value(told.p_adjusted)
        parts.append(f"p {wording.p_value(told.p_value)}, adjusted {adjusted}")
    if row.sample is not None and row.baseline is not None:
        units = wording.plural(row.baseline.units, results.unit_type)
        parts.append(f"{wording.count(row.sample.units)} against {units}")
        waiting = row.sample.immature + row.baseline.immature
        if waiting:
            parts.append(f"{wording.count(waiting)} more whose window is open")
    if told.chance_to_beat is not None:
        chance = f"chance to beat {wording.percent(told.chance_to_beat, 1)}"
        loss = wording.difference(told.expected_loss, *form)
        parts.append(f"{chance}, expected loss {loss}, neither safe against peeking")
    if told.units_needed:
        parts.append(f"about {wording.count(told.units_needed)} more needed")
    if told.reason and told.reading not in _WAITING:
        parts.append(words.REASONS.get(told.reason, told.reason).rstrip("."))
    return f"{'; '.join(parts)}."


def _reasons(rows: Sequence[Row]) -> Iterator[Line]:
    """Tell why there is no reading, once for each reason."""
    told: dict[str, list[str]] = {}
    for row in rows:
        comparison = row.comparison
        is_asked = comparison.reading in _WAITING
        if is_asked and comparison.reason and row.metric.dimension is None:
            why = words.REASONS.get(comparison.reason, comparison.reason).rstrip(".")
            name = f"{row.metric.metric} {comparison.variant}"
            word = words.READINGS[comparison.reading]
            told.setdefault(f"{word}, {why}.", []).append(name)
    for why, names in told.items():
        yield from _wrapped(f"{', '.join(names)}: {why}", 0)
