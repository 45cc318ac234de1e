"""What is written beside an operator: read once, or refused with the way out."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from ipaddress import ip_network
from reprlib import repr as short_repr
from typing import TYPE_CHECKING, Protocol

from flask_abx.assignment.values import plain, type_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from ipaddress import IPv4Network, IPv6Network


class Refuse(Protocol):
    """Notes what is wrong with an operand, and where in it."""

    def __call__(self, message: str, place: str = "") -> None:
        """Note one fault."""


def shown(value: object) -> str:
    """Write a value for a message, cut to a readable length."""
    try:
        return short_repr(value)
    except ValueError:
        return "a number of too many digits"


def text_of(value: object) -> str | None:
    """Write a text or a number as an id; None for anything else."""
    value = plain(value)
    if type(value) is str:
        return value
    if type(value) is not int and type(value) is not float:
        return None
    try:
        return str(value)
    except ValueError:
        return None


def items_of(operand: object) -> list[object] | None:
    """Read a list from a list, a tuple or a set; None for anything else."""
    kind = type(operand)
    if issubclass(kind, list | tuple | set | frozenset):
        return list(operand)  # type: ignore[call-overload, no-any-return]
    return None


def literal(operand: object, refuse: Refuse, place: str = "") -> object:
    """Turn an operand into plain JSON and refuse what JSON cannot hold."""
    operand = plain(operand)
    if type(operand) is list:
        return [
            literal(item, refuse, f"{place}[{number}]")
            for number, item in enumerate(operand)
        ]
    if isinstance(operand, dict):
        for key in operand:
            if not isinstance(key, str) or key.startswith("$"):
                refuse(
                    f"has {shown(key)} within a value, write the dotted path of the "
                    "field and the operator beneath it.",
                    place,
                )
        return {
            key: literal(item, refuse, f"{place}.{key}")
            for key, item in operand.items()
        }
    if type_name(operand) is None:
        refuse(
            f"is {shown(operand)}, must be a text, a number, true, false, null, "
            "a list or a table.",
            place,
        )
    return operand


def scalars_of(operand: object, refuse: Refuse) -> Iterator[object]:
    """Read a list of values that hold no others."""
    items = items_of(operand)
    if items is None:
        refuse(f"is {shown(operand)}, must be a list such as [{_example(operand)}].")
        return
    for number, item in enumerate(items):
        value = plain(item)
        if type_name(value) in ("array", "object", None):
            refuse(
                f"is {shown(item)}, must be a text, a number, true, false or null.",
                f"[{number}]",
            )
        else:
            yield value


def _example(operand: object) -> str:
    named = type_name(operand) in ("string", "number")
    return shown(operand) if named else "'a', 'b'"


def network_of(
    item: object, refuse: Refuse, place: str
) -> IPv4Network | IPv6Network | None:
    """Read one network, whose host bits are all zero."""
    if not isinstance(item, str):
        refuse(f"is {shown(item)}, must be a network such as '10.0.0.0/8'.", place)
        return None
    try:
        return ip_network(item)
    except ValueError:
        pass
    try:
        near = f"; did you mean {str(ip_network(item, strict=False))!r}?"
    except ValueError:
        near = "."
    refuse(
        f"is {shown(item)}, must be a network such as '10.0.0.0/8' or 'fd00::/8'{near}",
        place,
    )
    return None


def bound_of(operand: object) -> datetime | None:
    """Read an instant: a date, or a date and time with its time zone."""
    if isinstance(operand, str):
        operand = _instant(operand)
    if isinstance(operand, datetime):
        return None if operand.utcoffset() is None else operand
    if isinstance(operand, date):
        return datetime.combine(operand, time(), UTC)
    return None


def _instant(text: str) -> date | None:
    for form in (date, datetime):
        try:
            return form.fromisoformat(text)
        except ValueError:
            continue
    return None


def ids_of(operand: Iterable[object], refuse: Refuse) -> frozenset[str]:
    """Read a list of ids, which are texts or numbers."""
    ids = set()
    for number, item in enumerate(operand):
        text = text_of(item)
        if text:
            ids.add(text)
        else:
            refuse(
                f"is {shown(item)}, must be an id: a text or a number.",
                f"[{number}]",
            )
    return frozenset(ids)
