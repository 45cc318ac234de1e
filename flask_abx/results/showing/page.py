"""The report as one HTML page that needs nothing else, and the list of reports."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup

from flask_abx.experiments.metric import Direction, Format
from flask_abx.results.charts import effect_svg, split_bar, split_svg
from flask_abx.results.report import day_of
from flask_abx.results.shapes import CheckId, Level, Role
from flask_abx.results.showing.drawing import hue, letter, page_style
from flask_abx.results.showing.forest import (
    axis,
    grid,
    group_title,
    is_held,
    legend_texts,
    marks,
    rows_of,
    scale_of,
    title_of,
)
from flask_abx.results.showing.trend import NARROW, WIDE, lines_of
from flask_abx.results.telling import wording, words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jinja2 import Environment, Template

    from flask_abx.results.shapes import HealthCheck, MetricResult, Results, Sample
    from flask_abx.results.showing.forest import Row
    from flask_abx.results.showing.scales import Scale

#: Checks whose number is a p-value, and those whose number is a share.
_CHANCES = {CheckId.SRM, CheckId.SRM_DIMENSION, CheckId.PRE_PERIOD}
_LEAST_CHANCE = 0.001
_SHARES = {CheckId.MIXED_UNITS, CheckId.ID_JOIN, CheckId.OUTLIER}
_ROW_WIDTH, _ROW_HEIGHT = 300.0, 34.0


def page(results: Results) -> str:
    """Write the report of one experiment: no script, nothing from elsewhere."""
    rows = rows_of(results)
    scale = scale_of(rows, 6, _ROW_WIDTH - 6)
    primaries = [m for m in results.metrics if _is_drawn(results, m)]
    places = {count.variant: n for n, count in enumerate(results.variants)}
    return _template("report.html").render(
        results=results,
        style=_drawn(page_style()),
        groups=_groups(rows),
        axis=_drawn(_axis(scale)),
        marks=lambda row: _drawn(_row(row, scale)),
        legend=legend_texts(results),
        trends=[_trend(results, metric) for metric in primaries],
        split=_drawn(split_svg(results, width=400, is_alone=False)),
        lead=_lead(results, rows),
        places=places,
        names={one.variant: one.name or one.variant for one in results.variants},
        units=sum(count.units for count in results.variants),
        errors=[one for one in results.health if one.level is Level.ERROR],
        levels={
            level: sum(one.level is level for one in results.health) for level in Level
        },
        is_held=is_held(results),
        days=day_of(results),
        elapsed=_elapsed(results),
        bases=_bases(rows),
    )


def list_page(
    results: Sequence[Results],
    without: Sequence[tuple[str, str, str]] = (),
    *,
    base: str = "",
) -> str:
    """Write the list of experiments, each linked to its report.

    Args:
        results: The last of each experiment that has any.
        without: The others: key, status, and a sentence on why there are none.
        base: What stands before the key in a link, such as ``/abx/``; a link is
            relative without it.
    """
    rows = [
        {
            "results": one,
            "lead": _lead(one, rows_of(one)),
            "split": _drawn(split_bar(one.variants)),
            "units": sum(count.units for count in one.variants),
            "days": day_of(one),
        }
        for one in results
    ]
    return _template("list.html").render(
        rows=rows, without=without, base=base, style=_drawn(page_style())
    )


def style_hash() -> str:
    """Name the style of the pages, for a Content-Security-Policy that admits it."""
    digest = sha256(page_style().encode()).digest()
    return f"'sha256-{b64encode(digest).decode()}'"


def _groups(rows: Sequence[Row]) -> list[tuple[str, list[list[Row]]]]:
    """Put the rows together by what they are good for, and then by metric."""
    groups: list[tuple[str, list[list[Row]]]] = []
    for row in rows:
        title = group_title(row.metric)
        if not groups or groups[-1][0] != title:
            groups.append((title, []))
        metrics = groups[-1][1]
        if not metrics or metrics[-1][0].metric is not row.metric:
            metrics.append([])
        metrics[-1].append(row)
    return groups


def _lead(results: Results, rows: Sequence[Row]) -> Row | None:
    """Choose the row that is told first: the primary one that the verdict speaks of."""
    primary = [
        row
        for row in rows
        if row.metric.role is Role.PRIMARY
        and row.metric.dimension is None
        and row.comparison.baseline == results.control
    ]
    named = [row for row in primary if row.comparison.variant in _spoken_of(results)]
    decided = [row for row in named if row.bar_tone is not words.Tone.QUIET]
    chosen = decided or named or primary
    of_first = [row for row in chosen if row.metric is chosen[0].metric]
    return max(of_first, key=_goodness, default=None)


def _spoken_of(results: Results) -> tuple[str, ...]:
    verdict = results.verdict
    return (verdict.best,) if verdict.best else verdict.variants


def _goodness(row: Row) -> float:
    effect = row.comparison.relative_effect or 0.0
    return -effect if row.metric.direction is Direction.LOWER else effect


def _trend(results: Results, metric: MetricResult) -> dict[str, Any]:
    """Draw one metric over time, for wide and for narrow screens, with its numbers."""
    wide, narrow = (
        _drawn(effect_svg(results, metric.metric, width=width, is_alone=False))
        for width in (WIDE, NARROW)
    )
    lines = lines_of(results, metric.metric)
    points = [point for line in lines.values() for point in line]
    points.sort(key=lambda point: point.day, reverse=True)
    return {
        "title": title_of(metric),
        "wide": wide,
        "narrow": narrow,
        "points": points,
    }


def _is_drawn(results: Results, metric: MetricResult) -> bool:
    is_asked = metric.role is Role.PRIMARY and metric.dimension is None
    return is_asked and bool(lines_of(results, metric.metric))


def _row(row: Row, scale: Scale) -> str:
    """Draw one row of the table; the cells beside it hold the numbers."""
    middle = _ROW_HEIGHT / 2
    inner = grid(scale, 0, _ROW_HEIGHT) + marks(row, scale, middle, middle)
    return _hidden(inner, _ROW_HEIGHT)


def _axis(scale: Scale) -> str:
    return _hidden(axis(scale, 14), 18)


def _hidden(inner: str, height: float) -> str:
    """Frame marks that say nothing that the cells do not say."""
    return (
        f'<svg class="abx-chart" viewBox="0 0 {_ROW_WIDTH:g} {height:g}"'
        f' aria-hidden="true" focusable="false">{inner}</svg>'
    )


def _about(metric: MetricResult) -> str:
    """Tell how a metric is made, as far as that is not plain from its name."""
    told = [metric.kind.value, words.DIRECTIONS[metric.direction]]
    if metric.window is not None:
        told.append(f"window {wording.span(metric.window)}")
    if metric.delay:
        told.append(f"after {wording.span(metric.delay)}")
    if metric.margin is not None:
        told.append(f"margin {wording.percent(metric.margin, 1)}")
    if metric.margin_abs is not None:
        told.append(f"margin {_amount(metric.margin_abs, metric)}")
    if metric.cap is not None:
        told.append(f"capped at {_amount(metric.cap, metric)}")
    if metric.variance_reduction is not None:
        told.append(f"CUPED -{wording.percent(metric.variance_reduction, 0)} variance")
    is_told = metric.role is Role.SECONDARY or metric.dimension is not None
    if metric.exploratory and not is_told:
        told.append("exploratory")
    return wording.typeset(" · ".join(told))


def _raw(metric: MetricResult, sample: Sample | None) -> str:
    """Tell what a value was divided from, such as ``10.1k / 109k``."""
    if sample is None or sample.value is None:
        return ""
    is_money = metric.format == Format.CURRENCY
    total = wording.compact(sample.total, metric.currency if is_money else None)
    of = sample.units if sample.denominator is None else sample.denominator
    return wording.typeset(f"{total} / {wording.compact(of)}")


def _measured(check: HealthCheck, number: float) -> str:
    """Write the number of a check, or its limit."""
    if check.id in _CHANCES and number < _LEAST_CHANCE:
        text = wording.p_value(number)
    elif check.id in _SHARES:
        text = f"{number * 100:.3g} %"
    else:
        text = f"{number:,.0f}" if abs(number) >= 1_000 else f"{number:.4g}"
    return wording.typeset(text)


def _bases(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Tell which tests drew the intervals, at which level and tuned for how many."""
    told: dict[str, None] = {}
    for row in rows:
        one = row.comparison
        drawn = one.relative_interval or one.effect_interval
        if drawn is not None:
            sided = "" if None not in {drawn.low, drawn.high} else " one-sided"
            told[
                f"{words.BASES[one.basis]},{sided} {wording.level(drawn.level)}, "
                f"N* {wording.count(one.n_star)}"
            ] = None
    return [
        ("" if n else "Intervals", wording.typeset(one)) for n, one in enumerate(told)
    ]


def _elapsed(results: Results) -> float:
    """Count the days that have passed, a day at least."""
    if results.started_at is None:
        return 1.0
    ended = results.ended_at or results.as_of
    return max((ended - results.started_at).total_seconds() / 86_400, 1.0)


def _drawn(markup: str) -> Markup:
    """Let markup through that was made here, where every name is escaped."""
    return Markup(markup)  # noqa: S704 - `drawing` has escaped what is not ours


def _set(write: Callable[..., str]) -> Callable[..., str]:
    """Make a filter that sets what it writes as print does."""

    def written(*told: Any, **options: Any) -> str:
        text = write(*told, **options)
        return "\N{EN DASH}" if text == wording.NOTHING else wording.typeset(text)

    return written


def _amount(value: float | None, metric: MetricResult) -> str:
    form = (metric.format, metric.currency, metric.decimals)
    return _set(wording.amount)(value, *form)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader

    made = Environment(
        loader=PackageLoader("flask_abx.results.showing"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "amount": _amount,
        "change": _set(wording.change),
        "count": wording.count,
        "day": wording.day,
        "interval": _set(wording.interval),
        "level": _set(wording.level),
        "link": lambda key: quote(str(key), safe=""),
        "moment": wording.moment,
        "number": _set(wording.amount),
        "p": _set(wording.p_value),
        "percent": _set(wording.percent),
        "plain": lambda number: f"{number:g}",
        "plural": wording.plural,
        "span": wording.span,
        "things": wording.things,
        "typeset": _set(str),
    }
    made.globals |= {
        "about": _about,
        "hue": hue,
        "letter": letter,
        "measured": _measured,
        "raw": _raw,
        "title_of": title_of,
        "words": words,
    }
    return made


def _template(name: str) -> Template:
    return _environment().get_template(name)
