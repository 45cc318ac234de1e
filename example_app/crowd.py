"""Fresh visitors who walk through the shop, and how they were split."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import sqrt
from threading import get_ident
from typing import TYPE_CHECKING

from flask_abx import unit_exposed
from flask_abx.experiments.lifecycle import Status

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from flask_abx import Exposure
    from flask_abx.assignment.ruleset import Rule

SIGMAS = 4


@dataclass(frozen=True, slots=True)
class Share:
    """How many visitors met one variant; all shares lie between 0 and 1.

    Attributes:
        low: Four standard deviations below what is expected.
        high: Four standard deviations above it.
    """

    variant: str
    count: int
    observed: float
    expected: float
    low: float
    high: float

    @property
    def fits(self) -> bool:
        """Whether chance explains the difference from what is expected."""
        return self.low <= self.observed <= self.high


@dataclass(frozen=True, slots=True)
class Split:
    """What became of a crowd of visitors."""

    experiment: str
    visitors: int
    shares: tuple[Share, ...]


def can_split(rule: Rule) -> bool:
    """Tell whether an experiment takes fresh visitors."""
    is_open = rule.status is Status.RUNNING and not rule.closed
    return is_open and rule.unit == ("visitor",)


def split(app: Flask, rule: Rule, visitors: int) -> Split:
    """Send fresh visitors through the shop and count whom an experiment exposed."""
    met: Counter[str] = Counter()
    thread = get_ident()

    def count(sender: Flask, exposure: Exposure, **extra: object) -> None:
        del sender, extra
        if exposure.experiment == rule.key and get_ident() == thread:
            met[exposure.variant] += 1

    with unit_exposed.connected_to(count, sender=app):
        for _ in range(visitors):
            walk(app.test_client())
    shares = (
        _share(variant, met[variant], end - start, visitors)
        for start, end, variant in rule.ranges
    )
    return Split(rule.key, visitors, tuple(shares))


def walk(client: FlaskClient) -> None:
    """Do what a visitor does: look round, take a tea, look into the basket."""
    client.get("/")
    client.post("/basket", data={"tea": "sencha"})
    client.get("/basket")


def _share(variant: str, count: int, expected: float, visitors: int) -> Share:
    band = SIGMAS * sqrt(expected * (1 - expected) / visitors)
    return Share(
        variant=variant,
        count=count,
        observed=count / visitors,
        expected=expected,
        low=max(expected - band, 0.0),
        high=min(expected + band, 1.0),
    )
