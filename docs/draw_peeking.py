"""Draws how often tests err that are looked at every day: docs/_static/peeking.svg.

Run it from the root of the repository: ``python docs/draw_peeking.py``.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from flask_abx.results.figures.normal import beyond
from flask_abx.results.sequential import anytime_multiplier
from flask_abx.results.showing.drawing import chart, line, marker, tag, text
from flask_abx.results.showing.scales import Scale
from flask_abx.results.telling.wording import count, percent, typeset

PICTURE = Path(__file__).parent / "_static" / "peeking.svg"
ALPHA, LOOKS, UNITS, RUNS = 0.05, 20, 2_000, 200_000
#: Where our test is narrowest: half-way.
N_STAR = 20_000
_WIDTH, _HEIGHT, _TOP, _BOTTOM, _LEFT, _RIGHT = 760, 330, 66, 48, 56, 150
_ORDINARY, _OURS = 5, 1


@dataclass(frozen=True, slots=True)
class Errors:
    """The runs without any difference in which a test had found one, by look."""

    ordinary: tuple[int, ...]
    ours: tuple[int, ...]


def simulate(runs: int = RUNS, seed: int = 2) -> Errors:
    """Let experiments without any difference run, and look at each twenty times.

    What a look adds to the difference of two variants is normal, whatever the metric
    is; so the difference over its standard error is a sum of normals over a root.
    """
    chance = random.Random(seed)  # noqa: S311 - meant to be repeatable
    fixed = beyond(ALPHA / 2)
    any_time = [
        anytime_multiplier(look * UNITS, N_STAR, ALPHA) for look in range(1, LOOKS + 1)
    ]
    ordinary, ours = [0] * LOOKS, [0] * LOOKS
    for _ in range(runs):
        total, is_fooled = 0.0, False
        for look, limit in enumerate(any_time, 1):
            total += chance.gauss(0, 1)
            t = abs(total) / look**0.5
            if t > fixed and not is_fooled:
                ordinary[look - 1] += 1
                is_fooled = True
            if t > limit:
                ours[look - 1] += 1
                break
    return Errors(_running(ordinary), _running(ours))


def _running(counts: list[int]) -> tuple[int, ...]:
    return tuple(sum(counts[: place + 1]) for place in range(len(counts)))


def draw(errors: Errors, runs: int = RUNS) -> str:
    """Draw both counts as shares of the runs."""
    across = Scale(1, LOOKS, _LEFT, _WIDTH - _RIGHT)
    upward = Scale(0, 0.3, _HEIGHT - _BOTTOM, _TOP)
    curves = (
        (errors.ordinary, _ORDINARY, "an ordinary test"),
        (errors.ours, _OURS, "flask-abx"),
    )
    told = f"{count(runs)} experiments without any difference, looked at 20 times each"
    inner = [
        text("How many have found a winner", 16, 26, class_="x-title"),
        text(told, 16, 44, class_="x-soft"),
        _axes(across, upward),
    ]
    for counts, colour, name in curves:
        points = [
            (across(look), upward(found / runs)) for look, found in enumerate(counts, 1)
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        x, y = points[-1]
        share = typeset(percent(counts[-1] / runs, 1))
        inner += [
            tag("polyline", points=path, class_=f"x-line x-l{colour}"),
            marker(colour, x, y),
            text(name, x + 14, y - 2, class_=f"x-h{colour}"),
            text(share, x + 14, y + 13, class_="x-strong"),
        ]
    return chart(
        "".join(inner),
        _WIDTH,
        _HEIGHT,
        title="How often experiments without any difference find a winner",
        description=(
            "After 20 looks an ordinary test has found a winner in "
            f"{percent(errors.ordinary[-1] / runs, 1)} of the experiments, and "
            f"flask-abx in {percent(errors.ours[-1] / runs, 1)}."
        ),
    )


def _axes(across: Scale, upward: Scale) -> str:
    parts = []
    for tenths in range(4):
        y = upward(tenths / 10)
        parts += [
            line(_LEFT, y, across.end, y, "x-grid" if tenths else "x-zero"),
            text(
                typeset(f"{10 * tenths} %"),
                _LEFT - 8,
                y + 4,
                text_anchor="end",
                class_="x-soft",
            ),
        ]
    y = upward(ALPHA)
    promised = typeset(f"promised: {100 * ALPHA:g} %")
    parts += [
        line(_LEFT, y, across.end, y, "x-margin"),
        text(promised, across.end, y - 6, text_anchor="end", class_="x-strong"),
    ]
    y = upward.start + 18
    parts += [
        text(str(look), across(look), y, text_anchor="middle", class_="x-soft")
        for look in (1, 5, 10, 15, 20)
    ]
    end = text("looks", across.end, y + 17, text_anchor="end", class_="x-soft")
    return "".join([*parts, end])


if __name__ == "__main__":
    PICTURE.write_text(f"{draw(simulate())}\n", "utf-8")
