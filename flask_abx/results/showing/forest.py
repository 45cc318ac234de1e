"""The forest plot: every comparison on one axis, and the marks of a single row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask_abx.experiments.metric import Direction
from flask_abx.results.shapes import Reading, Role
from flask_abx.results.showing.drawing import chart, line, marker, shortened, tag, text
from flask_abx.results.showing.scales import Scale, spread, ticks
from flask_abx.results.telling import wording
from flask_abx.results.telling.words import READINGS, ROLES, Tone, reading_tone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flask_abx.results.shapes import Comparison, MetricResult, Results, Sample

WIDTH = 1040
_START, _END = 420.0, 690.0
_HEAD, _GROUP, _NAME, _ROW, _FOOT = 86, 26, 26, 27, 66
_THICK = 11.0


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison with what belongs to it.

    Attributes:
        place: Of the treatment among the variants, 0 being the control's.
        name: Of the treatment; of both where two treatments are compared.
    """

    metric: MetricResult
    comparison: Comparison
    place: int
    name: str
    baseline: Sample | None
    sample: Sample | None

    @property
    def tone(self) -> Tone:
        """What colour would say of it."""
        return reading_tone(self.comparison.reading, self.metric.direction)

    @property
    def bar_tone(self) -> Tone:
        """The same for its bar: that nothing got worse is no reason for a colour."""
        is_coloured = self.comparison.reading in {
            Reading.BETTER,
            Reading.WORSE,
            Reading.OVER_MARGIN,
        }
        return self.tone if is_coloured else Tone.QUIET

    @property
    def margin(self) -> float | None:
        """Where the margin lies on the axis of relative effects; None without."""
        metric, base = self.metric, self.baseline
        size = metric.margin
        if size is None and metric.margin_abs is not None and base and base.value:
            size = metric.margin_abs / abs(base.value)
        if size is None:
            return None
        return size if metric.direction is Direction.LOWER else -size

    @property
    def extents(self) -> tuple[float, float] | None:
        """What it covers of the axis, as far as that is finite."""
        comparison = self.comparison
        effect, drawn = comparison.relative_effect, comparison.relative_interval
        ends = [] if drawn is None else [drawn.low, drawn.high]
        known = [end for end in (*ends, effect) if end is not None]
        return (min(known), max(known)) if known else None

    def amount(self, sample: Sample | None) -> str:
        """Write what the metric is in one variant."""
        metric = self.metric
        value = None if sample is None else sample.value
        return wording.amount(value, metric.format, metric.currency, metric.decimals)

    @property
    def is_tested(self) -> bool:
        """True where a test drew an interval, even one without a finite end."""
        told = self.comparison
        return told.p_value is not None or told.effect_interval is not None

    @property
    def effect(self) -> str:
        """Write the effect, relative where it can be."""
        comparison, metric = self.comparison, self.metric
        if comparison.relative_effect is not None:
            return wording.change(comparison.relative_effect)
        form = (metric.format, metric.currency, metric.decimals)
        return wording.difference(comparison.effect, *form)

    @property
    def interval(self) -> str:
        """Write the interval, relative where the effect is; empty without a test."""
        comparison, metric = self.comparison, self.metric
        if comparison.effect is None or not self.is_tested:
            return ""
        if comparison.relative_effect is not None:
            return wording.interval(comparison.relative_interval)
        form = (metric.format, metric.currency, metric.decimals)
        return wording.interval(
            comparison.effect_interval, lambda end: wording.difference(end, *form)
        )


def rows_of(results: Results) -> list[Row]:
    """List every comparison: primary, secondary, guardrails, then the dimensions."""
    places = {count.variant: n for n, count in enumerate(results.variants)}
    names = {count.variant: count.name for count in results.variants}
    order = list(Role)
    rows = []
    for metric in sorted(
        results.metrics, key=lambda one: (one.dimension or "", order.index(one.role))
    ):
        samples = {sample.variant: sample for sample in metric.samples}
        rows += [
            Row(
                metric,
                comparison,
                places.get(comparison.variant, 1),
                _name(comparison, names, results.control),
                samples.get(comparison.baseline),
                samples.get(comparison.variant),
            )
            for comparison in metric.comparisons
        ]
    return rows


def _name(comparison: Comparison, names: Mapping[str, str], control: str) -> str:
    variant, baseline = comparison.variant, comparison.baseline
    name = names.get(variant) or variant
    return name if baseline == control else f"{name}/{names.get(baseline) or baseline}"


def scale_of(rows: Sequence[Row], start: float, end: float) -> Scale:
    """Choose the one axis that all rows share."""
    marks = [row.extents for row in rows if row.extents is not None]
    margins = [(0.0, margin) for row in rows if (margin := row.margin) is not None]
    sizes = [(min(pair), max(pair)) for pair in margins]
    effects = [row.comparison.relative_effect or 0.0 for row in rows]
    return Scale(*spread([*marks, *sizes], effects), start, end)


def grid(scale: Scale, top: float, bottom: float) -> str:
    """Draw the lines that all rows share, zero stronger than the others."""
    return "".join(
        line(scale(at), top, scale(at), bottom, "x-grid" if at else "x-zero")
        for at in ticks(scale.low, scale.high, 6)
    )


def axis(scale: Scale, y: float) -> str:
    """Write the numbers of the axis."""
    return "".join(
        text(tick_text(at), scale(at), y, text_anchor="middle", class_="x-soft")
        for at in ticks(scale.low, scale.high, 6)
    )


def tick_text(at: float) -> str:
    """Write a round number of an axis, such as ``+5 %``."""
    return wording.typeset(f"{at * 100:+,.6g} %") if at else "0"


def marks(row: Row, scale: Scale, y: float, reach: float) -> str:
    """Draw one row: margin, interval, the fixed interval inside it, and the effect.

    Args:
        row: What to draw.
        scale: The axis.
        y: The middle of the row.
        reach: How far the row goes up and down from there.
    """
    drawn, effect = row.comparison.relative_interval, row.comparison.relative_effect
    parts = []
    margin = row.margin
    if margin is not None and scale.holds(margin):
        at = scale(margin)
        parts.append(line(at, y - reach, at, y + reach, "x-margin"))
    if drawn is not None and (drawn.low, drawn.high) != (None, None):
        tone = row.bar_tone.value if row.bar_tone is not Tone.QUIET else ""
        parts.append(_bar(drawn.low, drawn.high, scale, y, tone))
        parts.append(_inner(row, scale, y))
    if effect is not None and scale.holds(effect):
        parts.append(marker(row.place, scale(effect), y))
    return "".join(parts)


def _bar(
    low: float | None, high: float | None, scale: Scale, y: float, tone: str
) -> str:
    """Draw an interval; an arrow where it is open or goes on beyond the axis."""
    start = scale.low if low is None else low
    end = scale.high if high is None else high
    if start >= scale.high or end <= scale.low:
        return _arrow(scale, y, tone, is_up=start >= scale.high)
    goes_down = low is None or low < scale.low
    goes_up = high is None or high > scale.high
    left, right = scale(start) + 5 * goes_down, scale(end) - 5 * goes_up
    bar = tag(
        "rect",
        x=left,
        y=y - _THICK / 2,
        width=max(right - left, 2),
        height=_THICK,
        rx=_THICK / 2 if not (goes_down or goes_up) else 2,
        class_=f"x-bar x-{tone}" if tone else "x-bar",
    )
    down = _arrow(scale, y, tone, is_up=False) if goes_down else ""
    return bar + down + (_arrow(scale, y, tone, is_up=True) if goes_up else "")


def _arrow(scale: Scale, y: float, tone: str, *, is_up: bool) -> str:
    """Point beyond an end of the axis."""
    tip, back = (scale.end + 3, -9) if is_up else (scale.start - 3, 9)
    points = f"{tip:g},{y:g} {tip + back:g},{y - 7:g} {tip + back:g},{y + 7:g}"
    return tag(
        "polygon", points=points, class_=f"x-{tone}-arrow" if tone else "x-arrow"
    )


def _inner(row: Row, scale: Scale, y: float) -> str:
    """Draw what a single look would say, as a thin line that has no colour."""
    fixed = row.comparison.fixed_interval
    if fixed is None or fixed.low is None or fixed.high is None:
        return ""
    low, high = max(fixed.low, scale.low), min(fixed.high, scale.high)
    return line(scale(low), y, scale(high), y, "x-inner") if low < high else ""


def forest_svg(results: Results) -> str:
    """Draw every comparison on one axis, as a file that needs nothing else."""
    rows = rows_of(results)
    scale = scale_of(rows, _START, _END)
    control = next((v.name for v in results.variants if v.is_control), results.control)
    parts, y, bands = [], float(_HEAD), ""
    group, metric = "", None
    for row in rows:
        if group_title(row.metric) != group:
            group = group_title(row.metric)
            bands += tag("rect", x=0, y=y, width=WIDTH, height=_GROUP, class_="x-band")
            parts.append(text(group, 20, y + 17, class_="x-strong"))
            y += _GROUP
        if row.metric is not metric:
            metric = row.metric
            parts.append(text(shortened(title_of(metric), 52), 20, y + 19))
            y += _NAME
        parts.append(_row(row, scale, y + _ROW / 2 - 2))
        y += _ROW
    if not rows:
        parts.append(text("There is nothing to compare yet.", 20, y + 24))
        y += 48
    head = _head(results, control, scale if rows else None)
    body = grid(scale, _HEAD, y) if rows else ""
    foot = legend_texts(results)
    notes = "".join(
        text(words, 20, y + 24 + 18 * n, class_="x-soft")
        for n, words in enumerate(foot)
    )
    return chart(
        bands + body + head + "".join(parts) + notes,
        WIDTH,
        y + _FOOT - 18 * (2 - len(foot)),
        title=f"Effects of {results.name or results.experiment}",
        description=description_of(rows),
    )


def _row(row: Row, scale: Scale, y: float) -> str:
    """Draw a row with its numbers on both sides."""
    low = y + 4
    tone = "" if row.bar_tone is Tone.QUIET else f" x-{row.bar_tone.value}-text"
    right = {"text_anchor": "end"}
    reading = READINGS[row.comparison.reading]
    effect, interval = wording.typeset(row.effect), wording.typeset(row.interval)
    return "".join(
        (
            marker(row.place, 30, y),
            text(shortened(row.name, 28), 44, low),
            text(row.amount(row.baseline), 312, low, **right),
            text(row.amount(row.sample), 396, low, **right),
            marks(row, scale, y, _ROW / 2),
            text(effect, 762, low, class_=f"x-strong{tone}", **right),
            text(interval, 778, low, class_="x-soft"),
            text(reading, 920, low, class_=tone.strip() or "x-soft"),
        )
    )


def _head(results: Results, control: str, scale: Scale | None) -> str:
    """Write the title, and over what the columns stand."""
    name = shortened(results.name or results.experiment, 60)
    state = f"against {shortened(control, 30)} · as of {wording.moment(results.as_of)}"
    right = {"text_anchor": "end", "class_": "x-soft"}
    y = _HEAD - 12
    columns = (
        text("control", 312, y, **right)
        + text("variant", 396, y, **right)
        + text("effect", 762, y, **right)
        + text("interval", 778, y, class_="x-soft")
        + text("reading", 920, y, class_="x-soft")
    )
    ruled = columns + axis(scale, y) if scale else ""
    return (
        text(name, 20, 28, class_="x-title")
        + text(state, 20, 48, class_="x-soft")
        + ruled
    )


def group_title(metric: MetricResult) -> str:
    """Write over a group of metrics what they are good for."""
    if metric.dimension is not None:
        return f"By {metric.dimension} (exploratory)"
    title = ROLES[metric.role]
    return f"{title} (exploratory)" if metric.role is Role.SECONDARY else title


def title_of(metric: MetricResult) -> str:
    """Name a metric, and the part of the units that it is broken down to."""
    name = metric.name or metric.metric
    if metric.dimension is None:
        return name
    return f"{name} · {metric.dimension} = {metric.dimension_value or '(none)'}"


def legend_texts(results: Results) -> list[str]:
    """Say what the marks mean."""
    told = ["Thick bar: the interval that decides. Thin line: one fixed look, in grey."]
    if any(m.margin is not None or m.margin_abs is not None for m in results.metrics):
        told.append("Dashed: the margin of a guardrail.")
    return told


def description_of(rows: Sequence[Row]) -> str:
    """Tell in words what is drawn."""
    return " ".join(
        f"{title_of(row.metric)}, {row.name}: "
        f"{', '.join(filter(None, (row.effect, row.interval)))}, "
        f"{READINGS[row.comparison.reading]}."
        for row in rows
    )


def is_held(results: Results) -> bool:
    """Tell whether readings are withheld."""
    return any(
        comparison.reading is Reading.WITHHELD
        for metric in results.metrics
        for comparison in metric.comparisons
    )
