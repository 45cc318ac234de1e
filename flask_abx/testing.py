"""Helpers for the tests of applications."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from flask_abx.errors import UsageError
from flask_abx.events.bounded import Bounded
from flask_abx.events.signals import event_tracked, unit_exposed
from flask_abx.runtime.override import check_names
from flask_abx.runtime.state import REMEMBERED, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flask import Flask

    from flask_abx.events.records import Event, Exposure, Record

__all__ = ["force", "recorded"]


@contextmanager
def force(app: Flask, variants: Mapping[str, str]) -> Iterator[None]:
    """Give everybody the named variants, whatever their units and audiences are.

    Exposures and events are recorded, with the reason ``forced``. Consent that is
    refused still stands before it, and nobody forces what is concluded.

    Args:
        app: The application under test.
        variants: Experiment key to variant key.

    Raises:
        UnknownExperiment: If an experiment is not defined.
        UnknownVariant: If an experiment has no such variant.
        UsageError: If an experiment is concluded or archived.
    """
    state = state_of(app)
    rules = state.store.ruleset().rules
    for key, variant in variants.items():
        check_names(key, variant, rules)
        if rules[key].status.is_over:
            raise UsageError(
                f"Experiment {key!r} is {rules[key].status} and serves "
                f"{rules[key].served!r} to everybody, so {variant!r} cannot be forced: "
                "take the experiment out of the test."
            )
    held = state.forced
    before, exposed = held.variants, held.exposed
    held.variants, held.exposed = {**before, **variants}, set()
    try:
        yield
    finally:
        held.variants, held.exposed = before, exposed


@contextmanager
def recorded(app: Flask) -> Iterator[list[Record]]:
    """Collect the records that an application makes, each when it is made.

    Args:
        app: The application under test.
    """
    records: list[Record] = []

    def take_exposure(sender: Flask, *, exposure: Exposure, **extra: object) -> None:
        del sender, extra
        records.append(exposure)

    def take_event(sender: Flask, *, event: Event, **extra: object) -> None:
        del sender, extra
        records.append(event)

    state = state_of(app)
    seen = state.seen.swap(Bounded(REMEMBERED))
    try:
        with (
            unit_exposed.connected_to(take_exposure, sender=app),
            event_tracked.connected_to(take_event, sender=app),
        ):
            yield records
    finally:
        state.seen.swap(seen)
