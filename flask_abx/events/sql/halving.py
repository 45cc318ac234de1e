"""Storing a batch of which a database may refuse a part."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from flask_abx.events.sql.faults import Trouble, trouble_of
from flask_abx.events.sql.retrying import retried

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_Item = TypeVar("_Item")


def halved(
    items: Sequence[_Item], transact: Callable[[Sequence[_Item]], None]
) -> list[tuple[_Item, str]]:
    """Store all items, or the halves of them, until what is refused stands alone.

    Args:
        items: What is stored.
        transact: Stores some of them, all in one transaction.

    Returns:
        The items that the database refuses, each with what it says.
    """
    if not items:
        return []
    try:
        retried(partial(transact, items))
    except Exception as error:
        if trouble_of(error) is not Trouble.REFUSED:
            raise
        if len(items) == 1:
            return [(items[0], _reason(error))]
        middle = len(items) // 2
        return [*halved(items[:middle], transact), *halved(items[middle:], transact)]
    return []


def _reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "orig", error)).split())
