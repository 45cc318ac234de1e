"""How a sum of money is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

NBSP = "\N{NO-BREAK SPACE}"


def euro(amount: Decimal) -> str:
    """Write a sum with its cents."""
    return f"{amount:,.2f}{NBSP}€"


def whole_euro(amount: Decimal) -> str:
    """Write a sum, its cents only where there are any."""
    if amount == amount.to_integral_value():
        return f"{amount:,.0f}{NBSP}€"
    return euro(amount)
