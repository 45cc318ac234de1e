"""The experiments of the shop: the ABX object and what it knows of a visitor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import current_app
from flask_sqlalchemy import SQLAlchemy

from example_app.people import signed_in
from flask_abx import ABX, Actor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask_abx import Assignment

db = SQLAlchemy()
abx = ABX(db=db)


@abx.unit_loader
def user_id() -> str | None:
    """Tell who is signed in."""
    person = signed_in()
    return person.id if person else None


@abx.attributes_loader
def attributes() -> Mapping[str, object]:
    """Tell for whom the person works."""
    person = signed_in()
    return {"tenant": person.tenant.id} if person else {}


@abx.access
def actor() -> Actor | None:
    """Let everybody see the results while the shop is a demonstration."""
    is_demo = current_app.debug or current_app.testing
    return Actor("demo", "Whoever runs the demo") if is_demo else None


def seen() -> list[str]:
    """Say in a few words what this visitor gets, without exposing anybody."""
    return [
        _words(assignment.variant, key, assignment.flags)
        + (" (forced)" if assignment.reason == "forced" else "")
        for key, assignment in sorted(abx.assignments().items(), key=_flags_last)
        if assignment.in_experiment or assignment.reason == "forced"
    ]


def _flags_last(item: tuple[str, Assignment]) -> bool:
    return bool(item[1].flags)


def _words(variant: str, key: str, flags: Mapping[str, object]) -> str:
    words = f"{key} = {variant}"
    if "free_shipping_from" in flags:
        words += f" ({flags['free_shipping_from']:g} €)"
    return words
