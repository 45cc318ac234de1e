"""P-values that answer for a whole family of comparisons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def bonferroni(
    p_values: Sequence[float], *, family: int | None = None
) -> tuple[float, ...]:
    """Multiply every p-value by the size of its family.

    Source: Dunn 1961, Multiple comparisons among means. Holds under any dependence.

    Args:
        p_values: The p-values; the answer is in their order.
        family: How many comparisons are made; None takes the number of p-values.

    Raises:
        UsageError: If one is no probability, or the family is smaller than they are.
    """
    _probabilities(p_values)
    size = len(p_values) if family is None else family
    if size < len(p_values):
        raise UsageError(
            f"family is {family!r}, must be at least {len(p_values)}, "
            "the number of p-values."
        )
    return tuple(min(1.0, size * p) for p in p_values)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjust p-values so that any false finding at all is as rare as alpha says.

    Source: Holm 1979, A simple sequentially rejective multiple test procedure. Holds
    under any dependence.

    Args:
        p_values: The p-values; the answer is in their order.

    Raises:
        UsageError: If one is no probability.
    """
    _probabilities(p_values)
    count = len(p_values)
    order = sorted(range(count), key=p_values.__getitem__)
    highest, adjusted = 0.0, [0.0] * count
    for passed, place in enumerate(order):
        highest = max(highest, min(1.0, (count - passed) * p_values[place]))
        adjusted[place] = highest
    return tuple(adjusted)


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjust p-values so that the share of false ones among the findings is bounded.

    Those rejected at alpha are the ones whose answer is at most alpha.

    Source: Benjamini, Hochberg 1995, Controlling the false discovery rate. Holds for
    independent or positively dependent p-values.

    Args:
        p_values: The p-values; the answer is in their order.

    Raises:
        UsageError: If one is no probability.
    """
    _probabilities(p_values)
    count = len(p_values)
    order = sorted(range(count), key=p_values.__getitem__)
    lowest, adjusted = 1.0, [0.0] * count
    for rank in range(count, 0, -1):
        place = order[rank - 1]
        lowest = min(lowest, p_values[place] * (count / rank))
        adjusted[place] = lowest
    return tuple(adjusted)


def _probabilities(values: Iterable[float]) -> None:
    """Refuse what is no probability."""
    for value in values:
        if not 0 <= value <= 1:
            raise UsageError(f"A p-value is {value!r}, must lie between 0 and 1.")
