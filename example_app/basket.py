"""What a visitor is about to buy, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, NamedTuple

from flask import session

from example_app.catalogue import BY_SLUG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from example_app.catalogue import Tea

CENT = Decimal("0.01")
SHIPPING = Decimal("4.90")
MOST_PACKS = 99


class Tier(NamedTuple):
    """A lower price from a number of packs on."""

    packs: int
    off: Decimal


TIERS = (
    Tier(5, Decimal("0.08")),
    Tier(10, Decimal("0.15")),
    Tier(25, Decimal("0.22")),
)


def bulk_price(tea: Tea, packs: int, tiers: Sequence[Tier] = TIERS) -> Decimal:
    """Price one pack of a tea when so many are bought."""
    off = max((tier.off for tier in tiers if packs >= tier.packs), default=Decimal(0))
    return (tea.price * (1 - off)).quantize(CENT, ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Line:
    """Some packs of one tea."""

    tea: Tea
    packs: int
    price: Decimal

    @property
    def total(self) -> Decimal:
        """What these packs cost together."""
        return self.price * self.packs


@dataclass(frozen=True, slots=True)
class Basket:
    """The lines of a basket and the sum from which shipping is free."""

    lines: tuple[Line, ...]
    free_from: Decimal

    @property
    def goods(self) -> Decimal:
        """What the teas cost."""
        return sum((line.total for line in self.lines), Decimal(0))

    @property
    def packs(self) -> int:
        """How many packs there are."""
        return sum(line.packs for line in self.lines)

    @property
    def missing(self) -> Decimal:
        """What is missing for free shipping; 0 when it is reached."""
        return max(self.free_from - self.goods, Decimal(0))

    @property
    def progress(self) -> Decimal:
        """The way to free shipping in per cent, 100 when it is reached."""
        if self.missing == 0:
            return Decimal(100)
        return (100 * self.goods / self.free_from).quantize(Decimal("0.1"))

    @property
    def shipping(self) -> Decimal:
        """What shipping costs."""
        return SHIPPING if self.missing else Decimal(0)

    @property
    def total(self) -> Decimal:
        """What is to be paid."""
        return self.goods + self.shipping


def fill(
    packs_of: Mapping[str, int], free_from: Decimal, tiers: Sequence[Tier] = ()
) -> Basket:
    """Price the packs of each tea."""
    lines = (
        Line(BY_SLUG[slug], packs, bulk_price(BY_SLUG[slug], packs, tiers))
        for slug, packs in packs_of.items()
    )
    return Basket(tuple(lines), free_from)


def stored() -> dict[str, int]:
    """Read from the session how many packs of each tea lie in the basket."""
    packs_of: dict[str, int] = session.get("basket", {})
    return {slug: packs for slug, packs in packs_of.items() if slug in BY_SLUG}


def store(slug: str, packs: int) -> None:
    """Put a number of packs into the session; 0 takes the tea out."""
    packs_of = stored()
    packs_of[slug] = min(max(packs, 0), MOST_PACKS)
    session["basket"] = {name: count for name, count in packs_of.items() if count}


def clear() -> None:
    """Empty the basket."""
    session.pop("basket", None)
