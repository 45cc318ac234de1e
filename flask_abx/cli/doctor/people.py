"""Checks of what the application tells about people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.assignment.audience import attribute_names, segment_names
from flask_abx.cli.doctor.finding import Finding, Level, named

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flask_abx.cli.doctor.finding import Case
    from flask_abx.experiments.model import Document

_UNIT_LOADER = 'abx.unit_loader(lambda: session.get("user_id"))'
_CONSENT = (
    'abx.consent(lambda purpose: purpose in session.get("consents", '
    '["storage", "measurement"]))'
)
#: What attributes hold without a loader.
_IDS = frozenset({"visitor", "user"})


def check_units(case: Case) -> Iterator[Finding]:
    """Look for experiments whose unit nobody tells."""
    is_told = True
    for key, experiment in case.open_experiments.items():
        unknown = [kind for kind in experiment.unit if not _is_told(case, kind)]
        if not unknown:
            continue
        is_told = False
        known = [kind for kind in experiment.unit if kind not in unknown]
        is_lost = not known
        others = " and ".join(known)
        effect = "nobody is in it" if is_lost else f"it goes by {others} alone"
        message = f"{key!r} is by {unknown[0]}, which nothing tells, so {effect}."
        paste = _UNIT_LOADER if unknown[0] == "user" else _loader(unknown[0])
        yield Finding("units", Level.FAIL if is_lost else Level.WARN, message, paste)
    if is_told:
        yield Finding("units", Level.OK, "The unit of every experiment is told.")


def _is_told(case: Case, kind: str) -> bool:
    hooks = case.state.hooks
    if kind == "visitor":
        return True
    if kind == "user":
        return hooks.unit_loader is not None or hasattr(case.app, "login_manager")
    return hooks.attributes_loader is not None


def _loader(attribute: str) -> str:
    entry = f'"{attribute}": session.get("{attribute}")'
    return f"abx.attributes_loader(lambda: {{{entry}}})"


def check_attributes(case: Case) -> Iterator[Finding]:
    """Look for audiences on attributes that nothing loads."""
    if case.state.hooks.attributes_loader is not None:
        message = "An attributes loader is registered."
        yield Finding("attributes", Level.OK, message)
        return
    document = case.document
    read = {
        key: sorted(_attributes(document, experiment.audience) - _IDS)
        for key, experiment in case.open_experiments.items()
    }
    blind = [key for key, names in read.items() if names]
    if not blind:
        yield Finding("attributes", Level.OK, "No audience reads an attribute.")
        return
    first = read[blind[0]][0]
    message = (
        f"No attributes loader is registered, but an audience reads {first!r}: "
        f"{named(blind)}."
    )
    yield Finding("attributes", Level.FAIL, message, _loader(first))


def _attributes(document: Document, condition: Mapping[str, object]) -> set[str]:
    """Collect what a condition reads, through the segments that it names."""
    names: set[str] = set()
    seen: set[str] = set()
    waiting = [condition]
    while waiting:
        part = waiting.pop()
        names |= attribute_names(part)
        for name in segment_names(part) - seen:
            seen.add(name)
            segment = document.segments.get(name)
            if isinstance(segment, dict):
                waiting.append(segment)
    return names


def check_consent(case: Case) -> Iterator[Finding]:
    """Look for experiments that need a consent that nothing gives."""
    asking = [key for key, each in case.open_experiments.items() if each.purposes]
    if case.state.hooks.consent is not None:
        yield Finding("consent", Level.OK, "A consent callable is registered.")
    elif not asking:
        yield Finding("consent", Level.OK, "No experiment asks for consent.")
    else:
        message = (
            "No consent callable is registered, so nobody is in what asks for consent: "
            f"{named(asking)}."
        )
        yield Finding("consent", Level.FAIL, message, _CONSENT)
