"""What an application names and forgot to say, told at its first request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.assignment.decision import USER, VISITOR
from flask_abx.experiments.checks import unknown_segments

if TYPE_CHECKING:
    from flask import Flask

    from flask_abx.runtime.state import State


def tell_omissions(app: Flask, state: State) -> None:
    """Tell of units and segments that definitions name and nothing knows."""
    _tell_unknown_units(app, state)
    _tell_unknown_segments(app, state)


def _tell_unknown_segments(app: Flask, state: State) -> None:
    registered = state.hooks.segments
    for segment, place in unknown_segments(state.store.document(), registered):
        app.logger.error(
            "%s names the segment %r, which nothing defines, so nobody is in it: "
            "list its ids or its condition under segments, or register a function "
            "with @abx.segment(%r).",
            place,
            segment,
            segment,
        )


def _tell_unknown_units(app: Flask, state: State) -> None:
    for rule in state.ruleset().rules.values():
        if rule.counted and not any(_is_told(kind, app, state) for kind in rule.unit):
            app.logger.warning(
                "Experiment %r is by %s, which nothing tells, so everybody gets the "
                "control: register @abx.%s.",
                rule.key,
                rule.unit[0],
                "unit_loader" if rule.unit[0] == USER else "attributes_loader",
            )


def _is_told(kind: str, app: Flask, state: State) -> bool:
    if kind == VISITOR:
        return True
    if kind == USER:
        return state.hooks.unit_loader is not None or hasattr(app, "login_manager")
    return state.hooks.attributes_loader is not None
